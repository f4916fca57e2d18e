using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// Exact counts of what a TLB did. Data accesses that the host-address entries of <see cref="TlbMode.Fast"/> served are not among the hits:
/// nothing is counted on that path, but the processor knows all its accesses.
/// </summary>
public sealed class TlbStatistics
{
    private const int Contexts = 3;
    private const int Sizes = 4;

    private readonly ulong[] hits = new ulong[Contexts * Sizes];
    private readonly ulong[] fills = new ulong[Contexts * Sizes];
    private readonly ulong[] evictions = new ulong[Sizes];
    private readonly ulong[] hostFills = new ulong[Contexts * Sizes];
    private readonly ulong[] hostEvictions = new ulong[Contexts * Sizes];
    private readonly ulong[] misses = new ulong[Contexts];
    private readonly ulong[] flushes = new ulong[Enum.GetValues<TlbFlushCause>().Length];
    private readonly ulong[] structureHits = new ulong[WalkLevels];

    /// <summary>One more than the highest level of a table.</summary>
    public const int WalkLevels = 6;

    /// <summary>Walks that filled, or tried to.</summary>
    public ulong Walks { get; internal set; }

    /// <summary>Entries that those walks read from memory.</summary>
    public ulong EntriesRead { get; internal set; }

    /// <summary>Uses of a cached translation that the tables no longer have; counted in <see cref="TlbMode.Strict"/>.</summary>
    public ulong StaleUses { get; internal set; }

    /// <summary>Lookups that found their translation.</summary>
    /// <param name="context">Who looked.</param>
    /// <param name="pageShift">12, 21, 22 or 30.</param>
    public ulong Hits(TlbContext context, int pageShift) => hits[Index(context, pageShift)];

    /// <summary>Lookups that found none.</summary>
    public ulong Misses(TlbContext context) => misses[(int)context];

    /// <summary>Translations put in after a walk.</summary>
    public ulong Fills(TlbContext context, int pageShift) => fills[Index(context, pageShift)];

    /// <summary>Translations that made room for another.</summary>
    public ulong Evictions(int pageShift) => evictions[SizeOf(pageShift)];

    /// <summary>4 KiB pieces of translations for which a host address was cached; <see cref="TlbMode.Fast"/> only.</summary>
    public ulong HostFills(TlbContext context, int pageShift) => hostFills[Index(context, pageShift)];

    /// <summary>Host addresses that made room for another.</summary>
    public ulong HostEvictions(TlbContext context, int pageShift) => hostEvictions[Index(context, pageShift)];

    /// <summary>Invalidations for a reason.</summary>
    public ulong Flushes(TlbFlushCause cause) => flushes[(int)cause];

    /// <summary>Walks that began below a cached entry of a level: 2 for PDEs, to 5 for PML5Es.</summary>
    public ulong StructureHits(int level) => structureHits[level];

    internal void CountHit(TlbContext context, int pageShift) => hits[Index(context, pageShift)]++;

    internal void CountMiss(TlbContext context) => misses[(int)context]++;

    internal void CountFill(TlbContext context, int pageShift) => fills[Index(context, pageShift)]++;

    internal void CountEviction(int pageShift) => evictions[SizeOf(pageShift)]++;

    internal void CountHostFill(TlbContext context, int pageShift) => hostFills[Index(context, pageShift)]++;

    internal void CountHostEviction(TlbContext context, int pageShift) => hostEvictions[Index(context, pageShift)]++;

    internal void CountFlush(TlbFlushCause cause) => flushes[(int)cause]++;

    internal void CountStructureHit(int level) => structureHits[level]++;

    private static int Index(TlbContext context, int pageShift) => ((int)context * Sizes) + SizeOf(pageShift);

    private static int SizeOf(int pageShift) => pageShift switch
    {
        PageSize.Shift4K => 0,
        PageSize.Shift2M => 1,
        Bits32Format.LargePageShift => 2,
        PageSize.Shift1G => 3,
        _ => throw new ArgumentOutOfRangeException(nameof(pageShift), pageShift, "Pages have 2^12, 2^21, 2^22 or 2^30 bytes."),
    };
}
