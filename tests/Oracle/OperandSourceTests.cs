using NUnit.Framework;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class OperandSourceTests
{
    [Test]
    public void TheSameSeedGivesTheSameStream()
    {
        OperandSource first = new(7), second = new(7), other = new(8);
        ulong[] Take(OperandSource source) => [.. Enumerable.Range(0, 200).Select(_ => source.NextRegister())];
        ulong[] stream = Take(first);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Take(second), Is.EqualTo(stream));
            Assert.That(Take(other), Is.Not.EqualTo(stream));
        }
    }

    [TestCase(8, new ulong[] { 0ul, 1, 0x7F, 0x80, 0x81, 0xFF, 0x55, 0xAA })]
    [TestCase(16, new ulong[] { 0ul, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x5555, 0xAAAA })]
    [TestCase(32, new ulong[] { 0ul, 1, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF, 0x5555_5555 })]
    [TestCase(64, new ulong[] { 0ul, 1, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0x8000_0000_0000_0001, ulong.MaxValue })]
    public void IntegersStayInWidthAndVisitBoundaries(int bits, ulong[] boundaries)
    {
        OperandSource source = new(1);
        HashSet<ulong> seen = [.. Enumerable.Range(0, 20_000).Select(_ => source.NextInteger(bits))];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen.Max(), Is.LessThanOrEqualTo(ulong.MaxValue >> (64 - bits)));
            Assert.That(boundaries, Is.SubsetOf(seen));
            Assert.That(seen, Has.Count.GreaterThan(bits == 8 ? 255 : 5_000));
        }
    }

    [Test]
    public void FloatsOfEveryClassAppear()
    {
        OperandSource source = new(2);
        uint[] singles = [.. Enumerable.Range(0, 20_000).Select(_ => source.NextSingle())];
        ulong[] doubles = [.. Enumerable.Range(0, 20_000).Select(_ => source.NextDouble())];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Classes(singles.Select(bits => Class((bits >> 23) & 0xFF, 0xFF, bits & 0x7F_FFFF, 22))), Is.EqualTo(AllClasses));
            Assert.That(Classes(doubles.Select(bits => Class((bits >> 52) & 0x7FF, 0x7FF, bits & 0xF_FFFF_FFFF_FFFF, 51))), Is.EqualTo(AllClasses));
            Assert.That(singles, Does.Contain(0x4F00_0000u).And.Contain(0xCF00_0000u), "2^31 and its negative");
            Assert.That(doubles, Does.Contain(0x41DF_FFFF_FFC0_0000ul).And.Contain(0xC1E0_0000_0000_0000ul), "the int limits");
        }
    }

    [Test]
    public void FlagsAndMxcsrKeepToTheirBits()
    {
        OperandSource source = new(3);
        ulong[] flags = [.. Enumerable.Range(0, 5_000).Select(_ => source.NextStatusFlags())];
        uint[] mxcsr = [.. Enumerable.Range(0, 5_000).Select(_ => source.NextMxcsr())];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(flags.Aggregate(0ul, (all, next) => all | next), Is.EqualTo(HostState.StatusFlags));
            Assert.That(flags.Distinct().Count(), Is.EqualTo(64));
            Assert.That(mxcsr, Is.All.Matches<uint>(value => (value & 0xFFFF_1F80) == HostState.DefaultMxcsr));
            Assert.That(mxcsr.Select(value => (value >> 13) & 3).Distinct().Count(), Is.EqualTo(4), "rounding modes");
        }
    }

    [Test]
    public void IndexesCoverTheirRange()
    {
        OperandSource source = new(4);
        Assert.That(Enumerable.Range(0, 500).Select(_ => source.NextIndex(6)).Distinct().Order(), Is.EqualTo(new[] { 0, 1, 2, 3, 4, 5 }));
    }

    private static readonly string[] AllClasses = ["denormal", "infinity", "normal", "quiet NaN", "signalling NaN", "zero"];

    private static string[] Classes(IEnumerable<string> classes) => [.. classes.Distinct().Order(StringComparer.Ordinal)];

    private static string Class(ulong exponent, ulong special, ulong fraction, int quietBit) => (exponent, fraction) switch
    {
        (0, 0) => "zero",
        (0, _) => "denormal",
        _ when exponent != special => "normal",
        (_, 0) => "infinity",
        _ => (fraction >> quietBit) != 0 ? "quiet NaN" : "signalling NaN",
    };
}
