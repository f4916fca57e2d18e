using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Changes of a virtual machine's memslots: what is refused, and what others see while they go on.</summary>
[TestFixture]
public sealed class MemslotOperationTests
{
    private const ulong Page = 0x1000;
    private const ulong Taken = 0x10_0000;

    // The rules of KVM_SET_USER_MEMORY_REGION2, each with the one argument that breaks it. There is a slot of 4 pages at Taken.
    [TestCase(0x1000UL, 0UL, 0x7000UL, MemslotFlags.None, Errno.EINVAL, Description = "no page")]
    [TestCase(0x1001UL, Page, 0x7000UL, MemslotFlags.None, Errno.EINVAL, Description = "misaligned address")]
    [TestCase(0x1000UL, 0x1800UL, 0x7000UL, MemslotFlags.None, Errno.EINVAL, Description = "part of a page")]
    [TestCase(0x1000UL, Page, 0x7008UL, MemslotFlags.None, Errno.EINVAL, Description = "misaligned host address")]
    [TestCase(0xffff_ffff_ffff_f000UL, 2 * Page, 0x7000UL, MemslotFlags.None, Errno.EINVAL, Description = "wraps")]
    [TestCase(0x1000UL, 0x8000_0000UL << 12, 0x7000UL, MemslotFlags.None, Errno.EINVAL, Description = "more than 2^31 - 1 pages")]
    [TestCase(0x1000UL, Page, 0x7000UL, (MemslotFlags)0x40, Errno.EINVAL, Description = "unknown flag")]
    [TestCase(0x1000UL, Page, 0x7000UL, MemslotFlags.Invalid, Errno.EINVAL, Description = "a flag that is KVM's own")]
    [TestCase(0x1000UL, Page, 0x7000UL, MemslotFlags.GuestMemfd, Errno.EINVAL, Description = "a guest_memfd and no file")]
    [TestCase(Taken + (3 * Page), 2 * Page, 0x7000UL, MemslotFlags.None, Errno.EEXIST, Description = "overlap at its start")]
    [TestCase(Taken - Page, 2 * Page, 0x7000UL, MemslotFlags.None, Errno.EEXIST, Description = "overlap at its end")]
    [TestCase(Taken - Page, Page, 0x7000UL, MemslotFlags.LogDirtyPages, Errno.None, Description = "just below")]
    [TestCase(Taken + (4 * Page), Page, 0x7000UL, MemslotFlags.ReadOnly, Errno.None, Description = "just above")]
    public void A_slot_is_whole_pages_of_its_own(ulong gpa, ulong size, ulong host, MemslotFlags flags, Errno error)
    {
        using HostCase @case = new();
        using Kvm vm = new(@case.Process);
        vm.Slots.Add(new Gpa(Taken), 4 * Page, new Hva(0x9000));
        ulong generation = vm.Slots.Generation;

        MemslotOperation operation = vm.CreateSlot(new Gpa(gpa), size, new Hva(host), flags);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(operation.Run(), Is.EqualTo(error));
            Assert.That(operation.Slot is not null, Is.EqualTo(error == Errno.None));
            Assert.That(vm.Slots.Generation - generation, Is.EqualTo(error == Errno.None ? 1 : 0));
            Assert.That(vm.Slots.All, Has.Count.EqualTo(error == Errno.None ? 2 : 1));
            Assert.That(vm.SlotsLock.IsFree(shared: false));
        }
    }

    [TestCase(MemslotFlags.ReadOnly, 0UL, 4UL, Errno.EINVAL)]
    [TestCase(MemslotFlags.LogDirtyPages, 0UL, 4UL, Errno.EINVAL)]
    [TestCase(MemslotFlags.None, 0x800UL, 4UL, Errno.EINVAL, Description = "misaligned offset")]
    [TestCase(MemslotFlags.None, 0x5000UL, 4UL, Errno.EINVAL, Description = "beyond the end")]
    [TestCase(MemslotFlags.None, 0x3000UL, 4UL, Errno.EINVAL, Description = "overlaps another binding in the file alone")]
    [TestCase(MemslotFlags.None, 0x4000UL, 4UL, Errno.None)]
    public void A_slot_with_a_guest_memfd_is_neither_read_only_nor_logged_and_has_its_part_alone(MemslotFlags flags, ulong offset, ulong pages, Errno error)
    {
        using HostCase host = new();
        GuestMemfd.Create(host.Kernel, 8 * Page, GuestMemfdFlags.None, out GuestMemfd? file);
        using Kvm vm = new(host.Process);
        vm.AddGuestMemfdSlot(new Gpa(0), 4 * Page, new Hva(HostCase.Base), file!, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.CreateSlot(new Gpa(0x10_0000), pages * Page, new Hva(HostCase.Base), flags, file, offset).Run(), Is.EqualTo(error));
            Assert.That(vm.CreateSlot(new Gpa(0x1000), Page, new Hva(HostCase.Base), file: file, offset: 4 * Page).Run(), Is.EqualTo(Errno.EEXIST));
        }
    }

    [Test]
    public void What_a_slot_is_made_with_stays()
    {
        using HostCase host = new();
        GuestMemfd.Create(host.Kernel, 4 * Page, GuestMemfdFlags.None, out GuestMemfd? file);
        using Kvm vm = new(host.Process);
        int rom = vm.Slots.Add(new Gpa(0x10_0000), Page, new Hva(HostCase.Base), MemslotFlags.ReadOnly).Id;
        int ram = vm.Slots.Add(new Gpa(0x20_0000), Page, new Hva(HostCase.Base)).Id;
        int gmem = vm.AddGuestMemfdSlot(new Gpa(0), 4 * Page, new Hva(HostCase.Base), file!, 0).Id;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.SetSlotFlags(rom, MemslotFlags.None).Run(), Is.EqualTo(Errno.EINVAL), "read-only to writable");
            Assert.That(vm.SetSlotFlags(ram, MemslotFlags.ReadOnly).Run(), Is.EqualTo(Errno.EINVAL), "writable to read-only");
            Assert.That(vm.SetSlotFlags(ram, MemslotFlags.None).Run(), Is.EqualTo(Errno.None), "no change");
            Assert.That(vm.SetSlotFlags(gmem, MemslotFlags.LogDirtyPages).Run(), Is.EqualTo(Errno.EINVAL), "a guest_memfd's flags");
            Assert.That(vm.MoveSlot(gmem, new Gpa(0x30_0000)).Run(), Is.EqualTo(Errno.EINVAL), "a guest_memfd's place");
            Assert.That(vm.MoveSlot(ram, new Gpa(0x10_0000)).Run(), Is.EqualTo(Errno.EEXIST), "onto another");
            Assert.That(vm.MoveSlot(77, new Gpa(0)).Run(), Is.EqualTo(Errno.EINVAL), "no such slot");
            Assert.That(vm.DeleteSlot(77).Run(), Is.EqualTo(Errno.EINVAL), "no such slot");
        }
    }

    [Test]
    public void A_moved_slot_takes_its_frames_along_and_leaves_nothing()
    {
        using VmCase vm = new(pages: 1);
        KvmVcpu vcpu = vm.Vm.AddVcpu();
        vcpu.Run(GuestAccess.Write(new Gpa(0), 0x77)).Run();

        Errno moved = vm.Vm.MoveSlot(vm.Vm.Slots.All[0].Id, new Gpa(0x8000)).Run();
        VcpuRun read = vcpu.Run(GuestAccess.Read(new Gpa(0x8000)), GuestAccess.Read(new Gpa(0)));
        KvmExit exit = read.Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(moved, Is.EqualTo(Errno.None));
            Assert.That(read.Values, Is.EqualTo(new ulong[] { 0x77 }));
            Assert.That(exit.Reason, Is.EqualTo(KvmExitReason.Mmio), "nothing is left where it was");
        }
    }

    [TestCase(true)]
    [TestCase(false)]
    public void P17_No_order_of_a_vcpu_and_a_deletion_or_a_move_leaves_a_translation_behind(bool move)
    {
        bool waited = false;
        bool retried = false;
        long orders = StepScheduler.ExploreAll(() => VcpuBesideChange(move, InjectedFaults.None, vm => waited |= vm.Srcu.Readers > 0 && vm.Slots.All.Any(slot => slot.IsInvalid), run => retried |= run.Entries > 2));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(orders, Is.GreaterThan(20));
            Assert.That(waited, "in some order the change waited for the fault");
            Assert.That(retried, "in some order the fault met the INVALID slot");
        }
    }

    [Test]
    public void P17_Without_waiting_for_readers_a_translation_stays()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(
            () => StepScheduler.ExploreAll(() => VcpuBesideChange(move: false, InjectedFaults.SkipSynchronizeSrcu, _ => { }, _ => { })))!;

        Assert.That(failure.Problem, Does.StartWith("guest frame 0x0 is still translated"));
    }

    [Test]
    public void A_generation_that_is_not_over_is_told_by_its_top_bit_and_is_not_remembered()
    {
        bool inProgress = false;
        ulong last = 0;
        StepScheduler.ExploreAll(() =>
        {
            VmCase vm = new(frames: 128, pages: 1);
            ulong before = vm.Vm.Slots.Generation;
            KvmVcpu vcpu = vm.Vm.AddVcpu();
            return new Scenario
            {
                World = vm,
                Always = () =>
                {
                    inProgress |= (vm.Vm.Slots.Generation & Memslots.UpdateInProgress) != 0;
                    return null;
                },
                AtEnd = () =>
                {
                    last = vm.Vm.Slots.Generation - before;
                    KvmExit exit = vcpu.Run(GuestAccess.Write(new Gpa(0x8000), 1)).Run();
                    return exit.Reason == KvmExitReason.Halted ? null : $"the vCPU remembers {exit.Reason} where a slot is by now";
                },
            }.With("vcpu0", vcpu.Run(GuestAccess.Read(new Gpa(0x8000)))).With("vmm", vm.Vm.CreateSlot(new Gpa(0x8000), Page, HostCase.Page(0)));
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(inProgress);
            Assert.That(last, Is.EqualTo(1));
        }
    }

    [Test]
    public void Where_no_slot_is_the_second_exit_needs_no_fault_until_the_slots_change()
    {
        using VmCase vm = new(pages: 1);
        KvmVcpu vcpu = vm.Vm.AddVcpu();
        GuestAccess access = GuestAccess.Read(new Gpa(0x8000));

        KvmExit first = vcpu.Run(access).Run();
        KvmExit second = vcpu.Run(access).Run();
        int remembered = vcpu.RememberedMmio;
        vm.Vm.CreateSlot(new Gpa(0x8000), Page, HostCase.Page(0)).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((first, second), Is.EqualTo((new KvmExit(KvmExitReason.Mmio, Gpa: new Gpa(0x8000)), first)));
            Assert.That(remembered, Is.EqualTo(1));
            Assert.That(vcpu.Run(access).Run().Reason, Is.EqualTo(KvmExitReason.Halted));
        }
    }

    [Test]
    public void A_change_waits_for_an_invalidation_whose_ends_must_see_the_same_slots()
    {
        bool unequal = false;
        StepScheduler.ExploreAll(() =>
        {
            VmCase vm = new(frames: 128, pages: 1);
            vm.Host.Touch(HostCase.Page(0));
            ulong seen = 0;
            return new Scenario
            {
                World = vm,
                Always = () =>
                {
                    ulong now = vm.Vm.Slots.Generation;
                    unequal |= vm.Vm.ActiveInvalidations > 0 && seen != 0 && (now & ~Memslots.UpdateInProgress) != (seen & ~Memslots.UpdateInProgress) && (seen & Memslots.UpdateInProgress) == 0;
                    seen = vm.Vm.ActiveInvalidations > 0 ? now : 0;
                    return null;
                },
            }.With("vmm", vm.Host.Process.Discard(HostCase.Page(0), 1)).With("slots", vm.Vm.DeleteSlot(vm.Vm.Slots.All[0].Id));
        });

        Assert.That(unequal, Is.False);
    }

    private static Scenario VcpuBesideChange(bool move, InjectedFaults faults, Action<Kvm> always, Action<VcpuRun> atEnd)
    {
        VmCase vm = new(faults: faults, frames: 128, pages: 1);
        vm.Host.Touch(HostCase.Page(0));
        int id = vm.Vm.Slots.All[0].Id;
        VcpuRun run = vm.Vm.AddVcpu().Run(GuestAccess.Write(new Gpa(0), 1));
        return new Scenario
        {
            World = vm,
            Always = () =>
            {
                always(vm.Vm);
                return null;
            },
            AtEnd = () =>
            {
                atEnd(run);
                return vm.Vm.StageTwo.TryFind(new Gfn(0), out _, out _) ? "guest frame 0x0 is still translated, and no slot holds it" : null;
            },
        }.With("vcpu0", run).With("vmm", move ? vm.Vm.MoveSlot(id, new Gpa(0x8000)) : vm.Vm.DeleteSlot(id));
    }
}
