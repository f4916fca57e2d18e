using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>
/// Each kind of operation in worlds with a past, with its first allocation failing, its second, and so on: what fails leaves every counter as
/// it was (P12), and nothing leaks (P4).
/// </summary>
[TestFixture]
public sealed class AllocationFailureTests
{
    private const int Worlds = 12;
    private const int StepsBefore = 700;
    private const int MostAllocations = 4;

    [Test]
    public void A_failed_allocation_changes_no_counter([Values] WorldOp op)
    {
        for (int seed = 1; seed <= Worlds; seed++)
        {
            using RandomWorld world = new(new WorldOptions { Seed = (ulong)seed, Mix = WorldMix.Of("P12") });
            world.Run(StepsBefore);
            world.Rest();
            for (int allocations = 0; allocations <= MostAllocations && world.Failure is null; allocations++)
            {
                if (ListedOutcomes.Problem(world, op, allocations) is string problem)
                {
                    Assert.Fail($"seed {seed}: {problem}");
                }

                Assert.That(FrameCensus.Problem(world), Is.Null, $"seed {seed}, {op} after {allocations} allocations");
            }

            Assert.That(world.Failure, Is.Null);
        }
    }
}
