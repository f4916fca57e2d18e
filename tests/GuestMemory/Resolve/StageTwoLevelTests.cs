using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>P10 and P11: a translation of the second stage is no larger and allows no more than all that have a say.</summary>
[TestFixture]
public sealed class StageTwoLevelTests
{
    private const ulong Large = 0x20_0000;

    // Guest frames from gpa on show size bytes of the VMM's at host; the VMM has pages of 2 MiB from Large * 8 on if it may.
    [TestCase(true, 0UL, 0UL, Large, 2, Description = "all agree")]
    [TestCase(false, 0UL, 0UL, Large, 1, Description = "the host has small pages")]
    [TestCase(true, 0x1000UL, 0UL, Large, 1, Description = "guest and host are not aligned alike")]
    [TestCase(true, 0UL, 0UL, Large - 0x1000, 1, Description = "the slot ends within")]
    [TestCase(true, 0x1000UL, 0x1000UL, Large - 0x1000, 1, Description = "the slot begins within")]
    public void P10_A_translation_is_as_large_as_host_and_slot_allow(bool huge, ulong gpa, ulong host, ulong size, int level)
    {
        using HostCase @case = new();
        @case.Process.MapAt(Large * 8, 512, VmCase.Rw | (huge ? VmFlags.HugePage : VmFlags.None));
        @case.Touch(new Hva(Large * 8));
        using Kvm vm = new(@case.Process);
        vm.Slots.Add(new Gpa(gpa), size, new Hva((Large * 8) + host));

        new StageTwoFault(vm, new Gpa(0x9000), write: true).Run();

        Assert.That(vm.StageTwo.Entries.Single().Entry.Level, Is.EqualTo(level));
    }

    [TestCase(9, 0UL, 512UL, 512UL, 2, Description = "all agree")]
    [TestCase(0, 0UL, 512UL, 512UL, 1, Description = "the file has small folios")]
    [TestCase(9, 0UL, 511UL, 512UL, 1, Description = "the slot ends within")]
    [TestCase(9, 1UL, 512UL, 512UL, 1, Description = "guest and file are not aligned alike")]
    [TestCase(9, 0UL, 512UL, 511UL, 1, Description = "one frame is shared")]
    public void P10_A_private_translation_is_as_large_as_file_slot_and_attributes_allow(int order, ulong firstPage, ulong pages, ulong privatePages, int level)
    {
        using HostCase host = new();
        GuestMemfd.Create(host.Kernel, 1024 << 12, GuestMemfdFlags.None, out GuestMemfd? file, order);
        using Kvm vm = new(host.Process);
        vm.AddGuestMemfdSlot(new Gpa(0), pages << 12, new Hva(HostCase.Base), file!, firstPage);
        vm.SetAttributes(new Gfn(0), privatePages, isPrivate: true).Run();

        new StageTwoFault(vm, new Gpa(0x9000), write: true, asPrivate: true).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.StageTwo.Entries.Single().Entry.Level, Is.EqualTo(level));
            Assert.That(vm.StageTwo.TryFind(new Gfn(9), out _, out Pfn frame) && frame == file!.Cached(firstPage + 9));
        }
    }

    [Test]
    public void P10_Without_the_limits_a_translation_reaches_over_the_end_of_its_slot()
    {
        using HostCase host = new(faults: InjectedFaults.IgnoreLevelLimits);
        host.Process.MapAt(Large * 8, 512, VmCase.Rw | VmFlags.HugePage);
        host.Touch(new Hva(Large * 8));
        using Kvm vm = new(host.Process);
        vm.Slots.Add(new Gpa(0), 0x10_000, new Hva(Large * 8));

        new StageTwoFault(vm, new Gpa(0x9000), write: true).Run();

        Assert.That(vm.StageTwo.TryFind(new Gfn(0x100), out _, out _), "a frame that no slot holds is translated");
    }

    [TestCase(InjectedFaults.None, false)]
    [TestCase(InjectedFaults.WritableUnasked, true)]
    public void P11_A_read_fault_makes_no_more_of_a_page_than_the_VMM_may(InjectedFaults faults, bool writable)
    {
        using VmCase vm = new(flags: VmFlags.Read, faults: faults, pages: 1);

        vm.Fault(0, write: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.Vm.StageTwo.Entries.Single().Entry.Writable, Is.EqualTo(writable));
            Assert.That(StageTwoCheck.Problem(vm.Vm), writable ? Does.StartWith("the guest may write frame") : Is.Null);
        }
    }

    [Test]
    public void P11_A_read_only_slot_gives_no_writable_translation()
    {
        using VmCase vm = new(slotFlags: MemslotFlags.ReadOnly, pages: 1);

        vm.Fault(0, write: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.Vm.StageTwo.Entries.Single().Entry.Writable, Is.False);
            Assert.That(vm.Fault(0), Is.EqualTo(StageTwoOutcome.Emulate));
        }
    }

    [TestCase(0x1800UL, 0x1000UL, Errno.EINVAL, 0UL)]
    [TestCase(0x1000UL, 0UL, Errno.EINVAL, 0UL)]
    [TestCase(0x40_0000UL, 0x1000UL, Errno.ENOENT, 0UL)]
    [TestCase(0UL, 0x4000UL, Errno.None, 0x4000UL)]
    [TestCase(0x6000UL, 0x4000UL, Errno.None, 0x2000UL, Description = "as far as the slot goes")]
    public void Memory_is_faulted_in_before_the_guest_asks(ulong gpa, ulong size, Errno error, ulong bytes)
    {
        using VmCase vm = new();
        PreFaultOperation operation = vm.Vm.AddVcpu().PreFault(new Gpa(gpa), size);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(operation.Run(), Is.EqualTo(error));
            Assert.That(operation.Bytes, Is.EqualTo(bytes));
            Assert.That(vm.Vm.StageTwo.Count, Is.EqualTo((int)(bytes >> 12)));
        }
    }
}
