using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Row 7 of the host-memory table: the size of the host's page, read without a lock while pages are put together and taken apart.</summary>
[TestFixture]
public sealed class LargePageRows
{
    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void Row07_The_level_is_that_of_the_leaf(int level)
    {
        using HostCase host = new();
        ulong pages = 1UL << HostPageTable.OrderOf(level);
        Pfn[] frames = [.. Enumerable.Range(0, (int)pages).Select(i => new Pfn((1ul << 30) + (ulong)i))];
        host.Process.MapAt(HostCase.Base, pages, VmCase.Rw | VmFlags.PfnMap, new DriverMemory(host.Kernel, frames) { Level = level });
        int before = new LocklessWalkOperation(host.Process, HostCase.Page(0)).Run();
        host.Touch(HostCase.Page(0));
        LocklessWalkOperation walk = new(host.Process, HostCase.Page((int)pages - 1));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.EqualTo(1), "nothing is mapped");
            Assert.That(walk.Run(), Is.EqualTo(level));
            Assert.That(walk.Frame?.Value, Is.EqualTo(frames[^1].Value));
            Assert.That(host.Process.LocklessWalks, Is.Zero);
        }
    }

    [Test]
    public void Row07_A_walk_beside_a_promotion_sees_the_old_pages_or_the_new_one()
    {
        long orders = Orders.Explore(() => WalkBesideCollapse(InjectedFaults.None));

        Assert.That(orders, Is.GreaterThan(3));
    }

    [Test]
    public void Row07_Without_the_wait_for_walks_one_reads_a_table_that_is_gone()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(
            () => Orders.Explore(() => WalkBesideCollapse(InjectedFaults.FreeTableAtOnce)))!;

        Assert.That(failure.Problem, Does.StartWith("the walk has read a table that was given back"));
    }

    [Test]
    public void Row07_A_promotion_beside_a_guests_fault_leaves_a_true_translation()
    {
        long orders = Orders.Explore(() =>
        {
            VmCase vm = Small(InjectedFaults.None);
            return new Scenario { World = vm, Always = () => StageTwoCheck.Problem(vm.Vm), AtEnd = () => Content(vm) }
                .With("vcpu", new StageTwoFault(vm.Vm, VmCase.Gpa(3), write: true)).With("khugepaged", new CollapseOperation(vm.Host.Process, HostCase.Page(0)));
        });

        Assert.That(orders, Is.GreaterThan(20));
    }

    [Test]
    public void Row07_A_split_beside_a_walk_and_a_guests_fault_leaves_a_true_translation()
    {
        Orders.Explore(() =>
        {
            VmCase vm = new(flags: VmCase.Rw | VmFlags.HugePage, pages: 512, frames: 2048);
            vm.Host.Touch(HostCase.Page(0));
            Pfn head = vm.Host.FrameAt(HostCase.Page(0));
            vm.Frames.Bytes(new Pfn(head.Value + 3))[0] = 0x5A;
            LocklessWalkOperation walk = new(vm.Host.Process, HostCase.Page(3));
            return new Scenario
            {
                World = vm,
                Always = () => StageTwoCheck.Problem(vm.Vm),
                AtEnd = () => walk.Frame is Pfn seen && seen.Value != head.Value + 3 ? $"the walk has seen frame {seen}" : Content(vm),
            }.With("walk", walk).With("vcpu", new StageTwoFault(vm.Vm, VmCase.Gpa(3), write: true)).With("split", new SplitFolioOperation(vm.Kernel, head));
        });
    }

    [Test]
    public void Row07_Put_together_the_guest_gets_a_large_mapping_with_the_same_bytes()
    {
        using VmCase vm = Small(InjectedFaults.None);
        vm.Fault(3);
        ulong free = vm.Kernel.Allocator.FreeFrames;

        Errno result = new CollapseOperation(vm.Host.Process, HostCase.Page(9)).Run();
        bool zapped = vm.Installed(3) is null;
        vm.Fault(3, write: false);
        vm.Vm.StageTwo.TryFind(new Gfn(3), out StageTwoEntry entry, out Pfn frame);
        ref PageFrame folio = ref vm.Frames.FolioOf(frame);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result, Is.EqualTo(Errno.None));
            Assert.That(zapped);
            Assert.That(entry.Level, Is.EqualTo(2));
            Assert.That(vm.Frames.Bytes(frame)[0], Is.EqualTo(0x5A));
            Assert.That((folio.RefCount, folio.MapCount, folio.Order), Is.EqualTo((1, 1, 9)));
            Assert.That(free - vm.Kernel.Allocator.FreeFrames, Is.EqualTo(512 - 2 - 1), "512 frames for two pages and a table");
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }

        Errno split = new SplitFolioOperation(vm.Kernel, frame).Run();
        vm.Host.Process.Discard(HostCase.Page(4), 508).Run();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(split, Is.EqualTo(Errno.None));
            Assert.That(vm.Host.FrameAt(HostCase.Page(3)), Is.EqualTo(frame));
            Assert.That((vm.Frames[frame].RefCount, vm.Frames[frame].MapCount, vm.Frames[frame].Order), Is.EqualTo((1, 1, 0)));
            Assert.That(vm.Host.Process.Tables.Find(HostCase.Page(3), out _).IsWritable);
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }
    }

    [TestCase(FollFlags.Pin)]
    [TestCase(FollFlags.Get)]
    public void Row07_What_somebody_holds_is_neither_put_together_nor_taken_apart(FollFlags hold)
    {
        using VmCase vm = Small(InjectedFaults.None);
        GupOperation held = vm.Host.Gup(HostCase.Page(3), hold | FollFlags.Write);
        ulong free = vm.Kernel.Allocator.FreeFrames;

        Errno collapse = new CollapseOperation(vm.Host.Process, HostCase.Page(0)).Run();
        Pfn after = vm.Host.FrameAt(HostCase.Page(3));
        bool same = after == held.Frames[0] && free == vm.Kernel.Allocator.FreeFrames && !vm.Frames[after].Has(FrameFlags.Locked);
        Let(vm, hold, held);
        Errno then = new CollapseOperation(vm.Host.Process, HostCase.Page(0)).Run();
        GupOperation large = vm.Host.Gup(HostCase.Page(3), hold | FollFlags.Write);
        PageFrame before = vm.Frames.FolioOf(large.Frames[0]);
        Errno split = new SplitFolioOperation(vm.Kernel, large.Frames[0]).Run();
        PageFrame folio = vm.Frames.FolioOf(large.Frames[0]);
        Let(vm, hold, large);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(collapse, Is.EqualTo(Errno.EAGAIN));
            Assert.That(same, "nothing has changed");
            Assert.That(then, Is.EqualTo(Errno.None));
            Assert.That(split, Is.EqualTo(Errno.EAGAIN));
            Assert.That((folio.Order, folio.PinCount, folio.Flags | FrameFlags.Dirty), Is.EqualTo((9, before.PinCount, before.Flags | FrameFlags.Dirty)));
            Assert.That(folio.RefCount - folio.MapCount, Is.EqualTo(before.RefCount - before.MapCount), "references beside the entries'");
            Assert.That(new SplitFolioOperation(vm.Kernel, large.Frames[0]).Run(), Is.EqualTo(Errno.None));
        }
    }

    [TestCase(InjectedFaults.CollapseHeld)]
    [TestCase(InjectedFaults.SplitHeld)]
    public void Row07_A_kernel_that_does_not_mind_pins_loses_the_devices_writes(InjectedFaults fault)
    {
        using VmCase vm = Small(fault);
        if (fault == InjectedFaults.SplitHeld)
        {
            new CollapseOperation(vm.Host.Process, HostCase.Page(0)).Run();
        }

        GupOperation pin = vm.Host.Gup(HostCase.Page(3), FollFlags.Pin | FollFlags.Write);
        Errno result = fault == InjectedFaults.CollapseHeld
            ? new CollapseOperation(vm.Host.Process, HostCase.Page(0)).Run()
            : new SplitFolioOperation(vm.Kernel, pin.Frames[0]).Run();
        bool moved = vm.Host.FrameAt(HostCase.Page(3)) != pin.Frames[0];
        bool forgotten = vm.Frames.FolioOf(pin.Frames[0]).PinCount == 0;

        Assert.That(result, Is.EqualTo(Errno.None));
        Assert.That(moved || forgotten, "the device and the process use different pages, or the pin is nobody's");
    }

    [Test]
    public void Row07_Pages_that_a_fork_shares_are_not_put_together()
    {
        using VmCase vm = Small(InjectedFaults.None);
        vm.Host.Process.Fork("child").Run();

        Assert.That(new CollapseOperation(vm.Host.Process, HostCase.Page(0)).Run(), Is.EqualTo(Errno.EAGAIN));
    }

    [Test]
    public void Row07_Putting_together_fails_cleanly_without_memory_or_a_fitting_range()
    {
        using VmCase vm = Small(InjectedFaults.None);
        vm.Kernel.Allocator.FailAfter = 0;
        Errno none = new CollapseOperation(vm.Host.Process, HostCase.Page(0)).Run();
        vm.Kernel.Allocator.FailAfter = null;

        Assert.That(none, Is.EqualTo(Errno.ENOMEM));
        Assert.That(new CollapseOperation(vm.Host.Process, HostCase.Page(4096)).Run(), Is.EqualTo(Errno.EINVAL));
        Assert.That(vm.Host.Process.MmapLock.IsFree(shared: false));
    }

    [Test]
    public void Row07_A_file_of_large_pages_is_taken_apart_and_stays_in_its_cache()
    {
        using HostCase host = new();
        MemoryFile file = new(host.Kernel, 512, order: 9);
        host.Process.MapAt(HostCase.Base, 512, VmCase.Rw | VmFlags.Shared, file);
        host.Touch(HostCase.Page(5));
        Pfn fifth = host.FrameAt(HostCase.Page(5));
        ulong free = host.Kernel.Allocator.FreeFrames;

        Errno result = new SplitFolioOperation(host.Kernel, fifth).Run();
        file.Punch(7, 1).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result, Is.EqualTo(Errno.None));
            Assert.That(host.FrameAt(HostCase.Page(5)), Is.EqualTo(fifth));
            Assert.That((host.Frames[fifth].RefCount, host.Frames[fifth].MapCount), Is.EqualTo((2, 1)));
            Assert.That(file.Cached(7), Is.Null);
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free + 1), "a hole of one page gives a page back");
            Assert.That(host.Kernel.Log.Events, Is.Empty);
        }
    }

    private static void Let(VmCase vm, FollFlags hold, GupOperation held)
    {
        if (hold == FollFlags.Pin)
        {
            vm.Kernel.Folios.Unpin(held.Frames[0]);
        }
        else
        {
            vm.Kernel.Folios.Put(held.Frames[0]);
        }
    }

    // Two small pages of 512.
    private static VmCase Small(InjectedFaults faults)
    {
        VmCase vm = new(pages: 512, faults: faults, frames: 2048);
        vm.Host.Touch(HostCase.Page(3));
        vm.Host.Touch(HostCase.Page(8));
        vm.Frames.Bytes(vm.Host.FrameAt(HostCase.Page(3)))[0] = 0x5A;
        return vm;
    }

    private static string? Content(VmCase vm) => vm.Frames.Bytes(vm.Host.FrameAt(HostCase.Page(3)))[0] == 0x5A ? null : "the content is lost";

    private static Scenario WalkBesideCollapse(InjectedFaults faults)
    {
        VmCase vm = Small(faults);
        Pfn old = vm.Host.FrameAt(HostCase.Page(3));
        LocklessWalkOperation walk = new(vm.Host.Process, HostCase.Page(3));
        return new Scenario
        {
            World = vm,
            Always = () => vm.Kernel.Log.Has(KernelEventKind.Oops) ? "the walk has read a table that was given back"
                : walk.Frame is Pfn frame && frame != old && !IsLarge(vm, frame) ? $"the walk has seen frame {frame}" : null,
            AtEnd = () => Content(vm),
        }.With("walk", walk).With("khugepaged", new CollapseOperation(vm.Host.Process, HostCase.Page(0)));
    }

    private static bool IsLarge(VmCase vm, Pfn frame) => vm.Frames.FolioOf(frame).Order == 9 && vm.Host.FrameAt(HostCase.Page(3)) == frame;
}
