using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class PageAllocatorTests
{
    [Test]
    public void Blocks_are_halved_and_joined_again()
    {
        using HostCase host = new(frames: 1 << 12);
        ulong free = host.Kernel.Allocator.FreeFrames;
        List<Pfn> pages = [];
        while (host.Kernel.Allocator.Allocate() is Pfn page)
        {
            pages.Add(page);
        }

        foreach (Pfn page in pages)
        {
            host.Kernel.Folios.Put(page);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That((ulong)pages.Count, Is.EqualTo(free));
            Assert.That(pages.Distinct().Count(), Is.EqualTo(pages.Count));
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free));
            Assert.That(host.Kernel.Allocator.Allocate(11), Is.Not.Null, "half of the memory in one block");
            Assert.That(host.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Random_histories_never_hand_a_frame_out_twice([Values(1, 2, 3, 4)] int seed)
    {
        using HostCase host = new(frames: 5000);
        Random random = new(seed);
        ulong free = host.Kernel.Allocator.FreeFrames;
        List<(Pfn Head, int Order)> held = [];
        bool[] taken = new bool[5000];
        for (int step = 0; step < 20_000; step++)
        {
            int order = random.Next(6);
            if (random.Next(2) == 0 && host.Kernel.Allocator.Allocate(order) is Pfn head)
            {
                for (int i = 0; i < 1 << order; i++)
                {
                    Assert.That(taken[head.Value + (ulong)i], Is.False);
                    taken[head.Value + (ulong)i] = true;
                    Assert.That(host.Frames.HeadOf(new Pfn(head.Value + (ulong)i)), Is.EqualTo(head));
                }

                Assert.That(head.Value % (1UL << order), Is.Zero);
                held.Add((head, order));
            }
            else if (held.Count > 0)
            {
                int index = random.Next(held.Count);
                (Pfn block, int size) = held[index];
                held.RemoveAt(index);
                Array.Clear(taken, (int)block.Value, 1 << size);
                host.Kernel.Folios.Put(block);
            }
        }

        held.ForEach(block => host.Kernel.Folios.Put(block.Head));
        Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free));
    }

    [Test]
    public void What_is_handed_out_is_cleared()
    {
        using HostCase host = new();
        Pfn page = host.Kernel.Allocator.Allocate()!.Value;
        host.Frames.Bytes(page).Fill(0xEE);
        host.Kernel.Folios.Put(page);

        Pfn again = host.Kernel.Allocator.Allocate()!.Value;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(again, Is.EqualTo(page), "the test needs the same frame");
            Assert.That(host.Frames.Bytes(again).ContainsAnyExcept((byte)0), Is.False);
        }
    }

    [Test]
    public void A_second_free_is_reported_and_changes_nothing()
    {
        using HostCase host = new();
        Pfn page = host.Kernel.Allocator.Allocate()!.Value;
        host.Kernel.Allocator.Free(page, 0);
        ulong free = host.Kernel.Allocator.FreeFrames;
        host.Kernel.Allocator.Free(page, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Kernel.Log.Has(KernelEventKind.DoubleFree));
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free));
        }
    }

    [Test]
    public void A_poisoned_frame_is_never_handed_out_again()
    {
        using HostCase host = new(frames: 256);
        ulong free = host.Kernel.Allocator.FreeFrames;
        Pfn block = host.Kernel.Allocator.Allocate(4)!.Value;
        Pfn bad = new(block.Value + 5);
        host.Frames[bad].Flags |= FrameFlags.HwPoison;
        host.Kernel.Folios.Put(block);

        List<Pfn> all = [];
        while (host.Kernel.Allocator.Allocate() is Pfn page)
        {
            all.Add(page);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(all, Does.Not.Contain(bad));
            Assert.That(all, Has.Count.EqualTo((int)free - 1));
        }
    }

    [Test]
    public void A_free_frame_can_be_taken_offline()
    {
        using HostCase host = new(frames: 1024);
        ulong free = host.Kernel.Allocator.FreeFrames;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Kernel.Allocator.TryTakeOffline(new Pfn(700), FrameFlags.HwPoison));
            Assert.That(host.Kernel.Allocator.TryTakeOffline(new Pfn(700), FrameFlags.HwPoison), Is.False);
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free - 1));
        }
    }
}
