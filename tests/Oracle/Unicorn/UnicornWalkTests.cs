using NUnit.Framework;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Quadwalk's walker against the MMU of Unicorn, which is QEMU's: the same tables, one load, store or fetch, and the same fault, CR2, address
/// reached, and A and D of every entry. Where they differ, an erratum of Unicorn's must say so, and each erratum must still show.
/// </summary>
[TestFixture]
internal sealed class UnicornWalkTests
{
    private const int MostDifferences = 10;

    [SetUp]
    public void RequireLibrary() => UnicornOracle.Require();

    [TestCase(PagingMode.FourLevel, 1, 40_000)]
    [TestCase(PagingMode.Pae, 2, 20_000)]
    [TestCase(PagingMode.Bits32, 3, 20_000)]
    [TestCase(PagingMode.FourLevel, 4, 1_000_000, Category = "Full")]
    [TestCase(PagingMode.Pae, 5, 500_000, Category = "Full")]
    [TestCase(PagingMode.Bits32, 6, 500_000, Category = "Full")]
    public void BothWalkAlike(PagingMode mode, int seed, int count)
    {
        using UnicornMmu mmu = new(mode);
        WalkCases cases = new(mode, seed);
        Dictionary<string, int> seen = WalkErrata.Of(mode).ToDictionary(erratum => erratum.What, _ => 0);
        List<string> differences = [];
        int successes = 0, compared = 0;
        for (; compared < count; compared++)
        {
            WalkCase walk = cases.Next();
            (WalkOutcome expected, WalkResult result) = mmu.Walk(walk);
            WalkOutcome actual = mmu.Run(walk);
            successes += result.Succeeded ? 1 : 0;
            foreach (WalkErratum erratum in WalkErrata.Of(mode).Where(erratum => erratum.Applies(walk, result)))
            {
                WalkOutcome changed = erratum.Change(expected);
                seen[erratum.What] += changed.Equals(expected) ? 0 : 1;
                expected = changed;
            }

            if (!actual.Equals(expected) && differences.Count < MostDifferences)
            {
                differences.Add($"{walk}\n  Quadwalk {expected} ({result.Failure})\n  Unicorn  {actual}");
            }
        }

        TestContext.Out.WriteLine($"{compared} walks, {successes} succeed; {string.Join(", ", seen.Select(erratum => $"{erratum.Key}: {erratum.Value}"))}");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(differences, Is.Empty);
            Assert.That(compared, Is.EqualTo(count));
            Assert.That(successes, Is.InRange(count / 10, count * 9 / 10), "walks that succeed");
            Assert.That(cases.MissingPairs, Is.Empty, "pairs of bits that no case had");
            Assert.That(seen.Where(erratum => erratum.Value == 0).Select(erratum => erratum.Key), Is.Empty, "errata that no longer show");
        }
    }
}
