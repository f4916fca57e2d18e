using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>With <c>start</c> at 0x401000, 16 bytes long, and <c>next</c> behind it without a size.</summary>
[TestFixture]
public sealed class TraceRangeTests
{
    [TestCase("0x10-0x20", 0x10UL, 0x1fUL)]
    [TestCase("16-32", 0x10UL, 0x1fUL)]
    [TestCase("0X10-0x11", 0x10UL, 0x10UL)]
    [TestCase("0-0xffffffffffffffff", 0UL, 0xfffffffffffffffeUL)]
    [TestCase("start", 0x401000UL, 0x40100fUL)]
    [TestCase("start-next", 0x401000UL, 0x40100fUL)]
    [TestCase("start+4-next+0x10", 0x401004UL, 0x40101fUL)]
    [TestCase("next-0x402000", 0x401010UL, 0x401fffUL)]
    public void Ranges(string text, ulong first, ulong last)
    {
        bool parsed = TraceRange.TryParse(text, TraceGuest.Symbols, out TraceRange range, out string? error);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(parsed, Is.True, error);
            Assert.That(range, Is.EqualTo(new TraceRange(new Gva(first), new Gva(last))));
        }
    }

    [TestCase("", "'' is no range: expected A-B or the name of a function")]
    [TestCase("0x10", "'0x10' is no range: expected A-B or the name of a function")]
    [TestCase("next", "'next' has no size in the image: give an end, as in next-next+0x40")]
    [TestCase("0x20-0x20", "the range from 0x20 to 0x20 is empty")]
    [TestCase("0x20-0x10", "the range from 0x20 to 0x10 is empty")]
    [TestCase("-0x10", "'' is neither a number such as 0x401000 nor a symbol of the image")]
    [TestCase("main-0x10", "'main' is neither a number such as 0x401000 nor a symbol of the image")]
    [TestCase("start+x-0x10", "'x' is no offset: expected a number such as 0x1c or 28")]
    [TestCase("0x10000000000000000-0x1", "'0x10000000000000000' is neither a number such as 0x401000 nor a symbol of the image")]
    public void Refused(string text, string expected)
    {
        bool parsed = TraceRange.TryParse(text, TraceGuest.Symbols, out _, out string? error);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(parsed, Is.False);
            Assert.That(error, Is.EqualTo(expected));
        }
    }

    [TestCase(0x0fUL, false)]
    [TestCase(0x10UL, true)]
    [TestCase(0x1fUL, true)]
    [TestCase(0x20UL, false)]
    public void Contains(ulong address, bool expected) =>
        Assert.That(new TraceRange(new Gva(0x10), new Gva(0x1f)).Contains(new Gva(address)), Is.EqualTo(expected));
}
