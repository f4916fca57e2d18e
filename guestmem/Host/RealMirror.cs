using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// The modelled host's mappings made real, so that the processor can be asked what the model claims: the direct map as a second mapping of the
/// frames' memfd in which a frame that is out is without rights, and each set of page tables, a process's or a view's, as shared mappings of frames.
/// </summary>
/// <remarks>A change of the model's is one mmap or mprotect here. What a modelled TLB still holds is not mirrored: here a flush is part of the change.</remarks>
public sealed class RealMirror : IDisposable
{
    // The direct map is compared frame by frame where that is quick, and else only where something has happened.
    private const ulong FewFrames = 1 << 13;

    private readonly HostKernel kernel;
    private readonly HostMemoryView directMap;
    private readonly HashSet<ulong> touched = [];
    private readonly List<RealAddressSpace> tables = [];
    private long compared;

    internal RealMirror(HostKernel kernel)
    {
        this.kernel = kernel;
        directMap = kernel.Frames.Memory.MapView();
        kernel.DirectMap.ShowsChanged = ChangeDirectMap;
    }

    /// <summary>Pages compared so far.</summary>
    public long Compared => compared;

    /// <summary>The page tables that are real now, in the order in which they were made: processes' and temporary views'.</summary>
    public IReadOnlyList<RealAddressSpace> Tables => tables;

    /// <summary>The address of a frame in the real direct map.</summary>
    public Hva DirectMapAddress(Pfn pfn) => directMap.Base + (pfn.Value << PageSize.Shift4K);

    /// <summary>The real mappings of a process; null: its host is not mirrored.</summary>
    public static RealAddressSpace? Of(AddressSpace process)
    {
        ArgumentNullException.ThrowIfNull(process);
        return process.Tables.Real;
    }

    /// <summary>Asks the processor about every page that the model maps, or has mapped, or whose frame has left the direct map.</summary>
    /// <returns>The first difference, in words; null: what the model says is so.</returns>
    /// <exception cref="PlatformNotSupportedException">This host cannot touch an address that may be gone.</exception>
    public string? Compare()
    {
        foreach (RealAddressSpace one in tables)
        {
            if (one.Compare(ref compared) is string difference)
            {
                return difference;
            }
        }

        foreach (AddressSpace process in kernel.Processes)
        {
            if (Of(process)?.Compare(process.Areas, ref compared) is string difference)
            {
                return difference;
            }
        }

        if (kernel.Frames.Count > FewFrames)
        {
            foreach (ulong pfn in touched)
            {
                if (DirectMapDiffers(pfn) is string difference)
                {
                    return difference;
                }
            }

            return null;
        }

        for (ulong pfn = 0; pfn < kernel.Frames.Count; pfn++)
        {
            if (DirectMapDiffers(pfn) is string difference)
            {
                return difference;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (RealAddressSpace one in tables.ToArray())
        {
            one.Dispose();
        }

        directMap.Dispose();
    }

    internal RealAddressSpace Add(HostPageTable added)
    {
        RealAddressSpace real = new(this, added, kernel.Frames);
        tables.Add(real);
        return real;
    }

    internal void Remove(RealAddressSpace freed) => tables.Remove(freed);

    private string? DirectMapDiffers(ulong number)
    {
        Pfn pfn = new(number);
        compared++;
        bool shown = kernel.DirectMap.Shows(pfn);
        if (shown && !touched.Contains(number))
        {
            // Reading would give memory to a frame that has none yet.
            return null;
        }

        return RealPage.Differs($"direct map, frame {pfn}", DirectMapAddress(pfn), shown, shown, shown ? kernel.Frames.Bytes(pfn) : default);
    }

    private void ChangeDirectMap(Pfn pfn)
    {
        touched.Add(pfn.Value);
        int protection = kernel.DirectMap.Shows(pfn) ? Libc.ProtRead | Libc.ProtWrite : Libc.ProtNone;
        if (Libc.Protect((nint)DirectMapAddress(pfn).Value, (nuint)PageSize.Size4K, protection) != 0)
        {
            HostMemoryException.Throw(PageSize.Size4K, (Errno)Marshal.GetLastPInvokeError());
        }
    }
}
