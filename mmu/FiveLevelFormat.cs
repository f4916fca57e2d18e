using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The geometry of 5-level paging (SDM Vol. 3A, section 5.5): that of 4-level paging below one more table, whose entries are PML5Es.</summary>
internal readonly struct FiveLevelFormat : IPagingFormat
{
    public const int TopLevel = 5;

    private const int LinearAddressBits = 57;

    static int IPagingFormat.TopLevel => TopLevel;

    static bool IPagingFormat.HasPdpteRegisters => false;

    public static bool IsCanonical(Gva gva)
    {
        const int unused = 64 - LinearAddressBits;
        return (ulong)((long)(gva.Value << unused) >> unused) == gva.Value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Root(in PagingState state) => LongModeFormat.Root(state);

    public static int Shift(int level) => LongModeFormat.Shift(level);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Gpa EntryAddress(ulong table, Gva gva, int level) => LongModeFormat.EntryAddress(table, gva, level);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MapsPage(PageTableEntry entry, int level, in PagingState state) => LongModeFormat.MapsPage(entry, level, state);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReservedEverywhere(in PagingState state) => LongModeFormat.ReservedEverywhere(state);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReservedHere(int level, bool mapsPage, in PagingState state) => LongModeFormat.ReservedHere(level, mapsPage, state);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong PageAddress(PageTableEntry entry, int level) => LongModeFormat.PageAddress(entry, level);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead<TTables>(ref TTables tables, Gpa entry, out ulong raw)
        where TTables : struct, ITableMemory => tables.TryRead(entry, out raw);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryCompareExchange<TTables>(ref TTables tables, Gpa entry, ulong expected, ulong desired, out bool exchanged)
        where TTables : struct, ITableMemory => tables.TryCompareExchange(entry, expected, desired, out exchanged);
}
