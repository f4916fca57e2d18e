using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class DirectMapTests
{
    [Test]
    public void Two_uses_of_a_frame_that_is_out_restore_it_once_and_remove_it_once()
    {
        using HostCase host = new();
        DirectMap map = host.Kernel.DirectMap;
        Pfn frame = new(700);
        map.Remove(frame, 1);
        (long restores, long removals) = (map.Restores, map.Removals);

        map.BeginUse(frame);
        host.Kernel.Clock.Tick(3);
        map.BeginUse(frame);
        int depth = map.UseDepth(frame);
        map.EndUse(frame);
        bool within = map.TryAccess(frame);
        host.Kernel.Clock.Tick(4);
        map.EndUse(frame);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(depth, Is.EqualTo(2));
            Assert.That(within);
            Assert.That(map.TryAccess(frame), Is.False);
            Assert.That((map.Restores - restores, map.Removals - removals), Is.EqualTo((1, 1)));
            Assert.That(map.ExposedTicks, Is.EqualTo(7));
            Assert.That((map.ExposedFrames, map.AbsentFrames), Is.EqualTo((0, 1)));
        }
    }

    [Test]
    public void Without_a_flush_a_processor_that_has_used_a_frame_still_sees_it()
    {
        using HostCase host = new();
        DirectMap map = host.Kernel.DirectMap;
        Pfn frame = new(700);
        map.Remove(new Pfn(701), 1);
        map.TryAccess(frame, processor: 1);
        map.Remove(frame, 1, flush: false);
        host.Kernel.Clock.Tick(5);
        (bool idle, bool stale, int unflushed) = (map.TryAccess(frame, processor: 0), map.TryAccess(frame, processor: 1), map.UnflushedFrames);

        map.Flush(frame, 1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((idle, stale, unflushed), Is.EqualTo((false, true, 1)));
            Assert.That(map.TryAccess(frame, processor: 1), Is.False);
            Assert.That((map.ResidualTicks, map.UnflushedFrames), Is.EqualTo((5, 0)));
        }
    }

    [TestCase(0ul, 1ul, 2)]
    [TestCase(512ul, 512ul, 1)]
    [TestCase(511ul, 2ul, 3)]
    public void Taking_a_part_out_splits_what_holds_it(ulong first, ulong count, int splits)
    {
        using HostCase host = new();

        host.Kernel.DirectMap.Remove(new Pfn(first), count);
        host.Kernel.DirectMap.Remove(new Pfn(first), count);

        Assert.That(host.Kernel.DirectMap.Splits, Is.EqualTo(splits));
    }

    [Test]
    public void A_use_that_ends_without_having_begun_is_reported()
    {
        using HostCase host = new();
        host.Kernel.DirectMap.Remove(new Pfn(700), 1);

        host.Kernel.DirectMap.EndUse(new Pfn(700));

        Assert.That(host.Kernel.Log.Has(KernelEventKind.RefCountUnderflow));
    }
}
