using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// Counts the cached pieces of large pages by the region they lie in, so that INVLPG looks for pieces only where there may be some. Regions
/// share counters; a counter that is not 0 decides nothing.
/// </summary>
internal sealed class LargePageFilter
{
    private const int RegionShift = Bits32Format.LargePageShift;
    private const int Regions = 1024;
    private const int HugeRegions = 64;

    private readonly ushort[] regions = new ushort[Regions];
    private readonly ushort[] hugeRegions = new ushort[HugeRegions];

    /// <summary>Whether a piece of a large page that holds an address may be cached.</summary>
    public bool MayHold(ulong linear) => (regions[Region(linear)] | hugeRegions[HugeRegion(linear)]) != 0;

    /// <summary>A piece was cached.</summary>
    public void Add(ulong linear, int pageShift) => Counter(linear, pageShift)++;

    /// <summary>A piece was dropped.</summary>
    public void Remove(ulong linear, int pageShift) => Counter(linear, pageShift)--;

    private ref ushort Counter(ulong linear, int pageShift) =>
        ref pageShift == PageSize.Shift1G ? ref hugeRegions[HugeRegion(linear)] : ref regions[Region(linear)];

    private static int Region(ulong linear) => (int)(linear >> RegionShift) & (Regions - 1);

    private static int HugeRegion(ulong linear) => (int)(linear >> PageSize.Shift1G) & (HugeRegions - 1);
}
