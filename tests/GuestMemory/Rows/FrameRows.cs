using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 1 to 3 of the host-memory table, beside those in <see cref="FollowPfnRows"/>: frames that others count, or nobody.</summary>
[TestFixture]
public sealed class FrameRows
{
    private const VmFlags Driver = VmCase.Rw | VmFlags.PfnMap;

    [Test]
    public void Row01_What_nobody_counts_is_mapped_by_both_kernels_and_never_counted([Values(KernelBehavior.V6_12, KernelBehavior.V6_13)] KernelBehavior behavior, [Values] bool reserved)
    {
        Pfn frame = default;
        using VmCase vm = new(behavior, Driver, kernel => new DriverMemory(kernel, frame = new Pfn(reserved ? 5 : kernel.Frames.Count + 5)), pages: 1);

        StageTwoOutcome outcome = vm.Fault(0);
        vm.Host.Process.Unmap(HostCase.Page(0), 1).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcome, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That((vm.Kernel.Folios.Gets, vm.Kernel.Folios.Puts), Is.EqualTo((0, 0)));
            Assert.That(!reserved || vm.Frames[frame].RefCount == 1);
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Row02_A_tail_is_refused_by_6_12_and_the_first_frame_is_counted_by_it([Values(KernelBehavior.V6_12, KernelBehavior.V6_13)] KernelBehavior behavior)
    {
        Pfn head = default;
        using VmCase vm = new(behavior, Driver, kernel =>
        {
            head = DriverMemory.Allocate(kernel, order: 2, refcountOfFirst: 1);
            return new DriverMemory(kernel, [.. Enumerable.Range(0, 4).Select(i => new Pfn(head.Value + (ulong)i))]);
        }, pages: 4);

        bool old = behavior == KernelBehavior.V6_12;
        StageTwoOutcome[] outcomes = [.. Enumerable.Range(0, 4).Select(page => vm.Fault(page))];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcomes[0], Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(outcomes[1..], Is.All.EqualTo(old ? StageTwoOutcome.Fault : StageTwoOutcome.Fixed));
            Assert.That((vm.Kernel.Folios.Gets, vm.Kernel.Folios.Puts), Is.EqualTo(old ? (1, 1) : (0, 0)));
            Assert.That(Enumerable.Range(0, 4).Select(i => vm.Frames[new Pfn(head.Value + (ulong)i)].RefCount), Is.EqualTo(new[] { 1, 0, 0, 0 }));
        }
    }

    [Test]
    public void Row03_Counting_references_that_the_owner_does_not_count_frees_its_frame_and_is_noticed()
    {
        Pfn frame = default;
        using VmCase vm = new(
            KernelBehavior.V6_12, Driver, kernel => new DriverMemory(kernel, frame = DriverMemory.Allocate(kernel)), pages: 1, faults: InjectedFaults.TakeForeignReference);

        StageTwoOutcome outcome = vm.Fault(0);
        Pfn? next = vm.Kernel.Allocator.Allocate();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcome, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.Kernel.Log.Events.Select(one => (one.Kind, one.Frame)), Is.EqualTo(new[] { (KernelEventKind.FreedForeignFrame, frame) }));
            Assert.That(next, Is.EqualTo(frame), "the allocator gives it to the next who asks");
            Assert.That(vm.Installed(0), Is.EqualTo(frame), "and the guest still has it");
        }
    }

    [Test]
    public void Row03_6_13_has_no_place_for_the_mistake()
    {
        Pfn frame = default;
        using VmCase vm = new(
            KernelBehavior.V6_13, Driver, kernel => new DriverMemory(kernel, frame = DriverMemory.Allocate(kernel)), pages: 1, faults: InjectedFaults.TakeForeignReference);

        StageTwoOutcome outcome = vm.Fault(0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcome, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
            Assert.That(vm.Frames[frame].Has(FrameFlags.Driver));
            Assert.That(vm.Kernel.Allocator.Allocate(), Is.Not.EqualTo(frame));
        }
    }

    [Test]
    public void Row03_A_reserved_frame_stays_reserved_when_its_count_goes_to_0()
    {
        using HostCase host = new();
        ulong free = host.Kernel.Allocator.FreeFrames;

        host.Kernel.Folios.Put(new Pfn(2));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Kernel.Log.Has(KernelEventKind.FreedForeignFrame));
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free));
            Assert.That(host.Frames[new Pfn(2)].Has(FrameFlags.Reserved));
        }
    }
}
