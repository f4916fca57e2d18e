using NUnit.Framework;
using Quadwalk.Cli;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class NumberTests
{
    [TestCase("0", 0ul)]
    [TestCase("4096", 4096ul)]
    [TestCase("0x1000", 0x1000ul)]
    [TestCase("0XfF", 0xfful)]
    [TestCase("1_000_000", 1_000_000ul)]
    [TestCase("0xffff_8880_0000_0000", 0xffff_8880_0000_0000ul)]
    [TestCase("18446744073709551615", ulong.MaxValue)]
    public void NumbersAreDecimalOrHexadecimal(string text, ulong value)
    {
        bool parsed = Number.TryParse(text, out ulong number);
        Assert.That((parsed, number), Is.EqualTo((true, value)));
    }

    [TestCase("64M", 64ul << 20, 64_000_000ul)]
    [TestCase("2G", 2ul << 30, 2_000_000_000ul)]
    [TestCase("10k", 10_240ul, 10_000ul)]
    [TestCase("10K", 10_240ul, 10_000ul)]
    [TestCase("1.5G", 3ul << 29, 1_500_000_000ul)]
    [TestCase("1_0M", 10ul << 20, 10_000_000ul)]
    [TestCase("3T", 3ul << 40, 3_000_000_000_000ul)]
    [TestCase("0x10000", 0x10000ul, 0x10000ul)]
    [TestCase("77", 77ul, 77ul)]
    public void LettersArePowersOf1024ForBytesAndOf1000ForCounts(string text, ulong bytes, ulong count)
    {
        bool parsedBytes = Number.TryParseScaled(text, Number.Kibi, out ulong asBytes);
        bool parsedCount = Number.TryParseScaled(text, Number.Thousand, out ulong asCount);
        Assert.That((parsedBytes, asBytes, parsedCount, asCount), Is.EqualTo((true, bytes, true, count)));
    }

    [Test]
    public void BytesMayBeSpelledInFull()
    {
        bool parsed = Number.TryParseScaled("64MiB", Number.Kibi, out ulong bytes);
        Assert.That((parsed, bytes), Is.EqualTo((true, 64ul << 20)));
    }

    [TestCase("")]
    [TestCase("k")]
    [TestCase("-1")]
    [TestCase("+1")]
    [TestCase(" 1")]
    [TestCase("1 ")]
    [TestCase("_1")]
    [TestCase("1_")]
    [TestCase("0x")]
    [TestCase("0xg")]
    [TestCase("1e3")]
    [TestCase("1,5")]
    [TestCase("0.0001k")]
    [TestCase("1MM")]
    [TestCase("18446744073709551616")]
    [TestCase("0x10000000000000000")]
    [TestCase("99999999999T")]
    [TestCase("79228162514264337593543950335T")]
    public void WhatIsNoNumberIsRejected(string text)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Number.TryParse(text, out _), Is.False);
            Assert.That(Number.TryParseScaled(text, Number.Kibi, out _), Is.False);
            Assert.That(Number.TryParseScaled(text, Number.Thousand, out _), Is.False);
        }
    }
}
