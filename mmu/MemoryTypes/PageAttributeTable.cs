namespace Quadwalk.Mmu;

/// <summary>
/// IA32_PAT, eight memory types, and what selects among them (SDM Vol. 3A, sections 5.9.2 and 13.12).
/// </summary>
/// <remarks><code>
///  63  59 58 56 55  51 50 48       15  11 10  8 7    3 2   0
/// +------+-----+------+-----+ ... +------+-----+------+-----+
/// |  0   | PA7 |  0   | PA6 |     |  0   | PA1 |  0   | PA0 |
/// +------+-----+------+-----+ ... +------+-----+------+-----+
/// </code></remarks>
/// <param name="raw">The register; its bytes are memory types.</param>
public readonly struct PageAttributeTable(ulong raw) : IEquatable<PageAttributeTable>
{
    /// <summary>IA32_PAT after RESET: WB, WT, UC-, UC, twice. It is also what PCD and PWT mean where there is no PAT.</summary>
    public const ulong ResetValue = 0x0007_0406_0007_0406;

    /// <summary>How many entries there are.</summary>
    public const int Count = 8;

    private const ulong Cr4Pcide = 1UL << 17;
    private const int BitsOfEntry = 8;
    private const int TypeMask = 7;

    /// <summary>The register.</summary>
    public ulong Raw { get; } = raw;

    /// <summary>An entry.</summary>
    /// <param name="index">0 to 7.</param>
    public MemoryType this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Count);
            return (MemoryType)((Raw >> (index * BitsOfEntry)) & TypeMask);
        }
    }

    /// <summary>Whether two registers are the same.</summary>
    public static bool operator ==(PageAttributeTable left, PageAttributeTable right) => left.Raw == right.Raw;

    /// <summary>Whether two registers differ.</summary>
    public static bool operator !=(PageAttributeTable left, PageAttributeTable right) => left.Raw != right.Raw;

    /// <summary>For an access to a page. The PAT flag is bit 7 of a PTE and bit 12 of an entry that maps a larger page, of 4 MiB too.</summary>
    /// <param name="leaf">The entry that maps the page.</param>
    /// <param name="pageShift">log2 of the page's size.</param>
    public PatSelection ForPage(PageTableEntry leaf, int pageShift)
    {
        ulong pat = pageShift == GuestMemory.PageSize.Shift4K ? PageTableEntry.Pat4KBit : PageTableEntry.PatLargeBit;
        return Select(((leaf.Raw & pat) != 0 ? 4 : 0) | CacheFlags(leaf.Raw), PatSource.Page);
    }

    /// <summary>For an access to an entry of the table that CR3 points to: the root of the walk, or the four PDPTEs when they are loaded.</summary>
    public PatSelection ForRoot(in PagingState state) => state.IsLongMode && (state.Cr4 & Cr4Pcide) != 0
        ? Select(0, PatSource.Cr3WithPcid)
        : Select(CacheFlags(state.Cr3), PatSource.Cr3);

    /// <summary>For an access to an entry of a table that another entry, or a PDPTE register, references.</summary>
    /// <param name="above">The entry that references it.</param>
    public PatSelection ForTable(PageTableEntry above) => Select(CacheFlags(above.Raw), PatSource.EntryAbove);

    /// <summary>For an access without paging.</summary>
    public static PatSelection WithoutPaging() => new(MemoryType.WB, 0, PatSource.NoPaging);

    /// <inheritdoc/>
    public bool Equals(PageAttributeTable other) => Raw == other.Raw;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is PageAttributeTable other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Raw.GetHashCode();

    private static int CacheFlags(ulong raw) => ((raw & PageTableEntry.PCDBit) != 0 ? 2 : 0) | ((raw & PageTableEntry.PWTBit) != 0 ? 1 : 0);

    private PatSelection Select(int index, PatSource source) => new(this[index], index, source);
}
