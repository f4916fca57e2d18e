using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Builds page tables of any paging mode in guest memory (SDM Vol. 3A, sections 5.3 to 5.5).</summary>
/// <remarks>
/// Entries that reference tables are given R/W, and U/S once a user page lies below them, so the rights of a page are those of its own entry.
/// A and D flags start at 0 unless <see cref="PageRights.Dirty"/> asks for D. Existing mappings are never split or replaced.
/// A range that cannot be mapped or unmapped leaves the tables as they were, except where table memory runs out or fails half-way.
/// </remarks>
public sealed class PageTableBuilder
{
    private readonly TableGeometry geometry;
    private readonly TableStore tables;

    /// <summary>Starts with an empty top-level table, in the first frame the allocator gives.</summary>
    /// <param name="memory">Guest memory; the tables are written through it.</param>
    /// <param name="allocate">Gives the next free frame for a table, or null when there is none. The frame is cleared by the builder.</param>
    /// <param name="mode">The paging mode, not <see cref="PagingMode.None"/>. The tables of 32-bit paging and the first of PAE paging lie below 4 GiB.</param>
    /// <exception cref="ArgumentOutOfRangeException">The mode has no tables.</exception>
    /// <exception cref="InvalidOperationException">There is no frame, or it is not memory, or lies too high for the mode.</exception>
    public PageTableBuilder(IGuestMemoryAccess memory, Func<Gfn?> allocate, PagingMode mode = PagingMode.FourLevel)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(allocate);
        if (mode == PagingMode.None || !Enum.IsDefined(mode))
        {
            throw new ArgumentOutOfRangeException(nameof(mode), mode, "A paging mode without tables.");
        }

        geometry = new TableGeometry(mode);
        tables = new TableStore(memory, allocate, geometry);
        Root = tables.Allocate();
    }

    /// <summary>Starts with an empty top-level table at the start of a range of guest memory, the rest of which holds the tables below it.</summary>
    /// <param name="memory">Guest memory; the tables are written through it.</param>
    /// <param name="tables">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB.</param>
    /// <param name="mode">The paging mode, not <see cref="PagingMode.None"/>.</param>
    /// <exception cref="ArgumentException">The range is misaligned, or the mode has no tables.</exception>
    /// <exception cref="InvalidOperationException">The range is empty, or its first frame is not memory, or lies too high for the mode.</exception>
    public PageTableBuilder(IGuestMemoryAccess memory, Gpa tables, ulong length, PagingMode mode = PagingMode.FourLevel)
        : this(memory, FramesOf(tables, length), mode)
    {
    }

    /// <summary>The paging mode that the tables are for.</summary>
    public PagingMode Mode => geometry.Mode;

    /// <summary>The address of the top-level table: PML5, PML4, PDPT or page directory.</summary>
    public Gpa Root { get; }

    /// <summary>A value for CR3: the root, with PCID, PWT and PCD 0.</summary>
    public ulong Cr3 => Root.Value;

    /// <summary>
    /// What MOV to CR3 would load into the PDPTE registers now; all 0 but for PAE paging. A range mapped later may need them loaded again.
    /// </summary>
    public PdpteRegisters Pdptes => Mode == PagingMode.Pae
        ? new(PdpteAt(0), PdpteAt(1), PdpteAt(2), PdpteAt(3))
        : default;

    /// <summary>How many frames hold tables, the top-level one included.</summary>
    public int TableFrames => tables.Allocated;

    /// <summary>Maps a range of guest-virtual addresses to guest-physical memory.</summary>
    /// <param name="gva">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="gpa">What it is mapped to; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <param name="rights">The rights and cache bits of every page.</param>
    /// <param name="largestPageShift">
    /// log2 of the largest page to use: 12, or 22 with 32-bit paging (which CR4.PSE has to allow), 21 with the others, 30 with 4-level and 5-level
    /// paging. Larger pages are used where both addresses are aligned and the range is long enough.
    /// </param>
    /// <exception cref="ArgumentException">
    /// A misaligned, empty, non-canonical or too large range, a page size or a right that the mode does not have, or memory that its entries cannot name.
    /// </exception>
    /// <exception cref="InvalidOperationException">Part of the range is mapped already, or table memory ran out or failed.</exception>
    public void Map(Gva gva, Gpa gpa, ulong length, PageRights rights, int largestPageShift = PageSize.Shift4K)
    {
        CheckRange(gva, length);
        CheckPhysicalRange(gpa, length);
        if (!geometry.HasPages(largestPageShift))
        {
            throw new ArgumentOutOfRangeException(nameof(largestPageShift), largestPageShift, $"No page has 2 to the power of this bytes ({Mode}).");
        }

        if ((rights & ~geometry.Mappable) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(rights), rights, $"Rights that no entry can express ({Mode}).");
        }

        Mapping mapping = new(gpa.Value - gva.Value, rights, largestPageShift);
        ulong last = gva.Value + (length - 1);
        CheckFree(Root, geometry.TopLevel, gva.Value, last, mapping);
        MapPart(Root, geometry.TopLevel, gva.Value, last, mapping);
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
        UnmapPart(Root, geometry.TopLevel, gva.Value, last, clear: false);
        UnmapPart(Root, geometry.TopLevel, gva.Value, last, clear: true);
    }

    private static Func<Gfn?> FramesOf(Gpa tables, ulong length)
    {
        CheckAligned(tables.Value | length, nameof(tables));
        ulong next = tables.Frame.Value;
        ulong end = next + (length >> PageSize.Shift4K);
        return () => next < end ? new Gfn(next++) : null;
    }

    private ulong PdpteAt(int index) => tables.Read(PdpteRegisters.AddressOf(Cr3, index)).Raw;

    /// <summary>Whether a slice is mapped by one page, its entry being free.</summary>
    private bool TakesPage(TableSlice slice, int level, in Mapping mapping)
    {
        int shift = geometry.Shift(level);
        bool aligned = ((slice.First + mapping.Delta) & ((1UL << shift) - 1)) == 0;
        return slice.IsWhole && aligned && shift <= mapping.LargestPageShift && geometry.HasPages(shift);
    }

    private void MapPart(Gpa table, int level, ulong first, ulong last, Mapping mapping)
    {
        foreach (TableSlice slice in TableSlice.Over(geometry, table, level, first, last))
        {
            PageTableEntry entry = tables.Read(slice.Entry);
            if (!entry.P && TakesPage(slice, level, mapping))
            {
                tables.Write(slice.Entry, LeafEntry(slice.First + mapping.Delta, level, mapping.Rights));
                continue;
            }

            ulong wanted = geometry.ReferenceFlags(level, mapping.Rights);
            PageTableEntry reference = entry.P ? new(entry.Raw | wanted) : new(tables.Allocate().Value | wanted);
            if (reference != entry)
            {
                tables.Write(slice.Entry, reference);
            }

            MapPart(Below(reference), level - 1, slice.First, slice.Last, mapping);
        }
    }

    /// <summary>Throws where something is mapped already, and where an entry could not hold the address of its page.</summary>
    private void CheckFree(Gpa? table, int level, ulong first, ulong last, Mapping mapping)
    {
        foreach (TableSlice slice in TableSlice.Over(geometry, table ?? default, level, first, last))
        {
            PageTableEntry entry = table is null ? default : tables.Read(slice.Entry);
            if (geometry.IsPage(entry, level))
            {
                throw new InvalidOperationException($"0x{slice.First:x} is mapped already, by the {WalkDescription.LevelName(level)} at {slice.Entry} = {entry}.");
            }

            if (entry.P)
            {
                CheckFree(Below(entry), level - 1, slice.First, slice.Last, mapping);
            }
            else if (Mode == PagingMode.Bits32 && !TakesPage(slice, level, mapping))
            {
                CheckFree(null, level - 1, slice.First, slice.Last, mapping);
            }
            else if (!geometry.CanHold(slice.First + mapping.Delta, level))
            {
                throw new ArgumentException($"A {WalkDescription.LevelName(level)} of 32-bit paging cannot name this address: 0x{slice.First + mapping.Delta:x}.");
            }
        }
    }

    private void UnmapPart(Gpa table, int level, ulong first, ulong last, bool clear)
    {
        foreach (TableSlice slice in TableSlice.Over(geometry, table, level, first, last))
        {
            PageTableEntry entry = tables.Read(slice.Entry);
            if (!entry.P)
            {
                throw new InvalidOperationException($"0x{slice.First:x} is not mapped: P is 0 in the {WalkDescription.LevelName(level)} at {slice.Entry}.");
            }

            if (!geometry.IsPage(entry, level))
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

    private static Gpa Below(PageTableEntry entry) => new(entry.Raw & PageTableEntry.AddressMask4K);

    private PageTableEntry LeafEntry(ulong gpa, int level, PageRights rights)
    {
        ulong raw = geometry.PageAddressBits(gpa, level) | PageTableEntry.PBit | (level > 1 ? PageTableEntry.PSBit : 0);
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

    private void CheckRange(Gva gva, ulong length)
    {
        CheckAligned(gva.Value, nameof(gva));
        CheckAligned(length, nameof(length));
        ArgumentOutOfRangeException.ThrowIfZero(length);
        Gva last = gva + (length - 1);
        bool oneHalf = ((gva.Value ^ last.Value) >> 63) == 0;
        if (!geometry.IsCanonical(gva.Value) || !geometry.IsCanonical(last.Value) || last.Value < gva.Value || !oneHalf)
        {
            string kind = geometry.TopLevel > 3 ? "canonical" : "32-bit";
            throw new ArgumentException($"{gva} to {last} is not a range of {kind} addresses.", nameof(gva));
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

    /// <summary>What a range is mapped to: what to add to a linear address, the rights, and log2 of the largest page.</summary>
    private readonly record struct Mapping(ulong Delta, PageRights Rights, int LargestPageShift);
}
