using NUnit.Framework;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The walker against the rules of the SDM, over the states of <see cref="PagingSweeps"/>.</summary>
[TestFixture]
internal sealed class PagingSweepTests
{
    /// <summary>Random states of each sweep in a normal run.</summary>
    public const int Samples = 1_000_000;

    /// <summary>What they are drawn from.</summary>
    public const ulong Seed = 0x5eed_0f_5eed;

    private static IEnumerable<TestCaseData> Sweeps => PagingSweeps.All.Select(sweep => new TestCaseData(sweep).SetArgDisplayNames(sweep.Name));

    [TestCaseSource(nameof(Sweeps))]
    public void EveryTwoValuesAndRandomStatesWalkAsTheSdmSays(object sweep) =>
        SweepReport.PairsAndSample((Sweep)sweep, SweepPairsOf.Sweep((Sweep)sweep), Samples, Seed);

    [TestCaseSource(nameof(Sweeps))]
    [Category("Full")]
    public void EveryStateWalksAsTheSdmSays(object sweep) => SweepReport.Product((Sweep)sweep);

    /// <summary>The counts of kvm-unit-tests' x86/access.c on a processor with protection keys, by its MAXPHYADDR.</summary>
    [TestCase("access (kvm axes)", 19_169_280)]
    [TestCase("access, MAXPHYADDR 36", 28_999_680)]
    [TestCase("access, MAXPHYADDR 52", 9_338_880)]
    public void TheAxesOfKvmHaveAsManyLegalStatesAsThere(string name, long states) =>
        Assert.That(PagingSweeps.All.Single(sweep => sweep.Name == name).States, Is.EqualTo(states));

    /// <summary>Counted from the rows alone, and with each pair that is missing proved impossible.</summary>
    [TestCaseSource(nameof(Sweeps))]
    public void EveryTwoValuesMeetWhereTheyCan(object item)
    {
        Sweep sweep = (Sweep)item;
        SweepPairs pairs = SweepPairsOf.Sweep(sweep);
        HashSet<(int, int, int, int)> impossible = [.. pairs.Impossible];
        int[] chosen = new int[sweep.Axes.Length];
        foreach ((int axis, int value, int other, int with) in pairs.Impossible)
        {
            Array.Fill(chosen, -1);
            (chosen[axis], chosen[other]) = (value, with);
            Assert.That(SweepPairs.IsPossible(sweep, chosen), Is.False, $"{sweep.Axes[axis].Name} and {sweep.Axes[other].Name}");
        }

        Assert.That(pairs.Rows.Count(row => sweep.IsExcluded(row)), Is.Zero);
        for (int axis = 0; axis < sweep.Axes.Length; axis++)
        {
            for (int other = axis + 1; other < sweep.Axes.Length; other++)
            {
                bool[] met = new bool[sweep.Axes[axis].Count * sweep.Axes[other].Count];
                foreach (int[] row in pairs.Rows)
                {
                    met[(row[axis] * sweep.Axes[other].Count) + row[other]] = true;
                }

                for (int i = 0; i < met.Length; i++)
                {
                    int value = i / sweep.Axes[other].Count, with = i % sweep.Axes[other].Count;
                    if (met[i] == impossible.Contains((axis, value, other, with)))
                    {
                        Assert.Fail($"{sweep.Axes[axis].Name}={sweep.Axes[axis].Values[value]} and {sweep.Axes[other].Name}={sweep.Axes[other].Values[with]}: met {met[i]}");
                    }
                }
            }
        }
    }

    [Test]
    public void AStateAllocatesNothing()
    {
        Sweep sweep = PagingSweeps.All[0];
        SweepCheck<RealWalker> check = new(sweep, SweepRules.Sdm);
        SweepSample.Run(sweep, check, 10_000, Seed);
        long before = GC.GetAllocatedBytesForCurrentThread();
        SweepSample.Run(sweep, check, 10_000, Seed);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1000), "one choice of values for all of them");
    }

    /// <summary>Which loads of PDPTE registers raise #GP: SDM Vol. 3A, table 5-8, for every two bits of an entry and every MAXPHYADDR.</summary>
    [Test]
    public void PdpteRegistersRefuseTheBitsOfTheTable()
    {
        (int From, int To)[] reserved = [(1, 2), (5, 8)];
        long states = 0;
        for (int maxPhysicalAddress = 32; maxPhysicalAddress <= 52; maxPhysicalAddress++)
        {
            bool[] isReserved = [.. Enumerable.Range(0, 64).Select(bit => bit >= maxPhysicalAddress || reserved.Any(range => bit >= range.From && bit <= range.To))];
            for (int first = 0; first < 64; first++)
            {
                for (int second = 0; second <= first; second++)
                {
                    ulong entry = (1UL << first) | (1UL << second);
                    ulong expected = entry % 2 == 0 ? 0 : entry & ((isReserved[first] ? 1UL << first : 0) | (isReserved[second] ? 1UL << second : 0));
                    Assert.That(PdpteRegisters.ReservedBitsIn(entry, (byte)maxPhysicalAddress), Is.EqualTo(expected), $"{entry:x}, MAXPHYADDR {maxPhysicalAddress}");
                    states++;
                }
            }
        }

        Assert.That(states, Is.EqualTo(21 * 64 * 65 / 2));
    }
}
