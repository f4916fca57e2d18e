using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>Runs a sweep with the walker itself, prints the outcome and fails on a mismatch.</summary>
internal static class SweepReport
{
    /// <summary>Every state.</summary>
    public static void Product(Sweep sweep) =>
        Run(sweep, sweep.States, () => SweepProduct.Run(sweep, () => new SweepCheck<RealWalker>(sweep, SweepRules.Sdm)));

    /// <summary>Every two values together, and random states.</summary>
    public static void PairsAndSample(Sweep sweep, SweepPairs pairs, int samples, ulong seed) => Run(sweep, pairs.Rows.Count + samples, () =>
    {
        SweepCheck<RealWalker> check = new(sweep, SweepRules.Sdm);
        pairs.Run(check);
        SweepSample.Run(sweep, check, samples, seed);
        return [check];
    });

    private static void Run(Sweep sweep, long expectedStates, Func<IReadOnlyList<SweepCheck<RealWalker>>> run)
    {
        long started = Stopwatch.GetTimestamp();
        IReadOnlyList<SweepCheck<RealWalker>> checks = run();
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        long states = checks.Sum(check => check.States), mismatches = checks.Sum(check => check.Mismatches);
        long walks = checks.Sum(check => check.Walks), translated = checks.Sum(check => check.Translated);
        TestContext.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{sweep.Name}: {states:N0} states, {mismatches:N0} mismatches, {seconds:F1} s ({walks:N0} walks, {translated:N0} translated)"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(mismatches, Is.Zero, string.Join('\n', checks.SelectMany(check => check.Kept).Take(3)));
            Assert.That(states, Is.EqualTo(expectedStates));
            Assert.That(checks, Has.Count.LessThanOrEqualTo(Environment.ProcessorCount));
            Assert.That(translated, Is.GreaterThan(0).And.LessThan(walks));
        }
    }
}
