using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 16 to 19 and 24 of the host-memory table: host changes and the second stage, in every interleaving.</summary>
[TestFixture]
public sealed class NotifierRows
{
    [TestCase(true)]
    [TestCase(false)]
    public void Row16_A_fault_beside_munmap_never_leaves_a_stale_entry(bool write)
    {
        long orders = StepScheduler.ExploreAll(() => FaultBesideUnmap(write, InjectedFaults.None));

        Assert.That(orders, Is.GreaterThan(20));
    }

    [Test]
    public void Row16_Without_the_look_at_the_sequence_a_stale_entry_is_found()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(
            () => StepScheduler.ExploreAll(() => FaultBesideUnmap(write: true, InjectedFaults.SkipInvalidateCheck)))!;

        Assert.That(failure.Problem, Does.StartWith("the guest reaches a frame that the host has unmapped"));
    }

    [Test]
    public void Row17_A_change_without_a_notifier_leaves_the_guest_with_the_old_frame()
    {
        using VmCase vm = new(faults: InjectedFaults.SkipNotifier);
        vm.Fault(0);
        vm.GuestWrite(0, 0x1111);
        Pfn old = vm.Installed(0)!.Value;

        vm.Host.Process.Discard(HostCase.Page(0), 1).Run();
        vm.Host.Touch(HostCase.Page(1));
        vm.Host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.Installed(0), Is.EqualTo(old));
            Assert.That(StageTwoCheck.Problem(vm.Vm), Does.StartWith("the guest reaches"));
        }
    }

    [Test]
    public void Row18_After_munmap_there_is_no_entry_and_the_next_access_is_EFAULT()
    {
        using VmCase vm = new();
        vm.Fault(3);
        vm.Host.Process.Unmap(HostCase.Page(3), 1).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.GuestRead(3), Is.Null);
            Assert.That(vm.Fault(3), Is.EqualTo(StageTwoOutcome.Fault));
        }
    }

    [Test]
    public void Row19_A_page_that_the_guest_has_mapped_migrates_and_the_guest_sees_the_new_frame([Values] bool file)
    {
        using VmCase vm = file
            ? new(flags: VmCase.Rw | VmFlags.Shared, backing: kernel => new MemoryFile(kernel, 8))
            : new();
        vm.Fault(2);
        vm.GuestWrite(2, 0xCAFE);
        Pfn old = vm.Installed(2)!.Value;
        PageFrame before = vm.Frames[old];

        MigrateOperation migrate = new(vm.Kernel, old);
        Errno error = migrate.Run();
        bool zapped = vm.Installed(2) is null;
        vm.Fault(2, write: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(error, Is.EqualTo(Errno.None));
            Assert.That(zapped);
            Assert.That(vm.Installed(2), Is.EqualTo(migrate.To).And.Not.EqualTo(old));
            Assert.That(vm.GuestRead(2), Is.EqualTo(0xCAFE));
            Assert.That((vm.Frames[migrate.To!.Value].RefCount, vm.Frames[migrate.To!.Value].MapCount), Is.EqualTo((before.RefCount, before.MapCount)));
            Assert.That(vm.Frames[old].Has(FrameFlags.Buddy) || vm.Frames[old].RefCount == 0);
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }
    }

    [TestCase(FollFlags.Get)]
    [TestCase(FollFlags.Pin)]
    public void Row24_A_page_that_somebody_holds_stays(FollFlags hold)
    {
        using VmCase vm = new();
        vm.Fault(0);
        Pfn frame = vm.Installed(0)!.Value;
        GupOperation held = vm.Host.Gup(HostCase.Page(0), hold | FollFlags.Write);

        Errno busy = new MigrateOperation(vm.Kernel, frame).Run();
        PageFrame after = vm.Frames[frame];
        if (hold == FollFlags.Pin)
        {
            vm.Kernel.Folios.Unpin(held.Frames[0]);
        }
        else
        {
            vm.Kernel.Folios.Put(held.Frames[0]);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(busy, Is.EqualTo(Errno.EAGAIN));
            Assert.That((after.RefCount, after.MapCount), Is.EqualTo((2, 1)));
            Assert.That(vm.Host.FrameAt(HostCase.Page(0)), Is.EqualTo(frame));
            Assert.That(new MigrateOperation(vm.Kernel, frame).Run(), Is.EqualTo(Errno.None));
        }
    }

    [Test]
    public void Row24_A_fault_beside_a_migration_ends_with_the_right_frame_in_every_order()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            VmCase vm = new(frames: 128, pages: 2);
            vm.Host.Touch(HostCase.Page(0));
            Pfn frame = vm.Host.FrameAt(HostCase.Page(0));
            vm.Frames.Bytes(frame)[0] = 0x5A;
            return new Scenario
            {
                World = vm,
                Always = () => StageTwoCheck.Problem(vm.Vm),
                AtEnd = () =>
                {
                    string? problem = StageTwoCheck.Problem(vm.Vm) ?? (vm.Frames.Bytes(vm.Host.FrameAt(HostCase.Page(0)))[0] == 0x5A ? null : "the content is lost");
                    return problem;
                },
            }.With("vcpu", new StageTwoFault(vm.Vm, VmCase.Gpa(0), write: false)).With("kcompactd", new MigrateOperation(vm.Kernel, frame));
        });

        Assert.That(orders, Is.GreaterThan(20));
    }

    private static Scenario FaultBesideUnmap(bool write, InjectedFaults faults)
    {
        VmCase vm = new(faults: faults, frames: 128, pages: 2);
        vm.Host.Touch(HostCase.Page(0));
        return new Scenario
        {
            World = vm,
            Always = () => StageTwoCheck.Problem(vm.Vm),
            AtEnd = () =>
            {
                string? problem = StageTwoCheck.Problem(vm.Vm);
                return problem;
            },
        }.With("vcpu", new StageTwoFault(vm.Vm, VmCase.Gpa(0), write)).With("vmm", vm.Host.Process.Unmap(HostCase.Page(0), 1));
    }
}
