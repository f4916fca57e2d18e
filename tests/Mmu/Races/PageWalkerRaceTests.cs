using NUnit.Framework;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Another processor edits the tables while they are walked. Whatever it does and when, a walk ends; what it gives is what entries gave that
/// were in memory when it used them; and it changes nothing but A and D in entries that still hold what it used.
/// </summary>
[TestFixture]
internal sealed class PageWalkerRaceTests
{
    private const ulong AccessedDirty = 0x60;

    private static readonly WalkAccess[] accesses =
    [
        new(AccessKind.Read, User: true), new(AccessKind.Write, User: true), new(AccessKind.Execute, User: true), new(AccessKind.Write, User: false),
    ];

    /// <summary>One store, or two, each of those there are and each before any access of the walk.</summary>
    [Test]
    public void EveryInterleavingOfAShortScript(
        [Values(PagingMode.FiveLevel, PagingMode.FourLevel, PagingMode.Pae, PagingMode.Bits32)] PagingMode mode,
        [Values] AccessedPolicy policy,
        [Values(0ul, AccessedDirty)] ulong flags)
    {
        RaceBench bench = new(mode, flags);
        int last = (RaceRules.TopLevel(mode) * 2) + 1;
        RaceEdit[] one = new RaceEdit[1], two = new RaceEdit[2];
        foreach (WalkAccess access in accesses)
        {
            bench.Walk([], access, policy, "alone");
            foreach (RaceEdit first in bench.Stores)
            {
                for (int at = 0; at <= 2 * last; at++)
                {
                    one[0] = first with { At = at };
                    bench.Walk(one, access, policy, "one store");
                }
            }
        }

        foreach (RaceEdit first in bench.Stores)
        {
            foreach (RaceEdit second in bench.Stores)
            {
                for (int at = 0; at <= last; at++)
                {
                    for (int then = at; then <= last; then++)
                    {
                        two[0] = first with { At = at };
                        two[1] = second with { At = then };
                        bench.Walk(two, accesses[1], policy, "two stores");
                    }
                }
            }
        }

        Report(bench, mode);
        Assert.That(bench.Restarted, Is.GreaterThan(flags == 0 ? bench.Walks / 100 : bench.Walks / 4000));
    }

    /// <summary>Scripts of up to 300 stores, before every access at the worst.</summary>
    [Test]
    public void LongScriptsAtRandom(
        [Values(PagingMode.FiveLevel, PagingMode.FourLevel, PagingMode.Pae, PagingMode.Bits32)] PagingMode mode, [Values] AccessedPolicy policy)
    {
        const int seed = 20261123, rounds = 20_000;
        Random random = new(seed);
        RaceBench[] benches = [new(mode, 0), new(mode, AccessedDirty)];
        for (int round = 0; round < rounds; round++)
        {
            RaceBench bench = benches[round % 2];
            RaceEdit[] script = new RaceEdit[random.Next(3, random.Next(2) == 0 ? 20 : 300)];
            int span = random.Next(1, script.Length * 2);
            for (int i = 0; i < script.Length; i++)
            {
                script[i] = bench.Stores[random.Next(bench.Stores.Length)] with { At = random.Next(span) };
            }

            Array.Sort(script, (x, y) => x.At.CompareTo(y.At));
            bench.Walk(script, accesses[random.Next(accesses.Length)], policy, $"seed {seed} round {round}");
        }

        foreach (RaceBench bench in benches)
        {
            Report(bench, mode);
            Assert.That(bench.Restarted, Is.GreaterThan(rounds / 200));
        }
    }

    /// <summary>The entry's neighbour in its 8-byte word changes before every access: no flag can ever be set, and none of those stores may be lost.</summary>
    [Test]
    public void ANeighbourThatNeverRestsEndsTheWalk([Values] AccessedPolicy policy)
    {
        RaceBench bench = new(PagingMode.Bits32, 0);
        RaceEdit neighbour = bench.Stores.First(store => store.Flip is 0xdead_bee7 or (0xdead_bee7ul << 32));
        RaceEdit[] script = [.. Enumerable.Range(0, 1000).Select(at => neighbour with { At = at })];
        WalkResult result = bench.Walk(script, accesses[1], policy, "neighbour");
        Assert.That((result.Failure, bench.MostAttempts), Is.EqualTo((WalkFailure.EntryContended, PageWalker.MaxAttempts)));
    }

    /// <summary>A walk that reaches memory as it must not is noticed with one store by another processor, in every mode.</summary>
    [Test]
    public void AWalkThatRacesIsNoticed(
        [Values(PagingMode.FiveLevel, PagingMode.FourLevel, PagingMode.Pae, PagingMode.Bits32)] PagingMode mode,
        [Values] AccessedPolicy policy,
        [Values] RacingFault fault)
    {
        RaceBench bench = new(mode, 0, fault);
        int noticed = 0;
        RaceEdit[] one = new RaceEdit[1];
        foreach (RaceEdit store in bench.Stores)
        {
            for (int at = 0; at <= RaceRules.TopLevel(mode) * 2; at++)
            {
                one[0] = store with { At = at };
                noticed += bench.TryWalk(one, accesses[1], policy, out _) is null ? 0 : 1;
            }
        }

        TestContext.Out.WriteLine($"{noticed} of {bench.Walks} walks");
        Assert.That(noticed, fault == RacingFault.None ? Is.Zero : Is.GreaterThan(bench.Walks / 100));
    }

    private static void Report(RaceBench bench, PagingMode mode)
    {
        TestContext.Out.WriteLine($"{mode}: {bench.Walks} walks, {bench.Restarted} restarted, {bench.MostAttempts} attempts at most: "
            + string.Join(", ", bench.Outcomes.OrderBy(outcome => outcome.Key).Select(outcome => $"{outcome.Key} {outcome.Value}")));
        Assert.That(bench.Outcomes.Keys, Is.SupersetOf(new[]
        {
            WalkFailure.None, WalkFailure.NotPresent, WalkFailure.WriteToReadOnlyPage, WalkFailure.UserAccessToSupervisorPage,
        }));
        Assert.That(bench.Outcomes.ContainsKey(WalkFailure.ReservedBits), Is.EqualTo(mode != PagingMode.Bits32));
    }
}
