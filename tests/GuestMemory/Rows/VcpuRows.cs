using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 11, 16, 17, 22, 23 and 25 of the host-memory table, as a vCPU and the hypervisor's own uses meet them.</summary>
[TestFixture]
public sealed class VcpuRows
{
    private const VmFlags Driver = VmCase.Rw | VmFlags.PfnMap;

    [TestCase(KernelBehavior.V6_12, 0)]
    [TestCase(KernelBehavior.V6_13, 1)]
    public void Row11_A_page_mapped_for_good_is_pinned_for_as_long(KernelBehavior behavior, int pins)
    {
        using VmCase vm = new(behavior);
        vm.Host.Touch(HostCase.Page(0));
        Pfn frame = vm.Host.FrameAt(HostCase.Page(0));
        PageFrame before = vm.Frames[frame];
        MapForever map = new(vm.Vm, new Gfn(0));

        Errno mapped = map.Run();
        PageFrame during = vm.Frames[frame];
        Errno moved = new MigrateOperation(vm.Kernel, frame).Run();
        map.Unmap().Run();
        map.Unmap().Run();
        PageFrame after = vm.Frames[frame];

        using (Assert.EnterMultipleScope())
        {
            Assert.That((mapped, moved), Is.EqualTo((Errno.None, Errno.EAGAIN)));
            Assert.That(during.PinCount - before.PinCount, Is.EqualTo(pins));
            Assert.That(during.RefCount, Is.GreaterThan(before.RefCount));
            Assert.That((after.RefCount, after.PinCount), Is.EqualTo((before.RefCount, before.PinCount)), "and a second unmapping does nothing");
            Assert.That(after.Has(FrameFlags.Dirty | FrameFlags.Accessed));
        }
    }

    [TestCase(VmFlags.PfnMap, false, Errno.EINVAL)]
    [TestCase(VmFlags.Io, false, Errno.EINVAL)]
    [TestCase(VmFlags.PfnMap, true, Errno.None)]
    public void Row11_A_bare_frame_cannot_be_pinned_and_is_EINVAL_unless_that_is_allowed(VmFlags kind, bool allowed, Errno error)
    {
        using HostCase host = new();
        Pfn frame = DriverMemory.Allocate(host.Kernel);
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw | kind, new DriverMemory(host.Kernel, frame));
        using Kvm vm = new(host.Process) { AllowUnsafeMappings = allowed };
        vm.Slots.Add(new Gpa(0), 0x1000, new Hva(HostCase.Base));
        MapForever map = new(vm, new Gfn(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(map.Run(), Is.EqualTo(error));
            Assert.That(map.Frame, Is.EqualTo(allowed ? frame : (Pfn?)null));
            Assert.That((host.Frames[frame].RefCount, host.Frames[frame].PinCount), Is.EqualTo((0, 0)));
        }
    }

    [Test]
    public void Row11_What_is_no_writable_memory_is_EINVAL()
    {
        using VmCase vm = new(slotFlags: MemslotFlags.ReadOnly, pages: 1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(new MapForever(vm.Vm, new Gfn(0)).Run(), Is.EqualTo(Errno.EINVAL), "read-only");
            Assert.That(new MapForever(vm.Vm, new Gfn(0), writable: false).Run(), Is.EqualTo(Errno.None));
            Assert.That(new MapForever(vm.Vm, new Gfn(9)).Run(), Is.EqualTo(Errno.EINVAL), "no slot");
        }
    }

    [TestCase(KernelBehavior.V6_12, true)]
    [TestCase(KernelBehavior.V6_13, false)]
    public void Row15_A_zap_of_a_bare_frame_writes_to_its_struct_page_in_6_12_alone(KernelBehavior behavior, bool dirty)
    {
        Pfn frame = default;
        using VmCase vm = new(behavior, Driver, kernel => new DriverMemory(kernel, frame = DriverMemory.Allocate(kernel, order: 0, refcountOfFirst: 1)), pages: 1);
        vm.Fault(0);
        vm.Frames[frame].Flags &= ~(FrameFlags.Dirty | FrameFlags.Accessed);

        vm.Host.Process.Unmap(HostCase.Page(0), 1).Run();

        Assert.That(vm.Frames[frame].Has(FrameFlags.Dirty), Is.EqualTo(dirty));
    }

    [TestCase(InjectedFaults.SkipInvalidateCheck, "the guest reaches")]
    [TestCase(InjectedFaults.SequenceAfterCount, "the guest reaches")]
    [TestCase(InjectedFaults.SkipStageTwoFlush, "the vCPU has cached")]
    public void Row16_Each_mistake_of_the_notifiers_is_found_in_some_order(InjectedFaults faults, string problem)
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(() => StepScheduler.ExploreAll(() => VcpuBesideUnmap(faults)))!;

        Assert.That(failure.Problem, Does.StartWith(problem));
    }

    [Test]
    public void Row16_A_vcpu_beside_munmap_never_reaches_the_page_afterwards_and_is_kicked_in_some_order()
    {
        bool kicked = false;
        long orders = StepScheduler.ExploreAll(() => VcpuBesideUnmap(InjectedFaults.None, vcpu => kicked |= vcpu.IsKicked));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(orders, Is.GreaterThan(100));
            Assert.That(kicked);
        }
    }

    [Test]
    public void Row16_The_sequence_grows_before_either_count_goes_down()
    {
        using VmCase vm = new();
        vm.Fault(0);
        HostOperation end = vm.Host.Process.Registered[0].InvalidateEnd(default);
        vm.Host.Process.Registered[0].InvalidateStart(new NotifierRange(HostCase.Page(0), HostCase.Page(1), NotifierEvent.Clear)).Run();
        Actor actor = new("end", end);
        List<(ulong, int, int)> seen = [];
        while (!actor.IsDone)
        {
            actor.Go();
            seen.Add((vm.Vm.InvalidateSequence, vm.Vm.InvalidationsInProgress, vm.Vm.ActiveInvalidations));
        }

        Assert.That(seen, Is.EqualTo(new[] { (1UL, 1, 1), (1UL, 0, 1), (1UL, 0, 0) }));
    }

    [Test]
    public void Row16_A_fault_in_the_same_large_page_beside_the_unmapping_of_a_part_leaves_nothing_stale()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            VmCase vm = new(flags: VmCase.Rw | VmFlags.HugePage, frames: 2048, pages: 512);
            vm.Host.Touch(HostCase.Page(0));
            return new Scenario { World = vm, AtEnd = () => StageTwoCheck.Problem(vm.Vm) }
                .With("vcpu", new StageTwoFault(vm.Vm, VmCase.Gpa(9), write: false))
                .With("vmm", vm.Host.Process.Discard(HostCase.Page(3), 1));
        });

        Assert.That(orders, Is.GreaterThan(5));
    }

    [Test]
    public void Row17_A_vcpu_reads_what_is_anothers_by_now_where_no_notifier_is_called([Values] bool notified)
    {
        using VmCase vm = new(faults: notified ? InjectedFaults.None : InjectedFaults.SkipNotifier);
        KvmVcpu vcpu = vm.Vm.AddVcpu();
        vcpu.Run(GuestAccess.Write(VmCase.Gpa(0), 0x11)).Run();

        vm.Host.Process.Discard(HostCase.Page(0), 1).Run();
        vm.Host.Touch(HostCase.Page(1));
        vm.Frames.Bytes(vm.Host.FrameAt(HostCase.Page(1)))[0] = 0x5a;
        vm.Host.Touch(HostCase.Page(0));
        VcpuRun read = vcpu.Run(GuestAccess.Read(VmCase.Gpa(0)));
        read.Run();

        Assert.That(read.Values, Is.EqualTo(new[] { notified ? 0UL : 0x5a }));
    }

    [Test]
    public void Row22_KVM_reads_and_writes_through_a_cache_and_looks_again_when_it_must()
    {
        using VmCase vm = new(pages: 1);
        GfnToPfnCache cache = new(vm.Vm);
        cache.Activate(new Gpa(0x10), 4).Run();
        Errno written = cache.Write(new byte[] { 1, 2, 3, 4 }).Run();
        uint? seen = null;
        vm.Fault(0);
        Span<byte> bytes = stackalloc byte[4];
        seen = vm.Vm.TryGuestRead(new Gpa(0x10), bytes) ? BitConverter.ToUInt32(bytes) : null;
        vm.Host.Process.Discard(HostCase.Page(0), 1).Run();
        byte[] read = [9, 9, 9, 9];
        Errno again = cache.Read(read).Run();
        cache.Deactivate().Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((written, again), Is.EqualTo((Errno.None, Errno.None)));
            Assert.That(seen, Is.EqualTo(0x04030201));
            Assert.That(read, Is.EqualTo(new byte[4]), "the page that came after");
            Assert.That(cache.Read(read).Run(), Is.EqualTo(Errno.EINVAL), "not active any more");
            Assert.That(cache.IsMapped, Is.False);
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }
    }

    [TestCase(KernelBehavior.V6_13, Errno.EINVAL)]
    [TestCase(KernelBehavior.Proposed, Errno.None)]
    public void Row23_A_cache_for_a_vcpu_in_the_guest_is_for_the_posted_series_alone(KernelBehavior behavior, Errno error)
    {
        using VmCase vm = new(behavior);
        GfnToPfnCache cache = new(vm.Vm.AddVcpu(), PfnCacheUses.Guest | PfnCacheUses.Host);

        Assert.That(cache.Activate(new Gpa(0), 8).Run(), Is.EqualTo(error));
    }

    [TestCase(InjectedFaults.None, null)]
    [TestCase(InjectedFaults.EnterWithoutRecheck, "the vCPU in the guest uses")]
    public void Row23_The_vcpu_is_out_before_the_invalidation_returns_and_looks_before_it_enters(InjectedFaults faults, string? problem)
    {
        bool kicked = false;
        InterleavingException? failure = null;
        try
        {
            StepScheduler.ExploreAll(() => VcpuWithCache(faults, vcpu => kicked |= vcpu.IsKicked));
        }
        catch (InterleavingException e)
        {
            failure = e;
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(failure?.Problem, problem is null ? Is.Null : Does.StartWith(problem));
            Assert.That(kicked || problem is not null, "in some order it had to be kicked");
        }
    }

    [Test]
    public void Row25_The_frame_of_the_APIC_page_is_loaded_again_before_the_next_entry()
    {
        bool reloaded = false;
        bool kicked = false;
        for (ulong seed = 0; seed < 2000; seed++)
        {
            using Scenario scenario = ApicPageBesideMigration(vcpu => kicked |= vcpu.IsKicked, (vcpu, old) => reloaded |= vcpu.ApicAccessPage != old);
            StepScheduler.RunRandom(scenario, seed);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reloaded, "in some order the page moved first");
            Assert.That(kicked, "in some order the vCPU was in the guest");
        }
    }

    private static Scenario ApicPageBesideMigration(Action<KvmVcpu> always, Action<KvmVcpu, Pfn> atEnd)
    {
        HostCase host = new(frames: 128);
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw);
        host.Touch(HostCase.Page(0));
        Pfn old = host.FrameAt(HostCase.Page(0));
        Kvm vm = new(host.Process);
        KvmVcpu vcpu = vm.AddVcpu();
        vm.AddApicAccessPage(HostCase.Page(0));
        GuestAccess register = GuestAccess.Write(Kvm.ApicAccessFrame.Address + 0x80, 0x20);
        return new Scenario
        {
            World = host,
            Always = () =>
            {
                always(vcpu);
                bool moved = !host.Process.Tables.LookupPfn(HostCase.Page(0), out Pfn now, out _, out _) || now != old;
                return vcpu.InGuest && !vcpu.IsKicked && vcpu.ApicAccessPage == old && moved ? "the VMCS names a frame that the page has left" : null;
            },
            AtEnd = () =>
            {
                atEnd(vcpu, old);
                return vcpu.VirtualizedApicAccesses == 2 ? null : "an access went to memory";
            },
        }.With("vcpu0", vcpu.Run(register, register)).With("kcompactd", new MigrateOperation(host.Kernel, old));
    }

    private static Scenario VcpuBesideUnmap(InjectedFaults faults, Action<KvmVcpu>? always = null)
    {
        VmCase vm = new(faults: faults, frames: 128, pages: 1);
        vm.Host.Touch(HostCase.Page(0));
        KvmVcpu vcpu = vm.Vm.AddVcpu();
        return new Scenario
        {
            World = vm,
            Always = () =>
            {
                always?.Invoke(vcpu);
                bool mapped = vm.Host.Process.Tables.LookupPfn(HostCase.Page(0), out Pfn host, out _, out _);
                bool stale = vcpu.InGuest && !vcpu.IsKicked && vcpu.Translations.Any(one => !mapped || one.Frame != host);
                return StageTwoCheck.Problem(vm.Vm) ?? (stale ? "the vCPU has cached what the host has unmapped" : null);
            },
        }.With("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 1), GuestAccess.Write(new Gpa(8), 2))).With("vmm", vm.Host.Process.Unmap(HostCase.Page(0), 1));
    }

    private static Scenario VcpuWithCache(InjectedFaults faults, Action<KvmVcpu> always)
    {
        VmCase vm = new(KernelBehavior.Proposed, faults: faults, frames: 128, pages: 1);
        vm.Host.Touch(HostCase.Page(0));
        KvmVcpu vcpu = vm.Vm.AddVcpu();
        GfnToPfnCache cache = new(vcpu, PfnCacheUses.Guest);
        cache.Activate(new Gpa(0), 8).Run();
        return new Scenario
        {
            World = vm,
            Always = () =>
            {
                always(vcpu);
                bool mapped = vm.Host.Process.Tables.LookupPfn(HostCase.Page(0), out Pfn host, out _, out _);
                bool stale = vcpu.InGuest && !vcpu.IsKicked && vcpu.LoadedFrame(cache) is Pfn frame && (!mapped || frame != host);
                return stale ? "the vCPU in the guest uses a frame that the VMM has given back" : null;
            },
        }.With("vcpu0", vcpu.Run(GuestAccess.Read(cache))).With("vmm", vm.Host.Process.Discard(HostCase.Page(0), 1));
    }
}
