using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Builds 4-level page tables in guest memory (SDM Vol. 3A, section 5.5).</summary>
/// <remarks>
/// Entries that reference tables are given R/W, and U/S once a user page lies below them, so the rights of a page are those of its own entry.
/// A and D flags start at 0 unless <see cref="PageRights.Dirty"/> asks for D. Existing mappings are never split or replaced.
/// A range that cannot be mapped or unmapped leaves the tables as they were, except where table memory runs out or fails half-way.
/// </remarks>
public sealed class PageTableBuilder
{
    private const PageRights Mappable =
        PageRights.User | PageRights.Write | PageRights.NoExecute | PageRights.Dirty | PageRights.Global
        | PageRights.WriteThrough | PageRights.CacheDisable | PageRights.Pat;

    private readonly TableStore tables;

    /// <summary>Starts with an empty PML4, in the first frame the allocator gives.</summary>
    /// <param name="memory">Guest memory; the tables are written through it.</param>
    /// <param name="allocate">Gives the next free frame for a table, or null when there is none. The frame is cleared by the builder.</param>
    /// <exception cref="InvalidOperationException">There is no frame, or it is not memory.</exception>
    public PageTableBuilder(IGuestMemoryAccess memory, Func<Gfn?> allocate)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(allocate);
        tables = new TableStore(memory, allocate);
        Root = tables.Allocate();
    }

    /// <summary>Starts with an empty PML4 at the start of a range of guest memory, the rest of which holds the tables below it.</summary>
    /// <param name="memory">Guest memory; the tables are written through it.</param>
    /// <param name="tables">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB.</param>
    /// <exception cref="ArgumentException">The range is misaligned.</exception>
    /// <exception cref="InvalidOperationException">The range is empty, or its first frame is not memory.</exception>
    public PageTableBuilder(IGuestMemoryAccess memory, Gpa tables, ulong length)
        : this(memory, FramesOf(tables, length))
    {
    }

    /// <summary>The address of the PML4.</summary>
    public Gpa Root { get; }

    /// <summary>A value for CR3: the root, with PCID, PWT and PCD 0.</summary>
    public ulong Cr3 => Root.Value;

    /// <summary>How many frames hold tables, the PML4 included.</summary>
    public int TableFrames => tables.Allocated;

    /// <summary>Maps a range of guest-virtual addresses to guest-physical memory.</summary>
    /// <param name="gva">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="gpa">What it is mapped to; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <param name="rights">The rights and cache bits of every page.</param>
    /// <param name="largestPageShift">
    /// log2 of the largest page to use: 12, 21 or 30. Larger pages are used where both addresses are aligned and the range is long enough.
    /// </param>
    /// <exception cref="ArgumentException">A misaligned, empty, non-canonical or too large range, or an unknown page size.</exception>
    /// <exception cref="InvalidOperationException">Part of the range is mapped already, or table memory ran out or failed.</exception>
    public void Map(Gva gva, Gpa gpa, ulong length, PageRights rights, int largestPageShift = PageSize.Shift4K)
    {
        CheckRange(gva, length);
        CheckPhysicalRange(gpa, length);
        if (largestPageShift is not (PageSize.Shift4K or PageSize.Shift2M or PageSize.Shift1G))
        {
            throw new ArgumentOutOfRangeException(nameof(largestPageShift), largestPageShift, "A page's size is 2^12, 2^21 or 2^30 bytes.");
        }

        if ((rights & ~Mappable) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(rights), rights, "Unknown rights.");
        }

        ulong last = gva.Value + (length - 1);
        CheckUnmapped(Root, LongModeFormat.TopLevel, gva.Value, last);
        MapPart(Root, LongModeFormat.TopLevel, gva.Value, last, gpa.Value - gva.Value, rights, largestPageShift);
    }

    /// <summary>Unmaps a range, all of which must be mapped, by pages that lie wholly inside it. Tables stay allocated.</summary>
    /// <param name="gva">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <exception cref="ArgumentException">A misaligned, empty or non-canonical range.</exception>
    /// <exception cref="InvalidOperationException">Part of the range is not mapped, or a large page reaches beyond it.</exception>
    public void Unmap(Gva gva, ulong length)
    {
        CheckRange(gva, length);
        ulong last = gva.Value + (length - 1);
        UnmapPart(Root, LongModeFormat.TopLevel, gva.Value, last, clear: false);
        UnmapPart(Root, LongModeFormat.TopLevel, gva.Value, last, clear: true);
    }

    private static Func<Gfn?> FramesOf(Gpa tables, ulong length)
    {
        CheckAligned(tables.Value | length, nameof(tables));
        ulong next = tables.Frame.Value;
        ulong end = next + (length >> PageSize.Shift4K);
        return () => next < end ? new Gfn(next++) : null;
    }

    private void MapPart(Gpa table, int level, ulong first, ulong last, ulong delta, PageRights rights, int largestPageShift)
    {
        int shift = LongModeFormat.Shift(level);
        foreach (TableSlice slice in TableSlice.Over(table, level, first, last))
        {
            PageTableEntry entry = tables.Read(slice.Entry);
            bool fits = slice.IsWhole && ((slice.First + delta) & ((1UL << shift) - 1)) == 0;
            if (!entry.P && level <= 3 && shift <= largestPageShift && fits)
            {
                tables.Write(slice.Entry, LeafEntry(slice.First + delta, level, rights));
                continue;
            }

            ulong wanted = PageTableEntry.PBit | PageTableEntry.RWBit | ((rights & PageRights.User) != 0 ? PageTableEntry.USBit : 0);
            PageTableEntry reference = entry.P ? new(entry.Raw | wanted) : new(tables.Allocate().Value | wanted);
            if (reference != entry)
            {
                tables.Write(slice.Entry, reference);
            }

            MapPart(Below(reference), level - 1, slice.First, slice.Last, delta, rights, largestPageShift);
        }
    }

    private void CheckUnmapped(Gpa table, int level, ulong first, ulong last)
    {
        foreach (TableSlice slice in TableSlice.Over(table, level, first, last))
        {
            PageTableEntry entry = tables.Read(slice.Entry);
            if (IsPage(entry, level))
            {
                throw new InvalidOperationException($"0x{slice.First:x} is mapped already, by the {WalkDescription.LevelName(level)} at {slice.Entry} = {entry}.");
            }

            if (entry.P)
            {
                CheckUnmapped(Below(entry), level - 1, slice.First, slice.Last);
            }
        }
    }

    private void UnmapPart(Gpa table, int level, ulong first, ulong last, bool clear)
    {
        foreach (TableSlice slice in TableSlice.Over(table, level, first, last))
        {
            PageTableEntry entry = tables.Read(slice.Entry);
            if (!entry.P)
            {
                throw new InvalidOperationException($"0x{slice.First:x} is not mapped: P is 0 in the {WalkDescription.LevelName(level)} at {slice.Entry}.");
            }

            if (!IsPage(entry, level))
            {
                UnmapPart(Below(entry), level - 1, slice.First, slice.Last, clear);
            }
            else if (!slice.IsWhole)
            {
                throw new InvalidOperationException(
                    $"The {WalkDescription.LevelName(level)} at {slice.Entry} = {entry} maps more than 0x{slice.First:x} to 0x{slice.Last:x}, and pages are not split.");
            }
            else if (clear)
            {
                tables.Write(slice.Entry, default);
            }
        }
    }

    private static bool IsPage(PageTableEntry entry, int level) => entry.P && LongModeFormat.MapsPage(entry, level, page1G: true);

    private static Gpa Below(PageTableEntry entry) => new(entry.Raw & PageTableEntry.AddressMask4K);

    private static PageTableEntry LeafEntry(ulong gpa, int level, PageRights rights)
    {
        ulong raw = gpa | PageTableEntry.PBit | (level > 1 ? PageTableEntry.PSBit : 0);
        raw |= (rights & PageRights.User) != 0 ? PageTableEntry.USBit : 0;
        raw |= (rights & PageRights.Write) != 0 ? PageTableEntry.RWBit : 0;
        raw |= (rights & PageRights.NoExecute) != 0 ? PageTableEntry.NXBit : 0;
        raw |= (rights & PageRights.Dirty) != 0 ? PageTableEntry.DBit : 0;
        raw |= (rights & PageRights.Global) != 0 ? PageTableEntry.GBit : 0;
        raw |= (rights & PageRights.WriteThrough) != 0 ? PageTableEntry.PWTBit : 0;
        raw |= (rights & PageRights.CacheDisable) != 0 ? PageTableEntry.PCDBit : 0;
        ulong pat = level == 1 ? PageTableEntry.Pat4KBit : PageTableEntry.PatLargeBit;
        return new(raw | ((rights & PageRights.Pat) != 0 ? pat : 0));
    }

    private static void CheckRange(Gva gva, ulong length)
    {
        CheckAligned(gva.Value, nameof(gva));
        CheckAligned(length, nameof(length));
        ArgumentOutOfRangeException.ThrowIfZero(length);
        Gva last = gva + (length - 1);
        bool oneHalf = ((gva.Value ^ last.Value) >> 63) == 0;
        if (!LongModeFormat.IsCanonical(gva) || !LongModeFormat.IsCanonical(last) || last.Value < gva.Value || !oneHalf)
        {
            throw new ArgumentException($"{gva} to {last} is not a range of canonical addresses.", nameof(gva));
        }
    }

    private static void CheckPhysicalRange(Gpa gpa, ulong length)
    {
        const ulong end = PageTableEntry.AddressMask4K + PageSize.Size4K;
        CheckAligned(gpa.Value, nameof(gpa));
        if (gpa.Value >= end || length > end - gpa.Value)
        {
            throw new ArgumentOutOfRangeException(nameof(gpa), gpa, "A guest-physical address has at most 52 bits.");
        }
    }

    private static void CheckAligned(ulong value, string name)
    {
        if ((value & PageSize.Mask4K) != 0)
        {
            throw new ArgumentException($"0x{value:x} is not a multiple of 4 KiB.", name);
        }
    }
}
