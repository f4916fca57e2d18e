using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.GuestMemory;

/// <summary>
/// Memory at kernel addresses that one process alone has: allocated for it, and out of the direct map; or a mapping of a file's pages. Other
/// processes' kernel code cannot reach it, and it ends with the process.
/// </summary>
/// <remarks>
/// Pages of a mapping go when they go from processes: when the file is truncated or punched, or a page becomes private. Nothing faults a page
/// in at such an address, so what is gone stays gone.
/// </remarks>
public sealed class ProcLocalMemory : IDisposable
{
    private readonly MmLocalRegion region;
    private readonly VmBacking? file;
    private VirtualMemoryArea? area;

    private ProcLocalMemory(MmLocalRegion region, int pages, VmBacking? file)
    {
        this.region = region;
        this.file = file;
        Pages = pages;
        Start = region.Reserve(this, pages);
    }

    /// <summary>The first address.</summary>
    public Hva Start { get; }

    /// <summary>How many pages it has.</summary>
    public int Pages { get; }

    /// <summary>It has not ended.</summary>
    public bool IsAlive { get; private set; } = true;

    private AddressSpace Process => region.Process;

    private HostKernel Kernel => Process.Kernel;

    private Hva End => Start + ((ulong)Pages << PageSize.Shift4K);

    /// <summary>Allocates memory for one process, and takes it out of the direct map.</summary>
    /// <param name="region">The process's part of the kernel's addresses.</param>
    /// <param name="pages">How many pages: 1 or more.</param>
    /// <param name="memory">The memory, filled with zeros.</param>
    /// <returns>ENOMEM; nothing is allocated then.</returns>
    public static Errno TryAllocate(MmLocalRegion region, int pages, [NotNullWhen(true)] out ProcLocalMemory? memory)
    {
        ArgumentNullException.ThrowIfNull(region);
        ArgumentOutOfRangeException.ThrowIfLessThan(pages, 1);
        memory = new ProcLocalMemory(region, pages, file: null);
        HostKernel kernel = memory.Kernel;
        for (int page = 0; page < pages; page++)
        {
            if (kernel.Allocator.Allocate(flags: FrameFlags.Kernel) is not Pfn frame)
            {
                return memory.Undo(Errno.ENOMEM, out memory);
            }

            if (!memory.Process.Tables.TrySet(memory.AddressOf(page), 1, HostPte.MapKernel(frame)))
            {
                kernel.Folios.Put(frame);
                return memory.Undo(Errno.ENOMEM, out memory);
            }

            kernel.DirectMap.Remove(frame, 1, flush: false);
        }

        if (!kernel.Injects(InjectedFaults.SkipFlush))
        {
            kernel.DirectMap.FlushPending();
        }

        return Errno.None;
    }

    /// <summary>Maps pages of a file for one process's kernel code.</summary>
    /// <param name="region">The process's part of the kernel's addresses.</param>
    /// <param name="file">The file.</param>
    /// <param name="first">The first page of the file.</param>
    /// <param name="pages">How many pages: 1 or more.</param>
    /// <param name="memory">The mapping.</param>
    /// <returns>EFAULT for a page that is private or beyond the end; EHWPOISON; ENOMEM. Nothing is mapped then.</returns>
    public static Errno TryMap(MmLocalRegion region, MemoryFile file, ulong first, int pages, [NotNullWhen(true)] out ProcLocalMemory? memory)
    {
        ArgumentNullException.ThrowIfNull(region);
        ArgumentNullException.ThrowIfNull(file);
        ArgumentOutOfRangeException.ThrowIfLessThan(pages, 1);
        memory = new ProcLocalMemory(region, pages, file);
        memory.area = new VirtualMemoryArea(memory.Process, memory.Start, memory.End, VmFlags.Read | VmFlags.Write | VmFlags.Shared | VmFlags.DontCopy, file, first);
        file.Opened(memory.area);
        for (int page = 0; page < pages; page++)
        {
            if (file is GuestMemfd guest && guest.IsPrivate(first + (ulong)page))
            {
                return memory.Undo(Errno.EFAULT, out memory);
            }

            VmFault found = file.Get(first + (ulong)page, out Pfn frame);
            if (found != VmFault.Page)
            {
                Errno error = found == VmFault.HwPoison ? Errno.EHWPOISON : found == VmFault.OutOfMemory ? Errno.ENOMEM : Errno.EFAULT;
                return memory.Undo(error, out memory);
            }

            if (!memory.Process.Tables.TrySet(memory.AddressOf(page), 1, HostPte.MapKernel(frame)))
            {
                memory.Kernel.Folios.Put(frame);
                return memory.Undo(Errno.ENOMEM, out memory);
            }

            memory.Kernel.Frames.FolioOf(frame).MapCount++;
        }

        return Errno.None;
    }

    /// <summary>Reads it, as kernel code does that runs on a processor.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="destination">Receives the bytes.</param>
    /// <returns>EFAULT where a page is gone, or the processor runs another process. Nothing is read then.</returns>
    public Errno Read(HostProcessor processor, ulong offset, Span<byte> destination)
    {
        Errno error = Check(processor, offset, destination.Length);
        for (int done = 0; error == Errno.None && done < destination.Length;)
        {
            Span<byte> part = BytesAt(offset + (ulong)done, destination.Length - done);
            part.CopyTo(destination[done..]);
            done += part.Length;
        }

        return error;
    }

    /// <summary>Writes it, as kernel code does that runs on a processor.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="source">The bytes.</param>
    /// <returns>EFAULT where a page is gone, or the processor runs another process. Nothing is written then.</returns>
    public Errno Write(HostProcessor processor, ulong offset, ReadOnlySpan<byte> source)
    {
        Errno error = Check(processor, offset, source.Length);
        for (int done = 0; error == Errno.None && done < source.Length;)
        {
            Span<byte> part = BytesAt(offset + (ulong)done, source.Length - done);
            source.Slice(done, part.Length).CopyTo(part);
            done += part.Length;
        }

        return error;
    }

    /// <summary>Ends it: the addresses show nothing, and the pages go back.</summary>
    public void Dispose()
    {
        if (!IsAlive)
        {
            return;
        }

        IsAlive = false;
        region.Forget(this);
        List<HostPte> zapped = [];
        Process.TryZap(Start, End, zapped);
        Process.Flushes += zapped.Count > 0 ? 1 : 0;
        if (area is not null)
        {
            Process.Release(zapped);
            file!.Closed(area);
            return;
        }

        foreach (HostPte entry in zapped)
        {
            Kernel.Folios.Put(entry.Frame);
        }
    }

    private Errno Undo(Errno error, out ProcLocalMemory? memory)
    {
        Dispose();
        memory = null;
        return error;
    }

    private Errno Check(HostProcessor processor, ulong offset, int length)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ulong size = (ulong)Pages << PageSize.Shift4K;
        if (!IsAlive || processor.Loaded != Process.Tables || offset > size || (ulong)length > size - offset)
        {
            return Errno.EFAULT;
        }

        for (ulong page = offset >> PageSize.Shift4K; page << PageSize.Shift4K < offset + (ulong)length; page++)
        {
            if (!Process.Tables.Find(AddressOf((int)page), out _).IsPresent)
            {
                return Errno.EFAULT;
            }
        }

        return Errno.None;
    }

    private Span<byte> BytesAt(ulong offset, int most)
    {
        int inPage = (int)(offset & PageSize.Mask4K);
        Process.Tables.LookupPfn(AddressOf((int)(offset >> PageSize.Shift4K)), out Pfn frame, out _, out _);
        return Kernel.Frames.Bytes(frame).Slice(inPage, Math.Min(most, (int)PageSize.Size4K - inPage));
    }

    private Hva AddressOf(int page) => Start + ((ulong)page << PageSize.Shift4K);
}
