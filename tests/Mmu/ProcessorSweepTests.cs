using System.Globalization;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The processor with its TLB against the rules of the SDM, over states of <see cref="PagingSweeps"/>.</summary>
[TestFixture]
internal sealed class ProcessorSweepTests
{
    private const int Samples = 30_000;

    private static IEnumerable<TestCaseData> Sweeps => PagingSweeps.All
        .Where(sweep => sweep.Name is not ("access, MAXPHYADDR 36" or "access, MAXPHYADDR 52" or "reserved bits, 5-level"))
        .Select(sweep => new TestCaseData(sweep).SetArgDisplayNames(sweep.Name));

    [TestCaseSource(nameof(Sweeps))]
    public void ColdAndWarmTheProcessorDoesAsTheSdmSays(object item)
    {
        Sweep sweep = (Sweep)item;
        using ProcessorSweepCheck check = new(sweep);
        SweepPairs pairs = SweepPairsOf.Sweep(sweep);
        if (pairs.Rows.Count < Samples)
        {
            pairs.Run(check);
        }

        SweepSample.Run(sweep, check, Samples, PagingSweepTests.Seed);
        TestContext.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{sweep.Name}: {check.States:N0} states, {check.Accesses:N0} accesses, {check.Faults:N0} faults, {check.Hits:N0} without a walk, {check.Mismatches:N0} mismatches"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(check.Mismatches, Is.Zero, string.Join('\n', check.Kept));
            Assert.That(check.States, Is.GreaterThan(500));
            Assert.That(check.Faults, Is.GreaterThan(0).And.LessThan(check.Accesses));
            Assert.That(check.Hits, Is.GreaterThan(0));
        }
    }
}
