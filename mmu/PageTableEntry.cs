namespace Quadwalk.Mmu;

/// <summary>
/// An entry of a paging structure, drawn here for 4-level and 5-level paging (SDM Vol. 3A, tables 5-15 to 5-20). The bits mean the same at every
/// level; where the levels differ, the remarks of the member say so. A 4-byte entry of 32-bit paging is extended with zeros.
/// </summary>
/// <remarks><code>
///  63 62   59 58  52 51             M M-1                        12 11  9  8  7  6  5  4   3   2   1  0
/// +--+-------+------+---------------+------------------------------+-----+--+--+--+--+---+---+---+---+--+
/// |NX| PKEY  | ign. | reserved (0)  | frame of the page or table   | ign.|G |PS|D |A |PCD|PWT|U/S|R/W|P |
/// +--+-------+------+---------------+------------------------------+-----+--+--+--+--+---+---+---+---+--+
/// </code>
/// M is MAXPHYADDR. Bit 7 is PAT in a PTE and PS elsewhere; the PAT bit of a larger page is bit 12. In PAE paging bits 62:52 are reserved,
/// and a PDPTE has only P, PWT, PCD and its address.
/// </remarks>
public readonly struct PageTableEntry(ulong raw) : IEquatable<PageTableEntry>
{
    /// <summary>Present: the entry is used by translation.</summary>
    public const ulong PBit = 1UL << 0;

    /// <summary>Read/write.</summary>
    public const ulong RWBit = 1UL << 1;

    /// <summary>User/supervisor.</summary>
    public const ulong USBit = 1UL << 2;

    /// <summary>Page-level write-through.</summary>
    public const ulong PWTBit = 1UL << 3;

    /// <summary>Page-level cache disable.</summary>
    public const ulong PCDBit = 1UL << 4;

    /// <summary>Accessed.</summary>
    public const ulong ABit = 1UL << 5;

    /// <summary>Dirty; ignored in an entry that references a table.</summary>
    public const ulong DBit = 1UL << 6;

    /// <summary>Page size: a PDPTE or PDE with it set maps a page. Reserved in a PML5E and a PML4E; PAT in a PTE.</summary>
    public const ulong PSBit = 1UL << 7;

    /// <summary>Global; ignored in an entry that references a table, and where CR4.PGE is 0.</summary>
    public const ulong GBit = 1UL << 8;

    /// <summary>The PAT bit of a 4 KiB page.</summary>
    public const ulong Pat4KBit = 1UL << 7;

    /// <summary>The PAT bit of a 2 MiB, 4 MiB or 1 GiB page.</summary>
    public const ulong PatLargeBit = 1UL << 12;

    /// <summary>Execute disable; reserved where IA32_EFER.NXE is 0.</summary>
    public const ulong NXBit = 1UL << 63;

    /// <summary>Bits 51:12, the frame of a 4 KiB page or of the next table.</summary>
    public const ulong AddressMask4K = 0x000f_ffff_ffff_f000;

    /// <summary>Bits 51:21, the frame of a 2 MiB page.</summary>
    public const ulong AddressMask2M = 0x000f_ffff_ffe0_0000;

    /// <summary>Bits 51:30, the frame of a 1 GiB page.</summary>
    public const ulong AddressMask1G = 0x000f_ffff_c000_0000;

    /// <summary>The 64-bit word as it lies in memory.</summary>
    public ulong Raw { get; } = raw;

    /// <summary>Present.</summary>
    public bool P => (Raw & PBit) != 0;

    /// <summary>Read/write: 0 forbids writes to everything below.</summary>
    public bool RW => (Raw & RWBit) != 0;

    /// <summary>User/supervisor: 0 forbids user accesses to everything below.</summary>
    public bool US => (Raw & USBit) != 0;

    /// <summary>Page-level write-through.</summary>
    public bool PWT => (Raw & PWTBit) != 0;

    /// <summary>Page-level cache disable.</summary>
    public bool PCD => (Raw & PCDBit) != 0;

    /// <summary>Accessed.</summary>
    public bool A => (Raw & ABit) != 0;

    /// <summary>Dirty; meaningful in an entry that maps a page.</summary>
    public bool D => (Raw & DBit) != 0;

    /// <summary>Page size; see <see cref="PSBit"/>.</summary>
    public bool PS => (Raw & PSBit) != 0;

    /// <summary>The protection key; meaningful in an entry that maps a page, with CR4.PKE for a user page or CR4.PKS for a supervisor page.</summary>
    public int ProtectionKey => (int)(Raw >> 59) & 15;

    /// <summary>Global; meaningful in an entry that maps a page.</summary>
    public bool G => (Raw & GBit) != 0;

    /// <summary>Execute disable: 1 forbids instruction fetches from everything below.</summary>
    public bool NX => (Raw & NXBit) != 0;

    /// <summary>The address bits that an entry mapping a page of 2^<paramref name="pageShift"/> bytes holds.</summary>
    /// <param name="pageShift">12, 21 or 30.</param>
    public static ulong AddressMask(int pageShift) => AddressMask4K & ~((1UL << pageShift) - 1);

    /// <summary>Whether two entries are the same word.</summary>
    public static bool operator ==(PageTableEntry left, PageTableEntry right) => left.Raw == right.Raw;

    /// <summary>Whether two entries differ in any bit.</summary>
    public static bool operator !=(PageTableEntry left, PageTableEntry right) => left.Raw != right.Raw;

    /// <inheritdoc/>
    public bool Equals(PageTableEntry other) => Raw == other.Raw;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is PageTableEntry other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Raw.GetHashCode();

    /// <inheritdoc/>
    public override string ToString() => $"0x{Raw:x16}";
}
