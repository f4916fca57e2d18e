namespace Quadwalk.GuestMemory;

/// <summary>Rows 10 to 12, 15 to 18 and 27: translations of the second stage, and the notifier that keeps them true.</summary>
internal static class SecondStageScenarios
{
    private const VmFlags PfnMap = VmFlags.Read | VmFlags.Write | VmFlags.PfnMap;
    private static readonly KernelBehavior[] OldAndNew = [KernelBehavior.V6_12, KernelBehavior.V6_13];

    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("fault-drops-its-reference", 10, "A fault holds a reference while it looks, and none once the translation stands.", DropsReference),
        new("vcpu-map-pins", 11, "What KVM maps for good is pinned: migration waits for it, and frames that cannot be pinned are refused.", Pins) { Behaviors = OldAndNew },
        new("unsafe-mapping-allowed", 11, "With allow_unsafe_mappings a frame without references is mapped for good, and nobody is told.", AllowsUnsafe),
        new("dirty-at-install", 12, "A writable translation marks the page when it is made; 6.12 marks it once more when it is zapped.", DirtyAtInstall) { Behaviors = OldAndNew },
        new("retry-never-dirties", 12, "A fault that an invalidation has overtaken gives its page back unmarked.", RetryNeverDirties),
        new("zap-without-struct-page", 15, "A translation is a frame and rights: zapping it asks nothing of the page, where 6.12 writes to a driver's.", ZapWithoutPage) { Behaviors = OldAndNew },
        new("munmap-beside-a-vcpu", 16, "A vCPU runs beside munmap, and in no order reaches the page afterwards.", UnmapBesideVcpu),
        new("sequence-skipped", 16, "A fault that does not look at the sequence again leaves a stale translation.", SequenceSkipped),
        new("sequence-after-count", 16, "A sequence that grows after the counts went down is seen too late.", SequenceAfterCount),
        new("flush-forgotten", 16, "A zap without a flush leaves the old frame in the TLB of a vCPU.", FlushForgotten),
        new("repoint-without-notifier", 17, "The VMM's page changes and no notifier is called: the guest reads the old frame.", Repoint),
        new("munmap-then-access", 18, "Without a mapping of the VMM's there is nothing to follow: the next access is EFAULT.", UnmapThenAccess),
        new("page-or-map", 27, "Each frame comes with a page to release or from a bare mapping, never both and never neither.", PageOrMap),
    ];

    private static void DropsReference(LabBench bench)
    {
        bench.Map(1);
        Pfn frame = bench.Touch(0);
        Kvm guest = bench.AddGuest(1);
        int baseline = bench.Kernel.Frames[frame].RefCount;
        long gets = bench.Kernel.Folios.Gets;
        bench.Begin();

        StageTwoOutcome fault = bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));

        bench.Expect("the guest's fault", fault, StageTwoOutcome.Fixed);
        bench.Expect("a reference was taken on the way", bench.Kernel.Folios.Gets > gets);
        bench.Expect("references of the page now", bench.Kernel.Frames[frame].RefCount, baseline);
    }

    private static void Pins(LabBench bench)
    {
        bench.Map(1);
        bench.Map(1, new DriverMemory(bench.Kernel, DriverMemory.Allocate(bench.Kernel)), PfnMap, at: 1);
        Pfn frame = bench.Touch(0);
        Kvm guest = bench.AddGuest(2);
        MapForever map = new(guest, new Gfn(0));

        bench.Expect("mapping a page for good", bench.Run("kvm", map), Errno.None);
        bench.Expect("pins of the page", bench.Kernel.Frames[frame].PinCount, v6_12: 0, later: 1);
        bench.Expect("migrating it", bench.Run("kcompactd", new MigrateOperation(bench.Kernel, frame)), Errno.EAGAIN);
        bench.Run("kvm", map.Unmap());
        bench.Expect("pins after unmapping", bench.Kernel.Frames[frame].PinCount, 0);
        bench.Expect("references after unmapping", bench.Kernel.Frames[frame].RefCount, 1);
        bench.Expect("migrating it then", bench.Run("kcompactd", new MigrateOperation(bench.Kernel, frame)), Errno.None);
        bench.Expect("mapping a driver's frame", bench.Run("kvm", new MapForever(guest, new Gfn(1))), Errno.EINVAL);
    }

    private static void AllowsUnsafe(LabBench bench)
    {
        Pfn frame = DriverMemory.Allocate(bench.Kernel);
        bench.Map(1, new DriverMemory(bench.Kernel, frame), PfnMap);
        Kvm guest = new(bench.Vmm) { AllowUnsafeMappings = true };
        guest.Slots.Add(new Gpa(0), PageSize.Size4K, LabBench.Page(0));
        MapForever map = new(guest, new Gfn(0));

        bench.Expect("mapping a driver's frame", bench.Run("kvm", map), Errno.None);
        bench.Expect("it is the driver's", map.Frame, frame);
        bench.Expect("references of it", bench.Kernel.Frames[frame].RefCount, 0);
        bench.Run("vmm", bench.Vmm.Unmap(LabBench.Page(0), 1));
        bench.Expect("after munmap KVM still uses it", map.Frame, frame);
        bench.Run("kvm", map.Unmap());
        bench.Expect("references of it in the end", bench.Kernel.Frames[frame].RefCount, 0);
    }

    private static void DirtyAtInstall(LabBench bench)
    {
        MemoryFile file = new(bench.Kernel, 1);
        bench.Map(1, file, VmFlags.Read | VmFlags.Write | VmFlags.Shared);
        Pfn frame = bench.Touch(0);
        Kvm guest = bench.AddGuest(1);
        KvmVcpu vcpu = guest.AddVcpu();
        bench.Kernel.Frames[frame].Flags &= ~FrameFlags.Dirty;

        bench.Run("vcpu0", vcpu.Run(GuestAccess.Write(LabBench.GuestPage(0), 1)));
        bench.Expect("dirty once the guest may write", bench.Kernel.Frames[frame].Has(FrameFlags.Dirty));
        bench.Note("writeback cleans the page, and then something zaps the translation");
        bench.Kernel.Frames[frame].Flags &= ~FrameFlags.Dirty;
        bench.Run("kvm", guest.DeleteSlot(guest.Slots.All[0].Id));
        bench.Expect("dirty again after the zap", bench.Kernel.Frames[frame].Has(FrameFlags.Dirty), v6_12: true, later: false);
    }

    private static void RetryNeverDirties(LabBench bench)
    {
        bool retried = false;
        bench.ExpectNoOrderBreaks("a fault that could have a writable page beside mprotect(PROT_READ)", () =>
        {
            HostKernel kernel = bench.MakeKernel(frames: 128);
            AddressSpace vmm = new(kernel);
            MemoryFile file = new(kernel, 1);
            vmm.MapAt(LabBench.Base, 1, VmFlags.Read | VmFlags.Write | VmFlags.Shared, file);
            vmm.Fault(LabBench.Page(0), write: true).Run();
            Pfn frame = file.Cached(0)!.Value;
            kernel.Frames[frame].Flags &= ~FrameFlags.Dirty;
            Kvm guest = new(vmm);
            guest.Slots.Add(new Gpa(0), PageSize.Size4K, LabBench.Page(0));
            StageTwoFault fault = new(guest, new Gpa(0), write: false);
            return new Scenario
            {
                World = kernel,
                AtEnd = () =>
                {
                    retried |= fault.Retries > 0;
                    return fault.Retries > 0 && kernel.Frames[frame].Has(FrameFlags.Dirty) ? "a fault that had to retry has marked the page dirty" : null;
                },
            }.With("vcpu0", fault).With("vmm", vmm.Protect(LabBench.Page(0), 1, VmFlags.Read));
        });
        bench.Expect("some order made it retry", retried);
    }

    private static void ZapWithoutPage(LabBench bench)
    {
        Pfn frame = DriverMemory.Allocate(bench.Kernel, order: 0, refcountOfFirst: 1);
        bench.Map(1, new DriverMemory(bench.Kernel, frame), PfnMap);
        Kvm guest = bench.AddGuest(1);
        bench.Expect("the guest's fault", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true)), StageTwoOutcome.Fixed);
        bench.Kernel.Frames[frame].Flags &= ~(FrameFlags.Dirty | FrameFlags.Accessed);

        bench.Run("vmm", bench.Vmm.Unmap(LabBench.Page(0), 1));

        bench.Expect("translations left", guest.StageTwo.Count, 0);
        bench.Expect("the driver's struct page was written to", bench.Kernel.Frames[frame].Has(FrameFlags.Dirty), v6_12: true, later: false);
    }

    private static void UnmapBesideVcpu(LabBench bench) =>
        bench.ExpectNoOrderBreaks("a vCPU that writes twice beside munmap", () => VcpuBesideUnmap(bench, InjectedFaults.None));

    private static void SequenceSkipped(LabBench bench) =>
        bench.ExpectSomeOrderBreaks("a vCPU that writes twice beside munmap, without the second look", "the second stage shows frame", () => VcpuBesideUnmap(bench, InjectedFaults.SkipInvalidateCheck));

    private static void SequenceAfterCount(LabBench bench) =>
        bench.ExpectSomeOrderBreaks("a vCPU that writes twice beside munmap, with the sequence last", "the second stage shows frame", () => VcpuBesideUnmap(bench, InjectedFaults.SequenceAfterCount));

    private static void FlushForgotten(LabBench bench) =>
        bench.ExpectSomeOrderBreaks("a vCPU that writes twice beside munmap, without a flush", "the TLB of vCPU 0 shows frame", () => VcpuBesideUnmap(bench, InjectedFaults.SkipStageTwoFlush));

    private static Scenario VcpuBesideUnmap(LabBench bench, InjectedFaults faults)
    {
        HostKernel kernel = bench.MakeKernel(frames: 128, faults);
        Kvm guest = LabBench.MakeGuestOfOnePage(kernel);
        AddressSpace vmm = guest.Process;
        KvmVcpu vcpu = guest.AddVcpu();
        return new Scenario { World = kernel, Always = () => GuestChecks.Stale(guest), AtEnd = () => GuestChecks.Stale(guest) }
            .With("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 1), GuestAccess.Write(new Gpa(8), 2)))
            .With("vmm", vmm.Unmap(LabBench.Page(0), 1));
    }

    private static void Repoint(LabBench bench)
    {
        bench.Boot(faults: InjectedFaults.SkipNotifier);
        bench.Map(2);
        bench.Touch(0);
        Kvm guest = bench.AddGuest(1);
        KvmVcpu vcpu = guest.AddVcpu();
        bench.Run("vcpu0", vcpu.Run(GuestAccess.Write(LabBench.GuestPage(0), 0x0bad)));

        bench.Run("vmm", bench.Vmm.Discard(LabBench.Page(0), 1));
        Pfn other = bench.Touch(1);
        bench.Touch(0);
        bench.Kernel.Frames.Bytes(other)[0] = 0x5a;
        VcpuRun read = vcpu.Run(GuestAccess.Read(LabBench.GuestPage(0)));
        bench.Run("vcpu0", read);

        bench.Expect("the guest reads what is another's by now", read.Values is [ulong value] ? value : null, (ulong?)0x5a);
        bench.Expect("the oracle reports a stale read", GuestChecks.Stale(guest) is not null);
        bench.Note(GuestChecks.Stale(guest) ?? "");
    }

    private static void UnmapThenAccess(LabBench bench)
    {
        bench.Map(1);
        bench.Touch(0);
        Kvm guest = bench.AddGuest(1);
        KvmVcpu vcpu = guest.AddVcpu();
        bench.Run("vcpu0", vcpu.Run(GuestAccess.Write(LabBench.GuestPage(0), 1)));
        bench.Expect("translations", guest.StageTwo.Count, 1);

        bench.Run("vmm", bench.Vmm.Unmap(LabBench.Page(0), 1));
        bench.Expect("translations after munmap", guest.StageTwo.Count, 0);
        bench.Expect("KVM_RUN", bench.Run("vcpu0", vcpu.Run(GuestAccess.Read(LabBench.GuestPage(0)))), new KvmExit(KvmExitReason.Error, Errno.EFAULT));
    }

    private static void PageOrMap(LabBench bench)
    {
        bench.Map(1);
        bench.Map(1, new DriverMemory(bench.Kernel, DriverMemory.Allocate(bench.Kernel)), PfnMap, at: 1);
        bench.Touch(0);
        foreach ((int page, bool bare) in ((int, bool)[])[(0, false), (1, true)])
        {
            PfnResolver resolver = new(bench.Vmm, LabBench.Page(page), new FollowPfn(FollFlags.Write));
            PfnResult found = bench.Run("kvm", resolver);
            bench.Expect($"page {page} is found", !found.IsError);
            bench.Expect($"page {page} comes without a page to release", resolver.RefcountedPage is null, bare);
            resolver.Release(dirty: false);
        }
    }
}
