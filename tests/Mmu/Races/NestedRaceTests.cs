using NUnit.Framework;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Another processor edits the tables of both stages while they are walked: as <see cref="PageWalkerRaceTests"/>, for <see cref="NestedWalker"/>.</summary>
[TestFixture]
internal sealed class NestedRaceTests
{
    private static readonly WalkAccess[] accesses =
    [
        new(AccessKind.Read, User: true), new(AccessKind.Write, User: true), new(AccessKind.Execute, User: true), new(AccessKind.Write, User: false),
    ];

    /// <summary>One store before any access of the walk, each of those there are.</summary>
    [Test]
    public void EveryInterleavingOfOneStore([Values] bool accessedDirty, [Values] bool marked, [Values] AccessedPolicy policy)
    {
        NestedRaceBench bench = new(accessedDirty, marked);
        RaceEdit[] one = new RaceEdit[1];
        foreach (WalkAccess access in accesses)
        {
            Assert.That(bench.TryWalk([], access, policy), Is.Null);
            foreach (RaceEdit store in bench.Stores)
            {
                for (int at = 0; at <= (marked ? 26 : 52); at++)
                {
                    one[0] = store with { At = at };
                    if (bench.TryWalk(one, access, policy) is string wrong)
                    {
                        Assert.Fail(wrong);
                    }
                }
            }
        }

        Report(bench, marked ? 0 : bench.Walks / 500);
    }

    /// <summary>Scripts of up to 300 stores, before every access at the worst.</summary>
    [Test]
    public void LongScriptsAtRandom([Values] bool accessedDirty, [Values] AccessedPolicy policy)
    {
        const int seed = 20261121, rounds = 20_000;
        Random random = new(seed);
        NestedRaceBench[] benches = [new(accessedDirty, marked: false), new(accessedDirty, marked: true)];
        for (int round = 0; round < rounds; round++)
        {
            NestedRaceBench bench = benches[round % 2];
            RaceEdit[] script = new RaceEdit[random.Next(2, random.Next(2) == 0 ? 12 : 300)];
            int span = random.Next(1, script.Length * 2) + random.Next(40);
            for (int i = 0; i < script.Length; i++)
            {
                script[i] = bench.Stores[random.Next(bench.Stores.Length)] with { At = random.Next(span) };
            }

            Array.Sort(script, (x, y) => x.At.CompareTo(y.At));
            if (bench.TryWalk(script, accesses[random.Next(accesses.Length)], policy) is string wrong)
            {
                Assert.Fail($"seed {seed} round {round}: {wrong}");
            }
        }

        Report(benches[0], rounds / 500);
        Report(benches[1], rounds / 2000);
    }

    /// <summary>A walk that reaches memory as it must not is noticed with one store by another processor.</summary>
    [Test]
    public void AWalkThatRacesIsNoticed([Values] bool accessedDirty, [Values] AccessedPolicy policy, [Values] RacingFault fault)
    {
        NestedRaceBench bench = new(accessedDirty, marked: false, fault);
        RaceEdit[] one = new RaceEdit[1];
        int noticed = 0;
        foreach (RaceEdit store in bench.Stores)
        {
            for (int at = 0; at <= 52; at++)
            {
                one[0] = store with { At = at };
                noticed += bench.TryWalk(one, accesses[1], policy) is null ? 0 : 1;
            }
        }

        TestContext.Out.WriteLine($"{noticed} of {bench.Walks} walks");
        Assert.That(noticed, fault == RacingFault.None ? Is.Zero : Is.GreaterThan(bench.Walks / 500));
    }

    private static void Report(NestedRaceBench bench, int restarted)
    {
        TestContext.Out.WriteLine($"{bench.Walks} walks, {bench.Restarted} restarted: {string.Join(", ", bench.Outcomes.OrderBy(outcome => outcome.Key).Select(outcome => $"{outcome.Key} {outcome.Value}"))}");
        Assert.That(bench.Restarted, Is.GreaterThanOrEqualTo(restarted));
        Assert.That(bench.Outcomes.Keys, Is.SupersetOf(new[] { "None", "EptViolation", "EptMisconfiguration", "NotPresent", "ReservedBits", "WriteToReadOnlyPage" }));
    }
}
