using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// The host-physical address space: gives host memory frame numbers, so that tables can name it, and has a pool of frames for the tables
/// themselves. What no region covers is no memory, and cannot be reached through here.
/// </summary>
/// <remarks>
/// The space is cut into sections of 1 GiB, as sparsemem cuts it: a region begins at a section's start and takes as many as it needs, so
/// that a lookup is one index and one compare. Section 0 stays empty, and so an address of 0 is never memory. Lookups take no lock and may
/// run beside a change. Who removes a region, frees a frame or disposes stops first whoever might still use its addresses.
/// </remarks>
public sealed unsafe class HostFrames : IDisposable
{
    /// <summary>log2 of a section's bytes.</summary>
    public const int SectionShift = PageSize.Shift1G;

    /// <summary>How many sections there are at most: 16 TiB of host-physical addresses.</summary>
    public const int MaxSections = 1 << 14;

    /// <summary>The bits of the highest host-physical address.</summary>
    public const int AddressBits = 44;

    private const ulong SectionSize = 1UL << SectionShift;

    private readonly Lock change = new();
    private readonly Stack<Pfn> free = [];
    private readonly HashSet<Pfn> allocated = [];
    private Section[] sections = new Section[1];
    private HostMemory? pool;
    private Pfn poolStart;
    private ulong poolAddress;
    private ulong poolLength;
    private ulong poolAddend;
    private ulong poolTaken;
    private bool disposed;

    /// <summary>Makes an address space without regions.</summary>
    /// <param name="poolFrames">How many frames <see cref="TryAllocate"/> gives at most. They cost memory only once they are used.</param>
    public HostFrames(int poolFrames = 1 << 16)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(poolFrames);
        PoolFrames = poolFrames;
    }

    /// <summary>How many frames the pool has at most.</summary>
    public int PoolFrames { get; }

    /// <summary>How many frames of the pool are in use.</summary>
    public int AllocatedFrames
    {
        get
        {
            lock (change)
            {
                return allocated.Count;
            }
        }
    }

    /// <summary>Gives frame numbers to host memory.</summary>
    /// <param name="host">Where the memory is mapped, readable and writable; a multiple of 4096, and not 0.</param>
    /// <param name="size">Its size in bytes; a multiple of 4096, and not 0.</param>
    /// <returns>The first frame; the others follow it.</returns>
    /// <exception cref="ArgumentException">The range is misaligned or empty, or wraps.</exception>
    /// <exception cref="HostMemoryException">ENOMEM: no run of sections is free.</exception>
    public Pfn AddRegion(Hva host, ulong size)
    {
        if (size == 0 || host.Value == 0 || ((host.Value | size) & PageSize.Mask4K) != 0 || host.Value + size < host.Value)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"0x{size:x} bytes at {host} are not whole pages of this process"), nameof(host));
        }

        lock (change)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            return Add(host, size);
        }
    }

    /// <summary>Takes the frame numbers of a region away; they may be given again.</summary>
    /// <param name="first">What <see cref="AddRegion"/> returned.</param>
    /// <exception cref="ArgumentException">No region begins there.</exception>
    public void RemoveRegion(Pfn first)
    {
        lock (change)
        {
            ulong index = first.Address.Value >> SectionShift;
            if (index >= (ulong)sections.Length || sections[index].First != first || sections[index].Length == 0 || (pool is not null && first == poolStart))
            {
                throw new ArgumentException($"no region begins at frame {first}", nameof(first));
            }

            Section[] next = (Section[])sections.Clone();
            for (; index < (ulong)next.Length && next[index].Length != 0 && next[index].First == first; index++)
            {
                next[index] = default;
            }

            Volatile.Write(ref sections, next);
        }
    }

    /// <summary>Takes a frame from the pool, filled with zeros; false when the pool is used up or the host has no memory for it.</summary>
    public bool TryAllocate(out Pfn frame)
    {
        lock (change)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (!free.TryPop(out frame))
            {
                if (poolTaken == (ulong)PoolFrames || !TryMakePool())
                {
                    frame = default;
                    return false;
                }

                frame = new Pfn(poolStart.Value + poolTaken++);
            }

            allocated.Add(frame);
            _ = TryTranslate(frame.Address, out Hva host);

            // SAFETY: the frame lies in the pool, which is mapped until Dispose.
            new Span<byte>((void*)host.Value, (int)PageSize.Size4K).Clear();
            return true;
        }
    }

    /// <summary>Gives a frame back to the pool.</summary>
    /// <exception cref="ArgumentException">It is not one that the pool gave.</exception>
    public void Free(Pfn frame)
    {
        lock (change)
        {
            if (!allocated.Remove(frame))
            {
                throw new ArgumentException($"frame {frame} was not allocated from the pool", nameof(frame));
            }

            free.Push(frame);
        }
    }

    /// <summary>Finds where a host-physical address is mapped in this process; false: it is no memory. The answer serves the rest of its 4 KiB frame.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTranslate(Hpa hpa, out Hva hva)
    {
        // The pool is also a region; a second look-up for it spares table walks a load that each of their reads would wait for.
        if (hpa.Value - poolAddress < poolLength)
        {
            hva = new Hva(hpa.Value + poolAddend);
            return true;
        }

        Section[] all = sections;
        ulong index = hpa.Value >> SectionShift;
        if (index < (ulong)all.Length)
        {
            ref readonly Section section = ref all[index];
            ulong offset = hpa.Value & (SectionSize - 1);
            if (offset < section.Length)
            {
                hva = section.Host + offset;
                return true;
            }
        }

        hva = default;
        return false;
    }

    /// <summary>Reads a word atomically; false: no memory is there.</summary>
    /// <param name="hpa">A multiple of 8.</param>
    /// <param name="value">The word.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRead(Hpa hpa, out ulong value)
    {
        // SAFETY, for the three: an aligned word lies in one frame, which the region promises to be mapped.
        if (!TryTranslate(hpa, out Hva hva) || (hpa.Value & 7) != 0)
        {
            value = CheckAligned(hpa);
            return false;
        }

        value = Volatile.Read(ref *(ulong*)hva.Value);
        return true;
    }

    /// <summary>Writes a word atomically; false: no memory is there.</summary>
    /// <param name="hpa">A multiple of 8.</param>
    /// <param name="value">The word.</param>
    public bool TryWrite(Hpa hpa, ulong value)
    {
        _ = CheckAligned(hpa);
        if (!TryTranslate(hpa, out Hva hva))
        {
            return false;
        }

        Volatile.Write(ref *(ulong*)hva.Value, value);
        return true;
    }

    /// <summary>Replaces a word if it still holds <paramref name="expected"/>; false: no memory is there.</summary>
    /// <param name="hpa">A multiple of 8.</param>
    /// <param name="expected">What it should hold.</param>
    /// <param name="desired">What it shall hold.</param>
    /// <param name="exchanged">Whether it was replaced.</param>
    public bool TryCompareExchange(Hpa hpa, ulong expected, ulong desired, out bool exchanged)
    {
        _ = CheckAligned(hpa);
        if (!TryTranslate(hpa, out Hva hva))
        {
            exchanged = false;
            return false;
        }

        exchanged = Interlocked.CompareExchange(ref *(ulong*)hva.Value, desired, expected) == expected;
        return true;
    }

    /// <summary>Frees the pool and forgets all regions: nothing is memory any more.</summary>
    public void Dispose()
    {
        lock (change)
        {
            disposed = true;
            poolLength = 0;
            Volatile.Write(ref sections, []);
            pool?.Dispose();
            pool = null;
        }
    }

    private Pfn Add(Hva host, ulong size)
    {
        ulong count = ((size - 1) >> SectionShift) + 1;
        ulong start = 1;
        for (ulong at = 1; at - start < count; at++)
        {
            if (at >= MaxSections)
            {
                HostMemoryException.Throw(size, Errno.ENOMEM);
            }

            start = at < (ulong)sections.Length && sections[at].Length != 0 ? at + 1 : start;
        }

        Section[] next = new Section[Math.Max((ulong)sections.Length, start + count)];
        sections.CopyTo(next, 0);
        Pfn first = new Hpa(start << SectionShift).Frame;
        for (ulong i = 0; i < count; i++)
        {
            ulong offset = i << SectionShift;
            next[start + i] = new Section(host + offset, Math.Min(SectionSize, size - offset), first);
        }

        Volatile.Write(ref sections, next);
        return first;
    }

    private bool TryMakePool()
    {
        if (pool is not null)
        {
            return true;
        }

        HostMemory memory;
        try
        {
            memory = HostMemory.Create((ulong)PoolFrames * PageSize.Size4K, HostMemoryKind.Anonymous);
        }
        catch (HostMemoryException)
        {
            return false;
        }

        poolStart = Add(memory.Base, memory.Size);
        pool = memory;
        poolAddress = poolStart.Address.Value;
        poolAddend = memory.Base.Value - poolAddress;
        Volatile.Write(ref poolLength, memory.Size);
        return true;
    }

    private static ulong CheckAligned(Hpa hpa)
    {
        if ((hpa.Value & 7) != 0)
        {
            ThrowMisaligned(hpa);
        }

        return 0;
    }

    [DoesNotReturn]
    private static void ThrowMisaligned(Hpa hpa) =>
        throw new ArgumentException($"a 64-bit word at {hpa} is not naturally aligned, so no access to it is atomic", nameof(hpa));

    /// <summary>Where a section's bytes are, how many it has, and the first frame of its region.</summary>
    private readonly record struct Section(Hva Host, ulong Length, Pfn First);
}
