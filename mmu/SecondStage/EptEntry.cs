namespace Quadwalk.Mmu;

/// <summary>An entry of an EPT paging structure (SDM Vol. 3C, tables 29-1 to 29-7).</summary>
/// <remarks><code>
///  63 62 61 60 59 52 51           M M-1                12 11 10  9  8  7  6 5   3 2 1 0
/// +--+-----+--+------+-------------+--------------------+--+--+--+--+--+--+-----+-+-+-+
/// |SV| ign.|SS| ign. | reserved(0) | frame of page/table|ig|XU|D |A |PS|IP| MT  |X|W|R|
/// +--+-----+--+------+-------------+--------------------+--+--+--+--+--+--+-----+-+-+-+
/// </code>
/// M is MAXPHYADDR. Where an entry references a table, bits 7:3 are reserved; where it maps a page, bits 5:3 are the memory type, 6 is
/// "ignore PAT", and the address bits below the page's size are reserved. Bit 7 is ignored in a PTE. A, D, XU and bit 60 are ignored unless the
/// controls that give them a meaning are on. Bits 57, 58 and 61 belong to guest-paging verification and sub-page permissions, which are not
/// modelled: those controls count as 0 and the bits as ignored. Bit 63, "suppress #VE", is ignored too.
/// </remarks>
public readonly record struct EptEntry(ulong Raw)
{
    /// <summary>Data reads.</summary>
    public const ulong ReadBit = 1UL << 0;

    /// <summary>Data writes.</summary>
    public const ulong WriteBit = 1UL << 1;

    /// <summary>Instruction fetches; with mode-based execute control, from supervisor-mode linear addresses.</summary>
    public const ulong ExecuteBit = 1UL << 2;

    /// <summary>Where the memory type of a page begins.</summary>
    public const int MemoryTypeShift = 3;

    /// <summary>The memory type of a page.</summary>
    public const ulong MemoryTypeMask = 7UL << MemoryTypeShift;

    /// <summary>Ignore PAT.</summary>
    public const ulong IgnorePatBit = 1UL << 6;

    /// <summary>A PDPTE or PDE with it set maps a page.</summary>
    public const ulong PSBit = 1UL << 7;

    /// <summary>Accessed, if EPTP bit 6 is 1.</summary>
    public const ulong ABit = 1UL << 8;

    /// <summary>Dirty, in an entry that maps a page, if EPTP bit 6 is 1.</summary>
    public const ulong DBit = 1UL << 9;

    /// <summary>With mode-based execute control: instruction fetches from user-mode linear addresses.</summary>
    public const ulong ExecuteUserBit = 1UL << 10;

    /// <summary>Supervisor shadow-stack page, if EPTP bit 7 is 1.</summary>
    public const ulong ShadowStackBit = 1UL << 60;

    /// <summary>Suppress #VE.</summary>
    public const ulong SuppressVeBit = 1UL << 63;

    /// <summary>Bits 51:12.</summary>
    public const ulong AddressMask = PageTableEntry.AddressMask4K;

    /// <summary>The memory type of a page; 2, 3 and 7 are reserved here.</summary>
    public MemoryType MemoryType => (MemoryType)((Raw >> MemoryTypeShift) & 7);

    /// <inheritdoc/>
    public override string ToString() => $"0x{Raw:x16}";
}
