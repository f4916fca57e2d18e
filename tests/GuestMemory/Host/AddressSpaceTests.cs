using System.Buffers.Binary;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class AddressSpaceTests
{
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    [Test]
    public void A_fault_makes_an_anonymous_page_of_its_own()
    {
        using HostCase host = new();
        ulong free = host.Kernel.Allocator.FreeFrames;
        host.Process.MapAt(HostCase.Base, 4, Rw);

        VmFault fault = host.Touch(HostCase.Page(1));
        ref PageFrame frame = ref host.Frames[host.FrameAt(HostCase.Page(1))];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fault, Is.EqualTo(VmFault.NoPage));
            Assert.That((frame.RefCount, frame.MapCount, frame.PinCount), Is.EqualTo((1, 1, 0)));
            Assert.That(frame.Has(FrameFlags.Anon | FrameFlags.AnonExclusive));
            Assert.That(host.Process.Tables.Find(HostCase.Page(0), out _).IsNone);
            Assert.That(host.Touch(new Hva(0x1000)), Is.EqualTo(VmFault.SigSegv));
            Assert.That(host.FreeAfterExit(), Is.GreaterThanOrEqualTo(free));
        }
    }

    [TestCase(0x123UL << 40)]
    [TestCase(0x1238UL)]
    public void An_entry_that_somebody_else_has_written_is_a_SIGBUS_and_no_look_without_end(ulong word)
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 4, Rw);
        host.Touch(HostCase.Page(1));
        Pfn table = default;
        HostTables.Visit(host.Kernel, host.Process, visited => table = visited, (_, _) => { });
        BinaryPrimitives.WriteUInt64LittleEndian(host.Frames.Bytes(table), word);
        Actor fault = new("process", host.Process.Fault(HostCase.Page(0), write: true));
        for (int step = 0; step < 10 && !fault.IsDone; step++)
        {
            fault.Go();
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fault.IsDone);
            Assert.That(((FaultOperation)fault.Operation).Result, Is.EqualTo(VmFault.SigBus));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(host.Kernel.Log.Events.Select(found => (found.Kind, found.Frame)), Is.EqualTo(new[] { (KernelEventKind.BadPageMap, table), (KernelEventKind.BadPageMap, table) }));
        }
    }

    [Test]
    public void A_range_for_large_pages_gets_them_and_a_partial_unmap_splits()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1024, Rw | VmFlags.HugePage);
        host.Touch(HostCase.Page(3));
        bool found = host.Process.Tables.LookupPfn(HostCase.Page(7), out Pfn seventh, out int level, out _);
        Pfn head = host.Frames.HeadOf(seventh);
        host.Process.Unmap(HostCase.Page(0), 1).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(found);
            Assert.That(level, Is.EqualTo(2));
            Assert.That(seventh.Value, Is.EqualTo(head.Value + 7));
            Assert.That(host.Process.Tables.Find(HostCase.Page(0), out _).IsNone);
            Assert.That(host.Process.Tables.LookupPfn(HostCase.Page(7), out Pfn after, out int small, out _) && after == seventh && small == 1);
            Assert.That((host.Frames[head].RefCount, host.Frames[head].MapCount), Is.EqualTo((511, 511)));
        }
    }

    [Test]
    public void A_large_page_without_rights_is_split_as_one_with_rights()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 512, Rw | VmFlags.HugePage);
        host.Touch(HostCase.Page(3));
        Pfn head = host.FrameAt(HostCase.Page(0));
        host.Process.Protect(HostCase.Page(0), 512, VmFlags.None).Run();
        host.Process.Protect(HostCase.Page(0), 2, VmFlags.Read).Run();
        AddressSpace child = host.Process.Fork("child").Run();
        int shared = host.Frames[head].MapCount;
        host.Process.Unmap(HostCase.Page(0), 1).Run();
        child.Exit().Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(shared, Is.EqualTo(1024));
            Assert.That(host.FrameAt(HostCase.Page(1)).Value, Is.EqualTo(head.Value + 1));
            Assert.That(host.Process.Tables.Find(HostCase.Page(2), out _).IsWithoutRights, "the rest has none");
            Assert.That((host.Frames[head].RefCount, host.Frames[head].MapCount), Is.EqualTo((511, 511)));
        }
    }

    [Test]
    public void After_fork_a_write_copies_and_the_last_owner_writes_in_place()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 2, Rw);
        host.Touch(HostCase.Page(0));
        Pfn shared = host.FrameAt(HostCase.Page(0));
        BinaryPrimitives.WriteUInt32LittleEndian(host.Frames.Bytes(shared), 0x12345678);

        AddressSpace child = host.Process.Fork("child").Run();
        int whileShared = host.Frames[shared].RefCount;
        VmFault copied = child.Fault(HostCase.Page(0), write: true).Run();
        child.Tables.LookupPfn(HostCase.Page(0), out Pfn copy, out _, out _);
        host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(whileShared, Is.EqualTo(2));
            Assert.That(copied, Is.EqualTo(VmFault.NoPage));
            Assert.That(copy, Is.Not.EqualTo(shared));
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(host.Frames.Bytes(copy)), Is.EqualTo(0x12345678));
            Assert.That(host.FrameAt(HostCase.Page(0)), Is.EqualTo(shared));
            Assert.That(host.Process.Tables.Find(HostCase.Page(0), out _).IsWritable);
            Assert.That(host.Frames[shared].RefCount, Is.EqualTo(1));
        }
    }

    [Test]
    public void A_pinned_page_stays_with_the_parent_at_fork()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, Rw);
        host.Touch(HostCase.Page(0));
        GupOperation pin = host.Gup(HostCase.Page(0), FollFlags.Pin | FollFlags.Write);
        Pfn pinned = pin.Frames[0];

        AddressSpace child = host.Process.Fork("child").Run();
        child.Tables.LookupPfn(HostCase.Page(0), out Pfn childs, out _, out _);
        host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(childs, Is.Not.EqualTo(pinned));
            Assert.That(host.FrameAt(HostCase.Page(0)), Is.EqualTo(pinned));
        }
    }

    [Test]
    public void A_pin_that_reads_a_shared_page_makes_it_the_processs_own_first()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, Rw);
        host.Touch(HostCase.Page(0));
        Pfn shared = host.FrameAt(HostCase.Page(0));
        AddressSpace child = host.Process.Fork("child").Run();

        GupOperation pin = host.Gup(HostCase.Page(0), FollFlags.Pin);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(pin.Result.Pages, Is.EqualTo(1));
            Assert.That(pin.Frames[0], Is.Not.EqualTo(shared));
            Assert.That(pin.Frames[0], Is.EqualTo(host.FrameAt(HostCase.Page(0))));
            Assert.That(child.Tables.LookupPfn(HostCase.Page(0), out Pfn childs, out _, out _) && childs == shared);
        }
    }

    [Test]
    public void Pages_without_rights_keep_their_content()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 3, Rw);
        host.Touch(HostCase.Page(1));
        Pfn page = host.FrameAt(HostCase.Page(1));
        host.Frames.Bytes(page)[5] = 0x77;

        host.Process.Protect(HostCase.Page(1), 1, VmFlags.None).Run();
        VmFault without = host.Touch(HostCase.Page(1), write: false);
        GupResult gup = host.Gup(HostCase.Page(1), FollFlags.Get).Result;
        host.Process.Protect(HostCase.Page(1), 1, VmFlags.Read).Run();
        VmFault write = host.Touch(HostCase.Page(1));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(without, Is.EqualTo(VmFault.SigSegv));
            Assert.That(gup.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(write, Is.EqualTo(VmFault.SigSegv));
            Assert.That(host.FrameAt(HostCase.Page(1)), Is.EqualTo(page));
            Assert.That(host.Frames.Bytes(page)[5], Is.EqualTo(0x77));
            Assert.That(host.Process.Areas, Has.Count.EqualTo(3));
        }
    }

    [Test]
    public void A_file_is_shared_and_a_hole_punched_in_it_is_unmapped_everywhere()
    {
        using HostCase host = new();
        MemoryFile file = new(host.Kernel, 8);
        AddressSpace other = new(host.Kernel, "other");
        host.Process.MapAt(HostCase.Base, 8, Rw | VmFlags.Shared, file);
        other.MapAt(HostCase.Base * 2, 4, Rw | VmFlags.Shared, file, offset: 2);
        host.Touch(HostCase.Page(3));
        other.Fault(new Hva((HostCase.Base * 2) + 0x1000), write: true).Run();
        Pfn page = host.FrameAt(HostCase.Page(3));
        PageFrame shared = host.Frames[page];
        ulong free = host.Kernel.Allocator.FreeFrames;

        file.Punch(3, 1).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((shared.RefCount, shared.MapCount), Is.EqualTo((3, 2)), "one for the cache and one for each entry");
            Assert.That(host.Process.Tables.Find(HostCase.Page(3), out _).IsNone);
            Assert.That(other.Tables.Find(new Hva((HostCase.Base * 2) + 0x1000), out _).IsNone);
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free + 1));
            Assert.That(host.Touch(HostCase.Page(9)), Is.EqualTo(VmFault.SigSegv));
        }

        file.Truncate(2).Run();
        Assert.That(host.Touch(HostCase.Page(4)), Is.EqualTo(VmFault.SigBus));
    }

    [Test]
    public void A_private_mapping_of_a_file_copies_on_write()
    {
        using HostCase host = new();
        MemoryFile file = new(host.Kernel, 1);
        host.Process.MapAt(HostCase.Base, 1, Rw, file);
        host.Touch(HostCase.Page(0), write: false);
        Pfn cached = file.Cached(0)!.Value;
        host.Frames.Bytes(cached)[0] = 1;
        Pfn before = host.FrameAt(HostCase.Page(0));
        host.Touch(HostCase.Page(0));
        Pfn after = host.FrameAt(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.EqualTo(cached));
            Assert.That(after, Is.Not.EqualTo(cached));
            Assert.That(host.Frames.Bytes(after)[0], Is.EqualTo(1));
            Assert.That((host.Frames[cached].RefCount, host.Frames[cached].MapCount), Is.EqualTo((1, 0)));
        }
    }

    [Test]
    public void Every_allocation_that_fails_leaves_nothing_behind([Range(0, 6)] int allowed)
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 600, Rw);
        ulong free = host.Kernel.Allocator.FreeFrames;
        host.Kernel.Allocator.FailAfter = allowed;
        VmFault fault = host.Touch(HostCase.Page(0));
        host.Kernel.Allocator.FailAfter = null;
        ulong used = free - host.Kernel.Allocator.FreeFrames;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fault, Is.EqualTo(allowed < 4 ? VmFault.OutOfMemory : VmFault.NoPage));
            Assert.That(used, Is.EqualTo((ulong)host.Process.Tables.Tables + (fault == VmFault.NoPage ? 1u : 0)), "tables stay for the next try");
            Assert.That(host.Touch(HostCase.Page(0)), Is.EqualTo(VmFault.NoPage));
        }
    }

    [Test]
    public void Two_faults_on_one_page_make_one_page_in_any_order()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 256);
            host.Process.MapAt(HostCase.Base, 1, Rw);
            ulong free = host.Kernel.Allocator.FreeFrames;
            return new Scenario
            {
                World = host,
                AtEnd = () =>
                {
                    ref PageFrame frame = ref host.Frames[host.FrameAt(HostCase.Page(0))];
                    string? problem = (frame.RefCount, frame.MapCount) != (1, 1) ? $"refcount {frame.RefCount}, mapcount {frame.MapCount}"
                        : free - host.Kernel.Allocator.FreeFrames != 4 ? "a frame is lost" : null;
                    return problem;
                },
            }.With("one", host.Process.Fault(HostCase.Page(0), write: true)).With("two", host.Process.Fault(HostCase.Page(0), write: true));
        });

        Assert.That(orders, Is.GreaterThan(1));
    }

    [Test]
    public void A_fault_beside_munmap_leaves_a_page_or_none_in_any_order()
    {
        StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 256);
            host.Process.MapAt(HostCase.Base, 2, Rw);
            host.Touch(HostCase.Page(1));
            return new Scenario
            {
                World = host,
                AtEnd = () =>
                {
                    bool unmapped = host.Process.Tables.Find(HostCase.Page(0), out _).IsNone;
                    host.FreeAfterExit();
                    bool leaked = host.Kernel.Allocator.FreeFrames != 256 - 16;
                    return !unmapped ? "mapped after munmap" : leaked ? "a frame is lost" : null;
                },
            }.With("fault", host.Process.Fault(HostCase.Page(0), write: true)).With("munmap", host.Process.Unmap(HostCase.Page(0), 1));
        });
    }
}
