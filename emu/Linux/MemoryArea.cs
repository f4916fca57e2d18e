using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Rights as mmap(2) names them.</summary>
[Flags]
internal enum Protection
{
    None = 0,
    Read = 1,
    Write = 2,
    Execute = 4,
}

/// <summary>Where the contents of a private mapping come from.</summary>
internal interface IPageSource
{
    /// <summary>Reads at an offset; fewer bytes than asked for at the end, none behind it, and a negative errno on an error.</summary>
    int ReadPage(ulong offset, Span<byte> page);

    /// <summary>One area more shows it.</summary>
    void Attach()
    {
    }

    /// <summary>One area less.</summary>
    void Detach()
    {
    }
}

/// <summary>A piece of a program file.</summary>
internal sealed class BytesSource(ReadOnlyMemory<byte> bytes) : IPageSource
{
    /// <inheritdoc/>
    public int ReadPage(ulong offset, Span<byte> page)
    {
        if (offset >= (ulong)bytes.Length)
        {
            return 0;
        }

        int count = Math.Min(page.Length, bytes.Length - (int)offset);
        bytes.Span.Slice((int)offset, count).CopyTo(page);
        return count;
    }
}

/// <summary>A range of an address space with one set of rights: Linux's <c>vm_area_struct</c>. It never changes; changes make new ones.</summary>
/// <param name="Start">The first address; a multiple of 4096.</param>
/// <param name="End">The end; a multiple of 4096.</param>
/// <param name="Protection">What the program may do.</param>
internal sealed record MemoryArea(ulong Start, ulong End, Protection Protection)
{
    /// <summary>Where the contents come from; null for zeros.</summary>
    public IPageSource? Source { get; init; }

    /// <summary>The offset of <see cref="Start"/> in the source, or in <see cref="Shared"/>.</summary>
    public ulong Offset { get; init; }

    /// <summary>Whether a page wholly behind the end of the source is an error rather than zeros.</summary>
    public bool EndsWithSource { get; init; }

    /// <summary>The pages of a mapping that forks share; null for a private one.</summary>
    public SharedPages? Shared { get; init; }

    /// <summary>Whether mprotect(2) may make it writable.</summary>
    public bool MayWrite { get; init; } = true;

    /// <summary>Whether the heap grows it: brk(2).</summary>
    public bool IsHeap { get; init; }

    /// <summary>Whether an access is allowed; x86 pages that may be written or executed can be read.</summary>
    public bool Allows(AccessKind kind) => kind switch
    {
        AccessKind.Read => Protection != Protection.None,
        AccessKind.Write => (Protection & Protection.Write) != 0,
        _ => (Protection & Protection.Execute) != 0,
    };

    /// <summary>The area is in an address space.</summary>
    public void Attach()
    {
        Shared?.Attach();
        Source?.Attach();
    }

    /// <summary>The area is in an address space no more.</summary>
    public void Detach()
    {
        Shared?.Detach();
        Source?.Detach();
    }

    /// <summary>The part between two addresses inside it.</summary>
    public MemoryArea Part(ulong start, ulong end) => this with { Start = start, End = end, Offset = Offset + (start - Start) };

    /// <summary>Whether this and a following area can be one.</summary>
    public bool Continues(MemoryArea next) =>
        End == next.Start && Protection == next.Protection && Source is null && next.Source is null && Shared is null && next.Shared is null
        && IsHeap == next.IsHeap && MayWrite == next.MayWrite;

    /// <summary>The page-table entry of one of its pages.</summary>
    public ulong Entry(Gpa frame, bool writable) =>
        frame.Value | PageTableEntry.PBit
        | (Protection != Protection.None ? PageTableEntry.USBit : 0)
        | (writable && Allows(AccessKind.Write) ? PageTableEntry.RWBit : 0)
        | (Allows(AccessKind.Execute) ? 0 : PageTableEntry.NXBit);
}

/// <summary>The frames of an anonymous MAP_SHARED mapping, held as long as an area shows them.</summary>
internal sealed class SharedPages(LinuxFrames frames)
{
    private readonly Dictionary<ulong, Gpa> pages = [];
    private int areas;

    /// <summary>One area more.</summary>
    public void Attach() => areas++;

    /// <summary>One area less; the last takes the frames with it.</summary>
    public void Detach()
    {
        if (--areas == 0)
        {
            foreach (Gpa frame in pages.Values)
            {
                frames.Release(frame);
            }

            pages.Clear();
        }
    }

    /// <summary>The frame at an offset, made where it is missing, with one user more; false when RAM ran out.</summary>
    public bool TryTake(Machine machine, ulong offset, out Gpa frame)
    {
        if (!pages.TryGetValue(offset, out frame))
        {
            if (!frames.TryTake(out frame))
            {
                return false;
            }

            UserPageTable.Clear(machine, frame);
            pages.Add(offset, frame);
        }

        frames.Share(frame);
        return true;
    }
}
