using System.Collections.Concurrent;

namespace Quadwalk.Tests;

/// <summary>The pairs of each sweep, found once.</summary>
internal static class SweepPairsOf
{
    private static readonly ConcurrentDictionary<Sweep, SweepPairs> pairs = [];

    public static SweepPairs Sweep(Sweep sweep) => pairs.GetOrAdd(sweep, made => new SweepPairs(made));
}
