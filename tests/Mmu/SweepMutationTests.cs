using NUnit.Framework;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The sweeps notice when a rule is wrong, on either side: each mutant must disagree with the other side in some state of a normal run.</summary>
[TestFixture]
internal sealed class SweepMutationTests
{
    private const ulong A = 1 << 5, D = 1 << 6;

    // The first of the states that a normal run takes at random.
    private static readonly int[] samples = [2_000, 20_000, 100_000];

    private static readonly (string Name, WrongWalker.Mistake Mistake)[] mistakes =
    [
        ("CR0.WP ignored", new(State: state => state with { Cr0 = state.Cr0 & ~PagingState.Cr0WP })),
        ("CR0.WP taken for set", new(State: state => state with { Cr0 = state.Cr0 | PagingState.Cr0WP })),
        ("SMEP ignored", new(State: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4SMEP })),
        ("SMAP ignored", new(State: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4SMAP })),
        ("RFLAGS.AC ignored", new(State: state => state with { AlignmentCheck = false })),
        ("PKE ignored", new(State: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4PKE })),
        ("PKS ignored", new(State: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4PKS })),
        ("PKRU for PKRS", new(State: state => state with { Pkrs = state.Pkru })),
        ("CET ignored", new(State: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4CET })),
        ("NXE ignored", new(State: state => state with { Efer = state.Efer & ~PagingState.EferNXE })),
        ("NXE taken for set", new(State: state => state with { Efer = state.Efer | PagingState.EferNXE })),
        ("PGE ignored", new(State: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4PGE })),
        ("PSE ignored", new(State: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4PSE })),
        ("PSE-36 taken for there", new(State: state => state with { Pse36 = true })),
        ("1 GiB pages taken for there", new(State: state => state with { Page1G = true })),
        ("MAXPHYADDR one more", new(State: state => state with { PhysicalAddressBits = (byte)(state.PhysicalAddressBits + 1) })),
        ("LAM_U57 ignored", new(State: state => state with { Cr3 = state.Cr3 & ~PagingState.Cr3LamU57 })),
        ("LAM_U48 ignored", new(State: state => state with { Cr3 = state.Cr3 & ~PagingState.Cr3LamU48 })),
        ("LAM_SUP ignored", new(State: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4LamSup })),
        ("the policy for accessed flags ignored", new(State: state => state with { Accessed = AccessedPolicy.OnSuccess })),
        ("every access explicit", new(Access: access => access with { Implicit = false })),
        ("every access the supervisor's", new(Access: access => access with { User = false })),
        ("shadow-stack accesses taken for others", new(Access: access => access with { ShadowStack = false })),
        ("fetches taken for reads", new(Access: access => access.Kind == AccessKind.Execute ? access with { Kind = AccessKind.Read } : access)),
        ("A never set", new(FlagsNotSet: A)),
        ("D never set", new(FlagsNotSet: D)),
        .. Enum.GetValues<PageFaultCode>().Where(bit => bit != 0).Select(bit => ($"{bit} missing from the error code", new WrongWalker.Mistake(
            Result: result => result with { ErrorCode = result.ErrorCode & ~bit }))),
        .. Enum.GetValues<PageRights>().Where(right => right != 0).Select(right => ($"{right} missing from the rights", new WrongWalker.Mistake(
            Result: result => result with { Rights = result.Rights & ~right }))),
    ];

    private static IEnumerable<TestCaseData> Mistakes => mistakes.Select(item => new TestCaseData(item.Mistake).SetArgDisplayNames(item.Name));

    [TestCaseSource(nameof(Mistakes))]
    public void AWalkerThatIsWrongIsNoticed(object mistake)
    {
        WrongWalker.Make((WrongWalker.Mistake)mistake);
        Assert.That(FirstToNotice<WrongWalker>(SweepRules.Sdm, out _), Is.Not.Null);
    }

    [Test]
    public void TheWalkerIsNotMistaken()
    {
        WrongWalker.Make(default);
        Assert.That(FirstToNotice<WrongWalker>(SweepRules.Sdm, out _), Is.Null);
    }

    [Test]
    public void EveryRowAndEveryCellOfTheRulesMatters()
    {
        int byPairs = 0, bySample = 0;
        List<string> unnoticed = [];
        foreach ((string name, SweepRules rules) in SweepMutants.All())
        {
            bool noticed = FirstToNotice<RealWalker>(rules, out bool inPairs) != null;
            byPairs += noticed && inPairs ? 1 : 0;
            bySample += noticed && !inPairs ? 1 : 0;
            if (!noticed)
            {
                unnoticed.Add(name);
            }
        }

        TestContext.Out.WriteLine($"{byPairs} wrong rules noticed by states with every two values, {bySample} by random states");
        Assert.That(unnoticed, Is.Empty);
        Assert.That(byPairs + bySample, Is.GreaterThan(100));
    }

    /// <summary>The sweep in which walker and rules disagree, in states of a normal run; null if they never do.</summary>
    private static Sweep? FirstToNotice<TWalker>(SweepRules rules, out bool inPairs)
        where TWalker : struct, ISweepWalker
    {
        SweepCheck<TWalker>[] checks = [.. PagingSweeps.All.Select(sweep => new SweepCheck<TWalker>(sweep, rules))];
        for (int i = 0; i < checks.Length; i++)
        {
            if (SweepPairsOf.Sweep(PagingSweeps.All[i]).RunUntil(checks[i], () => checks[i].Mismatches > 0))
            {
                inPairs = true;
                return PagingSweeps.All[i];
            }
        }

        inPairs = false;
        foreach (int count in samples)
        {
            for (int i = 0; i < checks.Length; i++)
            {
                SweepSample.Run(PagingSweeps.All[i], checks[i], count, PagingSweepTests.Seed);
                if (checks[i].Mismatches > 0)
                {
                    return PagingSweeps.All[i];
                }
            }
        }

        return null;
    }
}
