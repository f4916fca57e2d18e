using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 28 and 29 of the host-memory table: frames that the hardware has lost, and who is told in which way.</summary>
[TestFixture]
public sealed class MemoryFailureRows
{
    [Test]
    public void Row28_A_guests_page_is_lost_the_VMM_hears_of_it_and_the_guest_tries_again()
    {
        using VmCase vm = new();
        vm.Host.Process.EarlyKill = true;
        vm.Fault(2);
        Pfn lost = vm.Installed(2)!.Value;

        MemoryFailureOperation failure = new(vm.Kernel, lost);
        Errno result = failure.Run();
        bool zapped = vm.Installed(2) is null;
        StageTwoOutcome next = vm.Fault(2);
        StageTwoOutcome again = vm.Fault(2);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((result, failure.Outcome), Is.EqualTo((Errno.None, MemoryFailureOutcome.Recovered)));
            Assert.That(zapped);
            Assert.That((next, again), Is.EqualTo((StageTwoOutcome.Retry, StageTwoOutcome.Retry)));
            Assert.That(vm.Host.Process.BusErrors, Is.EqualTo(new[]
            {
                new BusError(BusErrorCode.ActionOptional, HostCase.Page(2)),
                new BusError(BusErrorCode.ActionRequired, HostCase.Page(2)),
                new BusError(BusErrorCode.ActionRequired, HostCase.Page(2)),
            }));
            Assert.That(vm.Frames[lost].Has(FrameFlags.HwPoison | FrameFlags.Offline), "nobody gets the frame again");
            Assert.That(new MemoryFailureOperation(vm.Kernel, lost).Run(), Is.EqualTo(Errno.EHWPOISON));
        }

        vm.Host.Process.Discard(HostCase.Page(2), 1).Run();
        Assert.That(vm.Fault(2), Is.EqualTo(StageTwoOutcome.Fixed), "the VMM has let the page go");
        Assert.That(vm.Installed(2), Is.Not.EqualTo(lost));
    }

    [Test]
    public void Row28_One_look_up_under_the_lock_finds_out([Values] bool write)
    {
        using VmCase vm = new();
        vm.Host.Touch(HostCase.Page(0));
        new MemoryFailureOperation(vm.Kernel, vm.Host.FrameAt(HostCase.Page(0))).Run();

        PfnResolver resolver = vm.Resolve(0, new FollowPfn(write ? FollFlags.Write : FollFlags.None));

        Assert.That((resolver.Result, resolver.SlowLookups), Is.EqualTo((PfnResult.HwPoison, 1)));
        Assert.That(vm.Host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EFAULT), "without FOLL_HWPOISON");
        Assert.That(vm.Host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.HwPoison).Result.Error, Is.EqualTo(Errno.EHWPOISON));
    }

    [Test]
    public void Row28_The_processor_that_used_the_page_must_act_and_others_may([Values] bool early)
    {
        using HostCase host = new();
        MemoryFile file = new(host.Kernel, 1);
        AddressSpace other = new(host.Kernel, "other") { EarlyKill = early };
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw | VmFlags.Shared, file);
        other.MapAt(HostCase.Base, 1, VmCase.Rw | VmFlags.Shared, file);
        host.Touch(HostCase.Page(0));
        other.Fault(HostCase.Page(0), write: false).Run();
        Pfn lost = file.Cached(0)!.Value;

        Errno result = new MemoryFailureOperation(host.Kernel, lost, current: host.Process).Run();
        Errno again = new MemoryFailureOperation(host.Kernel, lost, current: host.Process).Run();
        VmFault touch = other.Fault(HostCase.Page(0), write: false).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((result, again), Is.EqualTo((Errno.None, Errno.EHWPOISON)));
            Assert.That(host.Process.BusErrors, Is.EqualTo(new[] { new BusError(BusErrorCode.ActionRequired, HostCase.Page(0)) }));
            Assert.That(other.BusErrors.Count(error => error.Code == BusErrorCode.ActionOptional), Is.EqualTo(early ? 1 : 0));
            Assert.That(touch, Is.EqualTo(VmFault.HwPoison));
            Assert.That(other.BusErrors[^1].Code, Is.EqualTo(BusErrorCode.ActionRequired), "its own touch");
            Assert.That(file.Cached(0), Is.EqualTo(lost), "the file keeps it, so that all are told");
        }
    }

    [Test]
    public void Row28_A_clean_page_of_a_disk_is_read_again_and_nobody_notices()
    {
        using VmCase vm = Disk(out DiskFile file);
        vm.Fault(0);
        vm.GuestWrite(0, 0x4711);
        file.Writeback(0).Run();
        vm.Fault(0, write: false);
        Pfn lost = file.Cached(0)!.Value;

        MemoryFailureOperation failure = new(vm.Kernel, lost);
        failure.Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(failure.Outcome, Is.EqualTo(MemoryFailureOutcome.Recovered));
            Assert.That(vm.Host.Process.BusErrors, Is.Empty);
            Assert.That(vm.Fault(0), Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.GuestRead(0), Is.EqualTo(0x4711));
            Assert.That(vm.Installed(0), Is.Not.EqualTo(lost));
            Assert.That(file.Error, Is.EqualTo(Errno.None));
        }
    }

    [Test]
    public void Row28_A_dirty_page_of_a_disk_is_lost_and_the_file_says_so()
    {
        using VmCase vm = Disk(out DiskFile file);
        vm.Host.Process.EarlyKill = true;
        vm.Fault(0);
        vm.GuestWrite(0, 0x4711);

        new MemoryFailureOperation(vm.Kernel, file.Cached(0)!.Value).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(file.Error, Is.EqualTo(Errno.EIO));
            Assert.That(vm.Host.Process.BusErrors, Has.Count.EqualTo(1));
            Assert.That(vm.Fault(0), Is.EqualTo(StageTwoOutcome.Retry));
        }
    }

    [Test]
    public void Row28_One_frame_of_a_large_page_is_lost_and_the_others_stay()
    {
        using VmCase vm = new(flags: VmCase.Rw | VmFlags.HugePage, pages: 512);
        vm.Fault(0);
        vm.GuestWrite(7, 0x77);
        Pfn head = vm.Installed(0)!.Value;

        Errno result = new MemoryFailureOperation(vm.Kernel, new Pfn(head.Value + 3)).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result, Is.EqualTo(Errno.None));
            Assert.That(vm.Fault(3), Is.EqualTo(StageTwoOutcome.Retry));
            Assert.That(vm.Fault(7), Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.GuestRead(7), Is.EqualTo(0x77));
            Assert.That(vm.Installed(7)?.Value, Is.EqualTo(head.Value + 7));
            Assert.That(vm.Frames[new Pfn(head.Value + 3)].Has(FrameFlags.Offline));
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Row28_A_large_page_that_is_pinned_stays_mapped_and_its_users_are_told()
    {
        using VmCase vm = new(flags: VmCase.Rw | VmFlags.HugePage, pages: 512);
        vm.Host.Process.EarlyKill = true;
        vm.Host.Touch(HostCase.Page(0));
        GupOperation pin = vm.Host.Gup(HostCase.Page(3), FollFlags.Pin | FollFlags.Write);

        MemoryFailureOperation failure = new(vm.Kernel, pin.Frames[0]);
        Errno result = failure.Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((result, failure.Outcome), Is.EqualTo((Errno.EBUSY, MemoryFailureOutcome.Ignored)));
            Assert.That(vm.Host.FrameAt(HostCase.Page(3)), Is.EqualTo(pin.Frames[0]));
            Assert.That(vm.Host.Process.BusErrors, Is.EqualTo(new[] { new BusError(BusErrorCode.ActionOptional, HostCase.Page(3)) }));
        }
    }

    [Test]
    public void Row28_A_free_frame_a_kernels_own_and_one_that_is_not_there()
    {
        using HostCase host = new();
        Pfn free = host.Kernel.Allocator.Allocate()!.Value;
        host.Kernel.Folios.Put(free);
        ulong count = host.Kernel.Allocator.FreeFrames;
        MemoryFailureOperation of = new(host.Kernel, free);
        MemoryFailureOperation ofTable = new(host.Kernel, host.Process.Tables.Root);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((of.Run(), of.Outcome), Is.EqualTo((Errno.None, MemoryFailureOutcome.Recovered)));
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(count - 1));
            Assert.That((ofTable.Run(), ofTable.Outcome), Is.EqualTo((Errno.EBUSY, MemoryFailureOutcome.Ignored)));
            Assert.That(new MemoryFailureOperation(host.Kernel, new Pfn(host.Frames.Count)).Run(), Is.EqualTo(Errno.ENXIO));
        }
    }

    [Test]
    public void Row28_A_page_that_is_held_is_unmapped_and_counted_as_failed()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw);
        host.Touch(HostCase.Page(0));
        GupOperation pin = host.Gup(HostCase.Page(0), FollFlags.Pin | FollFlags.Write);
        MemoryFailureOperation failure = new(host.Kernel, pin.Frames[0]);

        Errno result = failure.Run();
        bool poison = host.Process.Tables.Find(HostCase.Page(0), out _).IsPoison;
        host.Kernel.Folios.Unpin(pin.Frames[0]);

        Assert.That((result, failure.Outcome, poison), Is.EqualTo((Errno.EBUSY, MemoryFailureOutcome.Failed, true)));
        Assert.That(host.Frames[pin.Frames[0]].Has(FrameFlags.Offline), "it goes out of use with its last reference");
    }

    [Test]
    public void Row28_A_private_page_of_a_guest_is_zapped_kept_and_told_as_EHWPOISON()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 4, VmCase.Rw);
        _ = GuestMemfd.Create(host.Kernel, 4 << 12, GuestMemfdFlags.None, out GuestMemfd? file);
        using Kvm vm = new(host.Process);
        vm.AddGuestMemfdSlot(new Gpa(0), 4 << 12, new Hva(HostCase.Base), file!, 0);
        vm.SetAttributes(new Gfn(0), 4, isPrivate: true).Run();
        new StageTwoFault(vm, new Gpa(0), write: true, asPrivate: true).Run();
        Pfn lost = file!.Cached(0)!.Value;
        MemoryFailureOperation failure = new(host.Kernel, lost);

        Errno result = failure.Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((result, failure.Outcome), Is.EqualTo((Errno.None, MemoryFailureOutcome.Delayed)));
            Assert.That(vm.StageTwo.TryFind(new Gfn(0), out _, out _), Is.False);
            Assert.That(new StageTwoFault(vm, new Gpa(0), write: true, asPrivate: true).Run(), Is.EqualTo(StageTwoOutcome.HwPoison));
            Assert.That(file.Cached(0), Is.EqualTo(lost));
        }
    }

    [Test]
    public void Row28_No_order_leaves_the_guest_with_a_lost_frame()
    {
        long orders = Orders.Explore(() => FailureBesideFault(InjectedFaults.None));

        Assert.That(orders, Is.GreaterThan(20));
    }

    [Test]
    public void Row28_Poison_without_unmapping_is_noticed()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(
            () => Orders.Explore(() => FailureBesideFault(InjectedFaults.PoisonWithoutUnmapping)))!;

        Assert.That(failure.Problem, Does.StartWith("somebody reaches a frame that is lost"));
    }

    [TestCase(FollFlags.None, false, false, "")]
    [TestCase(FollFlags.NoWait, false, false, "NEEDS_IO")]
    [TestCase(FollFlags.Interruptible, true, false, "SIGPENDING")]
    [TestCase(FollFlags.None, true, true, "SIGPENDING")]
    public void Row29_Each_outcome_of_a_page_under_way_has_its_code(FollFlags flags, bool signal, bool fatal, string expected)
    {
        using VmCase vm = new();
        vm.Host.Touch(HostCase.Page(0));
        HostPte there = vm.Host.Process.Tables.Find(HostCase.Page(0), out _);
        PageFrame before = vm.Frames[there.Frame];
        vm.Host.Process.Tables.Replace(HostCase.Page(0), 1, HostPte.Migration(there.Frame, there, exclusive: true));
        PfnResolver resolver = new(vm.Host.Process, HostCase.Page(0), new FollowPfn(flags));
        Actor vcpu = new("vcpu", resolver);
        Step(vcpu);
        (vm.Host.Process.SignalPending, vm.Host.Process.FatalSignalPending) = (signal, fatal);
        Step(vcpu);
        if (!vcpu.IsDone)
        {
            vm.Host.Process.Tables.Replace(HostCase.Page(0), 1, there);
            Step(vcpu);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vcpu.IsDone);
            Assert.That(resolver.Result.ToString(), Is.EqualTo(expected.Length == 0 ? PfnResult.Found(there.Frame).ToString() : expected));
            Assert.That(resolver.SlowLookups, Is.EqualTo(1));
            Assert.That(vm.Frames[there.Frame].RefCount, Is.EqualTo(before.RefCount + (expected.Length == 0 ? 1 : 0)), "a failure takes nothing");
            Assert.That(vm.Host.Process.MmapLock.IsFree(shared: false));
        }
    }

    [Test]
    public void Row29_EAGAIN_while_it_waits_for_the_lock_is_a_signal_too()
    {
        using VmCase vm = new();
        vm.Host.Process.MmapLock.TryAcquire(shared: false);
        vm.Host.Process.FatalSignalPending = true;

        Assert.That(vm.Host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.HwPoison).Result.Error, Is.EqualTo(Errno.EAGAIN));
        Assert.That(vm.Resolve(0, new FollowPfn(FollFlags.None)).Result, Is.EqualTo(PfnResult.SignalPending));
    }

    [TestCase(VmFlags.Read, FollFlags.NoWait | FollFlags.Write, "FAULT")]
    [TestCase(VmFlags.Read, FollFlags.NoWait, "")]
    public void Row29_What_cannot_be_had_by_waiting_is_a_fault(VmFlags rights, FollFlags flags, string expected)
    {
        using VmCase vm = new(flags: rights);

        PfnResult result = vm.Resolve(0, new FollowPfn(flags)).Result;

        Assert.That(result.IsError ? result.ToString() : "", Is.EqualTo(expected));
    }

    private static void Step(Actor actor)
    {
        while (actor.IsEnabled)
        {
            actor.Go();
        }
    }

    private static VmCase Disk(out DiskFile file)
    {
        DiskFile made = null!;
        VmCase vm = new(flags: VmCase.Rw | VmFlags.Shared, backing: kernel => made = new DiskFile(kernel, 1), pages: 1);
        file = made;
        return vm;
    }

    private static Scenario FailureBesideFault(InjectedFaults faults)
    {
        VmCase vm = new(faults: faults, frames: 128, pages: 1);
        vm.Host.Touch(HostCase.Page(0));
        Pfn lost = vm.Host.FrameAt(HostCase.Page(0));
        return new Scenario
        {
            World = vm,
            Always = () => StageTwoCheck.Problem(vm.Vm),
            AtEnd = () => vm.Installed(0) == lost || vm.Host.Process.Tables.LookupPfn(HostCase.Page(0), out Pfn frame, out _, out _) && frame == lost
                ? "somebody reaches a frame that is lost" : null,
        }.With("vcpu", new StageTwoFault(vm.Vm, VmCase.Gpa(0), write: true)).With("mce", new MemoryFailureOperation(vm.Kernel, lost));
    }
}
