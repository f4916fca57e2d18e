using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>fork where frames are short, pages move, or rights are withheld.</summary>
[TestFixture]
public sealed class ForkTests
{
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    [Test]
    public void Without_a_frame_there_is_no_child_and_nothing_has_changed()
    {
        for (int allocations = 0; allocations < 4; allocations++)
        {
            using HostCase host = new(frames: 256);
            host.Process.MapAt(HostCase.Base, 2, Rw);
            host.Touch(HostCase.Page(0));
            PageFrame before = host.Frames[host.FrameAt(HostCase.Page(0))];
            ulong free = host.Kernel.Allocator.FreeFrames;

            host.Kernel.Allocator.FailAfter = allocations;
            HostOperation<AddressSpace> fork = host.Process.Fork("child");
            ((HostOperation)fork).Run();
            PageFrame after = host.Frames[host.FrameAt(HostCase.Page(0))];

            using (Assert.EnterMultipleScope())
            {
                Assert.That(fork.Result, Is.Null);
                Assert.That(host.Kernel.Processes, Has.Count.EqualTo(1));
                Assert.That((after.RefCount, after.MapCount), Is.EqualTo((before.RefCount, before.MapCount)));
                Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free));
                Assert.That(host.Process.MmapLock.IsFree(shared: false));
            }
        }
    }

    [Test]
    public void Beside_a_migration_the_child_has_the_page_in_every_order()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            host.Process.MapAt(HostCase.Base, 1, Rw);
            host.Touch(HostCase.Page(0));
            Pfn frame = host.FrameAt(HostCase.Page(0));
            host.Frames.Bytes(frame)[0] = 0x5A;
            HostOperation<AddressSpace> fork = host.Process.Fork("child");
            return new Scenario
            {
                World = host,
                AtEnd = () => fork.Result!.Tables.LookupPfn(HostCase.Page(0), out Pfn copy, out _, out _) && host.Frames.Bytes(copy)[0] == 0x5A ? null : "the child has lost the page",
            }.With("fork", fork).With("kcompactd", new MigrateOperation(host.Kernel, frame));
        });

        Assert.That(orders, Is.GreaterThan(5));
    }

    [Test]
    public void A_page_without_rights_is_the_childs_too()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, Rw);
        host.Touch(HostCase.Page(0));
        host.Process.Protect(HostCase.Page(0), 1, VmFlags.None).Run();

        AddressSpace child = host.Process.Fork("child").Run();
        child.Protect(HostCase.Page(0), 1, Rw).Run();
        VmFault fault = child.Fault(HostCase.Page(0), write: false).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fault, Is.EqualTo(VmFault.NoPage));
            Assert.That(host.Process.Tables.Find(HostCase.Page(0), out _).IsWithoutRights);
        }
    }

    [Test]
    public void A_pinned_large_page_stays_the_parents()
    {
        using HostCase host = new(frames: 4096);
        host.Process.MapAt(HostCase.Base, 512, Rw | VmFlags.HugePage);
        host.Touch(HostCase.Page(0));
        Pfn frame = host.FrameAt(HostCase.Page(5));
        GupOperation pinned = host.Gup(HostCase.Page(5), FollFlags.Pin | FollFlags.Write);

        AddressSpace child = host.Process.Fork("child").Run();
        host.Touch(HostCase.Page(5));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.FrameAt(HostCase.Page(5)), Is.EqualTo(frame).And.EqualTo(pinned.Frames[0]));
            Assert.That(child.Tables.LookupPfn(HostCase.Page(5), out Pfn copy, out _, out _) && copy != frame);
        }
    }
}
