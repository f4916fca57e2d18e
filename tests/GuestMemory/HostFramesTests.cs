using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class HostFramesTests
{
    private const ulong Gigabyte = 1UL << 30;

    [Test]
    public void ARegionIsReachedByItsFramesAndNothingElseIs()
    {
        using HostMemory memory = HostMemory.Create(0x3000, HostMemoryKind.Anonymous);
        using HostFrames frames = new(16);
        Pfn first = frames.AddRegion(memory.Base, memory.Size);
        Hpa start = first.Address;
        memory.Span(0x2ff8, 1)[0] = 0x77;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(start.Value, Is.Not.Zero);
            Assert.That((frames.TryTranslate(start + 0x1234, out Hva hva), hva), Is.EqualTo((true, memory.Base + 0x1234)));
            Assert.That((frames.TryRead(start + 0x2ff8, out ulong value), value), Is.EqualTo((true, 0x77UL)));
            foreach (Hpa outside in new[] { new Hpa(0), new Hpa(start.Value - 8), start + 0x3000, start + Gigabyte, new Hpa(ulong.MaxValue - 7), new Hpa(1UL << 51) })
            {
                Assert.That(frames.TryRead(outside, out _), Is.False, outside.ToString());
                Assert.That(frames.TryWrite(outside, 1), Is.False, outside.ToString());
                Assert.That(frames.TryCompareExchange(outside, 0, 1, out _), Is.False, outside.ToString());
            }
        }
    }

    [Test]
    public void WordsAreWrittenAndExchangedInPlace()
    {
        using HostMemory memory = HostMemory.Create(0x1000, HostMemoryKind.Anonymous);
        using HostFrames frames = new(16);
        Hpa word = frames.AddRegion(memory.Base, memory.Size).Address + 8;
        Assert.That(frames.TryWrite(word, 0x1122));
        Assert.That((frames.TryCompareExchange(word, 0x1111, 1, out bool exchanged), exchanged), Is.EqualTo((true, false)));
        Assert.That((frames.TryCompareExchange(word, 0x1122, 0x3344, out exchanged), exchanged), Is.EqualTo((true, true)));
        Assert.That(memory.Span(8, 2).ToArray(), Is.EqualTo(new byte[] { 0x44, 0x33 }));
        foreach (Action misaligned in new Action[] { () => frames.TryRead(word + 1, out _), () => frames.TryWrite(word + 4, 0), () => frames.TryCompareExchange(word + 7, 0, 0, out _) })
        {
            Assert.That(misaligned, Throws.ArgumentException);
        }
    }

    [Test]
    public void LargeRegionsTakeSectionsInARowAndGiveThemBack()
    {
        // Nothing is touched, so that 5 GiB cost address space only.
        using HostMemory memory = HostMemory.Create(5 * Gigabyte, HostMemoryKind.Anonymous);
        using HostFrames frames = new(16);
        Pfn one = frames.AddRegion(memory.Base, 0x1000);
        Pfn two = frames.AddRegion(memory.Base + 0x1000, (2 * Gigabyte) + 0x1000);
        Pfn three = frames.AddRegion(memory.Base + (3 * Gigabyte), 0x1000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(new[] { one, two, three }.Select(f => f.Address.Value), Is.EqualTo(new[] { Gigabyte, 2 * Gigabyte, 5 * Gigabyte }));
            Assert.That((frames.TryTranslate(two.Address + (2 * Gigabyte) + 0xfff, out Hva hva), hva), Is.EqualTo((true, memory.Base + (2 * Gigabyte) + 0x1fff)));
            Assert.That(frames.TryTranslate(two.Address + (2 * Gigabyte) + 0x1000, out _), Is.False);
        }

        frames.RemoveRegion(two);
        Assert.That(frames.TryTranslate(two.Address, out _), Is.False);
        Assert.That(frames.TryTranslate(two.Address + (2 * Gigabyte), out _), Is.False);
        Assert.That(frames.TryTranslate(three.Address, out _));
        Assert.That(frames.AddRegion(memory.Base, (2 * Gigabyte) + 0x1000), Is.EqualTo(two), "the gap is used again");
        Assert.That(() => frames.RemoveRegion(new Pfn(two.Value + 1)), Throws.ArgumentException);
        Assert.That(() => frames.RemoveRegion(new Pfn(0)), Throws.ArgumentException);
        Assert.That(() => frames.AddRegion(memory.Base, (ulong)HostFrames.MaxSections * Gigabyte), Throws.InstanceOf<HostMemoryException>());
    }

    [Test]
    public void ThePoolGivesFramesOfZerosAndNoMoreThanItHas()
    {
        using HostFrames frames = new(3);
        Assert.That(frames.AllocatedFrames, Is.Zero);
        Pfn[] given = new Pfn[3];
        for (int i = 0; i < 3; i++)
        {
            Assert.That(frames.TryAllocate(out given[i]));
            Assert.That(frames.TryWrite(given[i].Address + 0xff8, ulong.MaxValue));
        }

        Assert.That(given, Is.Unique);
        Assert.That(frames.TryAllocate(out _), Is.False);
        frames.Free(given[1]);
        Assert.That(() => frames.Free(given[1]), Throws.ArgumentException);
        Assert.That(() => frames.Free(new Pfn(1)), Throws.ArgumentException);
        Assert.That((frames.TryAllocate(out Pfn again), again), Is.EqualTo((true, given[1])));
        Assert.That((frames.TryRead(again.Address + 0xff8, out ulong value), value), Is.EqualTo((true, 0UL)));
        Assert.That(() => frames.RemoveRegion(given[0]), Throws.ArgumentException, "the pool is no region to remove");
        Assert.That(frames.AllocatedFrames, Is.EqualTo(3));
    }

    [Test]
    public void AfterDisposeNothingIsMemory()
    {
        HostFrames frames = new(3);
        _ = frames.TryAllocate(out Pfn frame);
        frames.Dispose();
        frames.Dispose();
        Assert.That(frames.TryRead(frame.Address, out _), Is.False);
        Assert.That(() => frames.TryAllocate(out _), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => frames.AddRegion(new Hva(0x1000), 0x1000), Throws.InstanceOf<ObjectDisposedException>());
    }

    [TestCase(0UL, 0x1000UL)]
    [TestCase(0x1000UL, 0UL)]
    [TestCase(0x1800UL, 0x1000UL)]
    [TestCase(0x1000UL, 0x1800UL)]
    [TestCase(0xffff_ffff_ffff_f000UL, 0x2000UL)]
    public void RegionsAreWholePages(ulong host, ulong size)
    {
        using HostFrames frames = new();
        Assert.That(() => frames.AddRegion(new Hva(host), size), Throws.ArgumentException);
    }
}
