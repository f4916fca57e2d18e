using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The geometry of 4-level paging (SDM Vol. 3A, section 5.5 and tables 5-15 to 5-20).</summary>
internal readonly struct LongModeFormat : IPagingFormat
{
    public const int TopLevel = 4;

    private const int LinearAddressBits = 48;
    private const int IndexBits = 9;

    static int IPagingFormat.TopLevel => TopLevel;

    static bool IPagingFormat.HasPdpteRegisters => false;

    public static bool IsCanonical(Gva gva)
    {
        const int unused = 64 - LinearAddressBits;
        return (ulong)((long)(gva.Value << unused) >> unused) == gva.Value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Root(in PagingState state) => state.Cr3 & PageTableEntry.AddressMask4K & state.PhysicalMask;

    public static int Shift(int level) => PageSize.Shift4K + (IndexBits * (level - 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Gpa EntryAddress(ulong table, Gva gva, int level)
    {
        ulong index = (gva.Value >> Shift(level)) & ((1UL << IndexBits) - 1);
        return new(table + (index * sizeof(ulong)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MapsPage(PageTableEntry entry, int level, bool page1G) =>
        level == 1 || (entry.PS && (level == 2 || (level == 3 && page1G)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MapsPage(PageTableEntry entry, int level, in PagingState state) => MapsPage(entry, level, state.Page1G);

    /// <summary>Addresses beyond MAXPHYADDR, and NX without NXE.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReservedEverywhere(in PagingState state) =>
        (PageTableEntry.AddressMask4K & ~state.PhysicalMask) | (state.NXE ? 0 : PageTableEntry.NXBit);

    /// <summary>PS where it does not map a page, and the low address bits of a large page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReservedHere(int level, bool mapsPage, in PagingState state)
    {
        if (!mapsPage)
        {
            return level > 2 ? PageTableEntry.PSBit : 0;
        }

        return level == 1 ? 0 : ((1UL << Shift(level)) - 1) & ~(PageTableEntry.PatLargeBit | PageSize.Mask4K);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong PageAddress(PageTableEntry entry, int level) => entry.Raw & PageTableEntry.AddressMask(Shift(level));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead<TTables>(ref TTables tables, Gpa entry, out ulong raw)
        where TTables : struct, ITableMemory => tables.TryRead(entry, out raw);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryCompareExchange<TTables>(ref TTables tables, Gpa entry, ulong expected, ulong desired, out bool exchanged)
        where TTables : struct, ITableMemory => tables.TryCompareExchange(entry, expected, desired, out exchanged);
}
