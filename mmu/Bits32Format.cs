using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The geometry of 32-bit paging (SDM Vol. 3A, section 5.3 and tables 5-3 to 5-6), with PSE-36.</summary>
/// <remarks>
/// A PDE that maps a 4 MiB page; bits 20:13 hold the address bits from 32 up, as many as there are, and the rest up to 21 is reserved.
/// <code>
///  31                22 21 20            13 12  11  9 8  7  6  5  4   3   2   1  0
/// +--------------------+--+----------------+---+-----+--+--+--+--+---+---+---+---+--+
/// | address bits 31:22 | 0| bits 39:32     |PAT| ign.|G |PS|D |A |PCD|PWT|U/S|R/W|P |
/// +--------------------+--+----------------+---+-----+--+--+--+--+---+---+---+---+--+
/// </code>
/// An entry is 4 bytes and tables are read by 8, so an entry is one half of a word; the other half goes through a compare-and-swap as it
/// was. A neighbour that changes meanwhile makes the exchange fail, which costs another walk.
/// </remarks>
internal readonly struct Bits32Format : IPagingFormat
{
    public const int LargePageShift = 22;

    private const int IndexBits = 10;
    private const int MostAddressBits = 40;
    private const int HighAddressShift = 13;
    private const ulong HighAddressBits = 0xff;
    private const ulong AfterPat = 0x3f_e000;
    private const ulong TableAddress = 0xffff_f000;
    private const ulong LargePageAddress = 0xffc0_0000;
    private const ulong WordMask = sizeof(ulong) - 1;

    public static int TopLevel => 2;

    public static bool HasPdpteRegisters => false;

    public static ulong Root(in PagingState state) => state.Cr3 & TableAddress;

    public static int Shift(int level) => PageSize.Shift4K + (IndexBits * (level - 1));

    public static Gpa EntryAddress(ulong table, Gva gva, int level)
    {
        ulong index = (gva.Value >> Shift(level)) & ((1UL << IndexBits) - 1);
        return new(table + (index * sizeof(uint)));
    }

    public static bool MapsPage(PageTableEntry entry, int level, in PagingState state) => level == 1 || (entry.PS && state.PSE);

    public static ulong ReservedEverywhere(in PagingState state) => 0;

    public static ulong ReservedHere(int level, bool mapsPage, in PagingState state)
    {
        int highBits = state.Pse36 ? Math.Clamp(state.PhysicalAddressBits, (byte)32, (byte)MostAddressBits) - 32 : 0;
        ulong used = ((1UL << highBits) - 1) << HighAddressShift;
        return mapsPage && level == 2 ? AfterPat & ~used : 0;
    }

    public static ulong PageAddress(PageTableEntry entry, int level) =>
        level == 1
            ? entry.Raw & TableAddress
            : (entry.Raw & LargePageAddress) | (((entry.Raw >> HighAddressShift) & HighAddressBits) << 32);

    /// <summary>The bits of a PDE for the address of a 4 MiB page, of at most 40 bits.</summary>
    public static ulong LargePageAddressBits(ulong gpa) => (gpa & LargePageAddress) | ((gpa >> 32) << HighAddressShift);

    public static bool TryRead<TTables>(ref TTables tables, Gpa entry, out ulong raw)
        where TTables : struct, ITableMemory
    {
        bool found = tables.TryRead(WordOf(entry), out ulong word);
        raw = (uint)(word >> HalfShift(entry));
        return found;
    }

    public static bool TryCompareExchange<TTables>(ref TTables tables, Gpa entry, ulong expected, ulong desired, out bool exchanged)
        where TTables : struct, ITableMemory
    {
        exchanged = false;
        if (!tables.TryRead(WordOf(entry), out ulong word))
        {
            return false;
        }

        return (uint)(word >> HalfShift(entry)) != expected
            || tables.TryCompareExchange(WordOf(entry), word, word ^ ((expected ^ desired) << HalfShift(entry)), out exchanged);
    }

    private static Gpa WordOf(Gpa entry) => new(entry.Value & ~WordMask);

    private static int HalfShift(Gpa entry) => (int)(entry.Value & WordMask) * 8;
}
