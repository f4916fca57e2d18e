using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>Walks of a guest's tables under EPT and nested page tables against the rules of SDM and APM, over the states of <see cref="NestedSweeps"/>.</summary>
[TestFixture]
internal sealed class NestedSweepTests
{
    /// <summary>Random states of everything at once in a normal run.</summary>
    public const int Samples = 1_000_000;

    /// <summary>Random states of a slice in a normal run.</summary>
    public const int SliceSamples = 50_000;

    // Of 64: a walk looks at some 24 entries, and most states must get past most of them.
    private const int Plain = 56;

    private static IEnumerable<TestCaseData> Whole => NestedSweeps.Whole.Select(Named);

    private static IEnumerable<TestCaseData> Slices => NestedSweeps.Slices.Select(Named);

    [TestCaseSource(nameof(Whole))]
    public void EveryTwoValuesAndRandomStatesWalkAsTheManualsSay(object sweep) => PairsAndSample((Sweep)sweep, Samples);

    [TestCaseSource(nameof(Slices))]
    public void EveryTwoValuesOfASliceWalkAsTheManualsSay(object sweep) => PairsAndSample((Sweep)sweep, SliceSamples);

    [TestCaseSource(nameof(Slices))]
    [Category("Full")]
    public void EveryStateOfASliceWalksAsTheManualsSay(object item)
    {
        Sweep sweep = (Sweep)item;
        Report(sweep, sweep.States, () => SweepProduct.Run(sweep, () => new NestedSweepCheck(sweep)));
    }

    public static void Sample(Sweep sweep, NestedSweepCheck check, int samples) => SweepSample.Run(sweep, check, samples, PagingSweepTests.Seed, Plain);

    private static void PairsAndSample(Sweep sweep, int samples)
    {
        SweepPairs pairs = SweepPairsOf.Sweep(sweep);
        Report(sweep, pairs.Rows.Count + samples, () =>
        {
            NestedSweepCheck check = new(sweep);
            pairs.Run(check);
            Sample(sweep, check, samples);
            return [check];
        });
    }

    private static TestCaseData Named(Sweep sweep) => new TestCaseData(sweep).SetArgDisplayNames(sweep.Name);

    private static void Report(Sweep sweep, long expectedStates, Func<IReadOnlyList<NestedSweepCheck>> run)
    {
        long started = Stopwatch.GetTimestamp();
        IReadOnlyList<NestedSweepCheck> checks = run();
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        long states = checks.Sum(check => check.States), mismatches = checks.Sum(check => check.Mismatches), translated = checks.Sum(check => check.Translated);
        long faults = checks.Sum(check => check.GuestFaults), exits = checks.Sum(check => check.Exits);
        TestContext.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{sweep.Name}: {states:N0} states, {mismatches:N0} mismatches, {seconds:F1} s ({translated:N0} translated, {faults:N0} faults, {exits:N0} exits)"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(mismatches, Is.Zero, string.Join('\n', checks.SelectMany(check => check.Kept).Take(3)));
            Assert.That(states, Is.EqualTo(expectedStates));
            Assert.That(translated, Is.GreaterThan(states / 1000));
            Assert.That(faults, Is.GreaterThan(states / 1000));
            Assert.That(exits, Is.GreaterThan(states / 1000));
        }
    }
}
