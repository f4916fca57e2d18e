using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>All orders of a scenario where there are not too many; else the first of them, and many drawn at random.</summary>
internal static class Orders
{
    private const long Most = 60_000;
    private const ulong Drawn = 4_000;

    /// <summary>Runs them.</summary>
    /// <returns>How many orders were run.</returns>
    /// <exception cref="InterleavingException">One of them went wrong.</exception>
    public static long Explore(Func<Scenario> make)
    {
        try
        {
            return StepScheduler.ExploreAll(make, limit: Most);
        }
        catch (InvalidOperationException)
        {
            for (ulong seed = 0; seed < Drawn; seed++)
            {
                using Scenario scenario = make();
                StepScheduler.RunRandom(scenario, seed);
            }

            return Most + (long)Drawn;
        }
    }
}
