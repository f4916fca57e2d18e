using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The geometry of 4-level paging (SDM Vol. 3A, section 5.5 and tables 5-15 to 5-20).</summary>
internal static class LongModeFormat
{
    public const int TopLevel = 4;

    private const int LinearAddressBits = 48;
    private const int IndexBits = 9;

    public static bool IsCanonical(Gva gva)
    {
        const int unused = 64 - LinearAddressBits;
        return (ulong)((long)(gva.Value << unused) >> unused) == gva.Value;
    }

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

    /// <summary>The bits reserved in every entry: addresses beyond MAXPHYADDR, and NX without NXE.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReservedEverywhere(in PagingState state) =>
        (PageTableEntry.AddressMask4K & ~state.PhysicalMask) | (state.NXE ? 0 : PageTableEntry.NXBit);

    /// <summary>The bits reserved at this level only: PS where it does not map a page, and the low address bits of a large page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReservedHere(int level, bool mapsPage)
    {
        if (!mapsPage)
        {
            return level > 2 ? PageTableEntry.PSBit : 0;
        }

        return level == 1 ? 0 : ((1UL << Shift(level)) - 1) & ~(PageTableEntry.PatLargeBit | PageSize.Mask4K);
    }
}
