using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class FlatImageTests
{
    [Test]
    public void Bytes_at_an_address_make_one_segment_that_starts_at_its_first_byte()
    {
        FlatImage image = FlatImage.Create(new byte[] { 0x90, 0xf4 }, new Gva(0x7c00), 4096);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(image.Entry, Is.EqualTo(new Gva(0x7c00)));
            Assert.That(image.Ring, Is.Zero);
            Assert.That(image.Symbols.Count, Is.Zero);
            Assert.That(image.Segments.Single().MemorySize, Is.EqualTo(2));
            Assert.That(image.Segments.Single().Rights, Is.EqualTo(SegmentRights.Read | SegmentRights.Write | SegmentRights.Execute));
        }
    }

    [TestCase(0, 0x1000UL, 0x1000UL, "empty")]
    [TestCase(2, 0xffffUL, 0x10000UL, null, Description = "two bytes on two pages, and a last byte to start at")]
    [TestCase(2, 0xffffUL, 0xfffeUL, "entry")]
    [TestCase(2, 0xffffUL, 0x10001UL, "entry")]
    [TestCase(2, 0x7fff_ffff_ffffUL, 0x7fff_ffff_ffffUL, "canonical")]
    [TestCase(2, 0xffff_ffff_ffff_ffffUL, 0UL, "canonical")]
    [TestCase(0x2001, 0UL, 0UL, "RAM")]
    public void It_must_hold_its_entry_and_fit(int size, ulong address, ulong entry, string? refusal)
    {
        string? message = null;
        try
        {
            _ = FlatImage.Create(new byte[size], new Gva(address), 0x2000, new Gva(entry));
        }
        catch (ImageFormatException exception)
        {
            message = exception.Message;
        }

        Assert.That(message, refusal is null ? Is.Null : Does.Contain(refusal));
    }

    [Test]
    public void Only_rings_0_and_3_exist() =>
        Assert.That(() => FlatImage.Create(new byte[1], default, 4096, ring: 1), Throws.TypeOf<ArgumentOutOfRangeException>());
}
