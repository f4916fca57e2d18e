using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The geometry of PAE paging (SDM Vol. 3A, section 5.4 and tables 5-9 to 5-11): the two lower levels of 4-level paging, except that
/// bits 62:52 of an entry are reserved, below the PDPTE registers.
/// </summary>
internal readonly struct PaeFormat : IPagingFormat
{
    private const ulong IgnoredIn4Level = 0x7ff0_0000_0000_0000;

    public static int TopLevel => 2;

    public static bool HasPdpteRegisters => true;

    /// <summary>The address of the pointer table, which a walk does not read.</summary>
    public static ulong Root(in PagingState state) => PdpteRegisters.AddressOf(state.Cr3, 0).Value;

    public static int Shift(int level) => LongModeFormat.Shift(level);

    public static Gpa EntryAddress(ulong table, Gva gva, int level) => LongModeFormat.EntryAddress(table, gva, level);

    public static bool MapsPage(PageTableEntry entry, int level, in PagingState state) => level == 1 || entry.PS;

    /// <summary>Bits 62 to MAXPHYADDR, and NX without NXE.</summary>
    public static ulong ReservedEverywhere(in PagingState state) => LongModeFormat.ReservedEverywhere(state) | IgnoredIn4Level;

    public static ulong ReservedHere(int level, bool mapsPage, in PagingState state) => LongModeFormat.ReservedHere(level, mapsPage, state);

    public static ulong PageAddress(PageTableEntry entry, int level) => LongModeFormat.PageAddress(entry, level);

    public static bool TryRead<TTables>(ref TTables tables, Gpa entry, out ulong raw)
        where TTables : struct, ITableMemory => tables.TryRead(entry, out raw);

    public static bool TryCompareExchange<TTables>(ref TTables tables, Gpa entry, ulong expected, ulong desired, out bool exchanged)
        where TTables : struct, ITableMemory => tables.TryCompareExchange(entry, expected, desired, out exchanged);
}
