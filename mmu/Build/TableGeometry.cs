using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>What a builder of page tables has to know of a paging mode (SDM Vol. 3A, sections 5.3 to 5.5).</summary>
internal readonly struct TableGeometry(PagingMode mode)
{
    private const ulong FourGiB = 1UL << 32;
    private const int LargePageAddressBits = 40;

    public PagingMode Mode { get; } = mode;

    public int TopLevel => Mode switch
    {
        PagingMode.Bits32 => 2,
        PagingMode.Pae => 3,
        PagingMode.FiveLevel => FiveLevelFormat.TopLevel,
        _ => LongModeFormat.TopLevel,
    };

    /// <summary>The bytes of an entry.</summary>
    public int EntrySize => IsBits32 ? sizeof(uint) : sizeof(ulong);

    /// <summary>The first address that no table may have: an entry, or CR3, has only so many bits for it.</summary>
    public ulong EndOfTables(bool root) => IsBits32 || (root && Mode == PagingMode.Pae) ? FourGiB : PageTableEntry.AddressMask4K + PageSize.Size4K;

    /// <summary>The rights and cache bits that an entry mapping a page can express.</summary>
    public PageRights Mappable =>
        PageRights.User | PageRights.Write | PageRights.Dirty | PageRights.Global
        | PageRights.WriteThrough | PageRights.CacheDisable | PageRights.Pat | (IsBits32 ? PageRights.None : PageRights.NoExecute);

    private bool IsBits32 => Mode == PagingMode.Bits32;

    public int Shift(int level) => IsBits32 ? Bits32Format.Shift(level) : LongModeFormat.Shift(level);

    public Gpa EntryAddress(Gpa table, ulong gva, int level) =>
        IsBits32 ? Bits32Format.EntryAddress(table.Value, new(gva), level) : LongModeFormat.EntryAddress(table.Value, new(gva), level);

    /// <summary>Whether pages of 2^<paramref name="shift"/> bytes exist.</summary>
    public bool HasPages(int shift) => shift switch
    {
        PageSize.Shift4K => true,
        PageSize.Shift2M => !IsBits32,
        Bits32Format.LargePageShift => IsBits32,
        PageSize.Shift1G => Mode is PagingMode.FourLevel or PagingMode.FiveLevel,
        _ => false,
    };

    public bool IsPage(PageTableEntry entry, int level) => entry.P && (level == 1 || (entry.PS && HasPages(Shift(level))));

    /// <summary>What an entry that references a table grants all that lies below it: a PDPTE of PAE paging has no such bits.</summary>
    public ulong ReferenceFlags(int level, PageRights rights)
    {
        ulong user = (rights & PageRights.User) != 0 ? PageTableEntry.USBit : 0;
        return PageTableEntry.PBit | (Mode == PagingMode.Pae && level == 3 ? 0 : PageTableEntry.RWBit | user);
    }

    /// <summary>Whether an entry of a level can map the page at an address: those of 32-bit paging hold 32 bits of it, or 40 for 4 MiB pages.</summary>
    public bool CanHold(ulong gpa, int level) => !IsBits32 || gpa < (level == 1 ? FourGiB : 1UL << LargePageAddressBits);

    /// <summary>The bits of an entry for the address of the page it maps.</summary>
    public ulong PageAddressBits(ulong gpa, int level) => IsBits32 && level == 2 ? Bits32Format.LargePageAddressBits(gpa) : gpa;

    public bool IsCanonical(ulong gva) => Mode switch
    {
        PagingMode.FourLevel => LongModeFormat.IsCanonical(new(gva)),
        PagingMode.FiveLevel => FiveLevelFormat.IsCanonical(new(gva)),
        _ => gva < FourGiB,
    };
}
