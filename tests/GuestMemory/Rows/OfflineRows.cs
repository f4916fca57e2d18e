using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Row 24 of the host-memory table: frames that go out of use under the pages that lie there.</summary>
[TestFixture]
public sealed class OfflineRows
{
    private static readonly Pfn First = new(1024);
    private const ulong Count = 1024;

    [Test]
    public void Row24_A_range_goes_offline_its_pages_move_and_the_guest_sees_its_bytes()
    {
        using VmCase vm = Movable(out Pfn[] pages);
        ulong free = vm.Kernel.Allocator.FreeFrames;

        Errno result = new OfflineOperation(vm.Kernel, First, Count).Run();
        for (int i = 0; i < 4; i++)
        {
            vm.Fault(i, write: false);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result, Is.EqualTo(Errno.None));
            Assert.That(pages, Has.All.Matches<Pfn>(InRange), "they were there");
            for (int i = 0; i < 4; i++)
            {
                Assert.That(vm.GuestRead(i), Is.EqualTo(0x100u + (uint)i));
                Assert.That(InRange(vm.Installed(i)!.Value), Is.False);
            }

            Assert.That(vm.Kernel.Allocator.OfflineFrames, Is.EqualTo(Count));
            Assert.That(vm.Kernel.Allocator.FreeFrames, Is.EqualTo(free - Count), "four frames more free in the range were used outside");
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }

        ulong back = OfflineOperation.Online(vm.Kernel, First, Count).Run();
        Assert.That((back, vm.Kernel.Allocator.OfflineFrames, vm.Kernel.Allocator.FreeFrames), Is.EqualTo((Count, 0ul, free)));
    }

    [TestCase(FollFlags.Pin)]
    [TestCase(FollFlags.Get)]
    public void Row24_A_range_with_a_page_that_somebody_holds_stays_in_use(FollFlags hold)
    {
        using VmCase vm = Movable(out Pfn[] pages);
        GupOperation held = vm.Host.Gup(HostCase.Page(2), hold | FollFlags.Write);
        ulong free = vm.Kernel.Allocator.FreeFrames;
        OfflineOperation offline = new(vm.Kernel, First, Count);

        Errno result = offline.Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((result, offline.BlockedAt), Is.EqualTo((Errno.EBUSY, (Pfn?)pages[2])));
            Assert.That(vm.Host.FrameAt(HostCase.Page(2)), Is.EqualTo(held.Frames[0]));
            Assert.That((vm.Kernel.Allocator.FreeFrames, vm.Kernel.Allocator.OfflineFrames), Is.EqualTo((free, 0ul)));
            Assert.That(vm.Frames[pages[2]].Has(FrameFlags.Locked), Is.False);
        }
    }

    [Test]
    public void Row24_What_cannot_move_is_refused_at_once()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw | VmFlags.Shared, new SecretFile(host.Kernel, 1));
        host.Touch(HostCase.Page(0));
        Pfn secret = host.FrameAt(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(new OfflineOperation(host.Kernel, secret, 1).Run(), Is.EqualTo(Errno.EBUSY));
            Assert.That(new OfflineOperation(host.Kernel, host.Process.Tables.Root, 1).Run(), Is.EqualTo(Errno.EBUSY));
            Assert.That(new OfflineOperation(host.Kernel, new Pfn(0), 1).Run(), Is.EqualTo(Errno.EBUSY));
            Assert.That(new OfflineOperation(host.Kernel, new Pfn(4000), 97).Run(), Is.EqualTo(Errno.EINVAL));
            Assert.That(new OfflineOperation(host.Kernel, First, 0).Run(), Is.EqualTo(Errno.EINVAL));
            Assert.That(new MigrateOperation(host.Kernel, secret).Run(), Is.EqualTo(Errno.EBUSY));
        }
    }

    [Test]
    public void Row24_A_large_page_in_the_range_is_taken_apart_and_moved()
    {
        using HostCase host = new(frames: 4096, movable: 2048);
        host.Process.MapAt(HostCase.Base, 512, VmCase.Rw | VmFlags.HugePage);
        host.Touch(HostCase.Page(0));
        Pfn head = host.FrameAt(HostCase.Page(0));
        host.Frames.Bytes(new Pfn(head.Value + 500))[1] = 0x42;

        Errno result = new OfflineOperation(host.Kernel, head, 512).Run();

        Assert.That(result, Is.EqualTo(Errno.None));
        Assert.That(host.Frames.Bytes(host.FrameAt(HostCase.Page(500)))[1], Is.EqualTo(0x42));
        Assert.That(host.Kernel.Log.Events, Is.Empty);
    }

    [Test]
    public void Row24_One_frame_goes_offline_softly_and_nobody_notices([Values] bool pinned)
    {
        using VmCase vm = Movable(out Pfn[] pages);
        if (pinned)
        {
            vm.Host.Gup(HostCase.Page(1), FollFlags.Pin | FollFlags.Write);
        }

        Errno result = new SoftOfflineOperation(vm.Kernel, pages[1]).Run();
        vm.Fault(1, write: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result, Is.EqualTo(pinned ? Errno.EBUSY : Errno.None));
            Assert.That(vm.GuestRead(1), Is.EqualTo(0x101));
            Assert.That(vm.Installed(1) == pages[1], Is.EqualTo(pinned));
            Assert.That(vm.Frames[pages[1]].Has(FrameFlags.Offline), Is.EqualTo(!pinned));
            Assert.That(vm.Host.Process.BusErrors, Is.Empty);
        }
    }

    [Test]
    public void Row24_Offline_beside_a_guests_fault_ends_with_a_true_translation_in_every_order()
    {
        long orders = Orders.Explore(() =>
        {
            VmCase vm = new(pages: 1, frames: 128);
            vm.Host.Touch(HostCase.Page(0));
            Pfn page = vm.Host.FrameAt(HostCase.Page(0));
            vm.Frames.Bytes(page)[0] = 0x5A;
            return new Scenario
            {
                World = vm,
                Always = () => StageTwoCheck.Problem(vm.Vm),
                AtEnd = () => vm.Frames.Bytes(vm.Host.FrameAt(HostCase.Page(0)))[0] == 0x5A ? null : "the content is lost",
            }.With("vcpu", new StageTwoFault(vm.Vm, VmCase.Gpa(0), write: true)).With("hotplug", new OfflineOperation(vm.Kernel, page, 1));
        });

        Assert.That(orders, Is.GreaterThan(20));
    }

    [Test]
    public void Row24_A_fork_beside_a_migration_gives_the_child_the_page()
    {
        Orders.Explore(() =>
        {
            HostCase host = new(frames: 128);
            host.Process.MapAt(HostCase.Base, 1, VmCase.Rw);
            host.Touch(HostCase.Page(0));
            Pfn page = host.FrameAt(HostCase.Page(0));
            host.Frames.Bytes(page)[0] = 0x5A;
            HostOperation<AddressSpace> fork = host.Process.Fork("child");
            return new Scenario
            {
                World = host,
                AtEnd = () =>
                {
                    AddressSpace child = fork.Result!;
                    child.Fault(HostCase.Page(0), write: false).Run();
                    child.Tables.LookupPfn(HostCase.Page(0), out Pfn frame, out _, out bool writable);
                    bool both = writable && host.Process.Tables.Find(HostCase.Page(0), out _).IsWritable && frame == host.FrameAt(HostCase.Page(0));
                    return host.Frames.Bytes(frame)[0] != 0x5A ? "the child has lost the content" : both ? "both may write one page" : null;
                },
            }.With("kcompactd", new MigrateOperation(host.Kernel, page)).With("vmm", fork);
        });
    }

    private static bool InRange(Pfn page) => page.Value >= First.Value && page.Value < First.Value + Count;

    private static VmCase Movable(out Pfn[] pages)
    {
        VmCase vm = new(pages: 4, frames: 2048, movable: 1024);
        for (int i = 0; i < 4; i++)
        {
            vm.Fault(i);
            vm.GuestWrite(i, 0x100u + (uint)i);
        }

        pages = [.. Enumerable.Range(0, 4).Select(i => vm.Installed(i)!.Value)];
        return vm;
    }
}
