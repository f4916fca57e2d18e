namespace Quadwalk.GuestMemory;

/// <summary>Rows 20 to 23, 25 and 44: frames that KVM keeps for its own use or for a vCPU's, and memslots that change under them.</summary>
internal static class PfnCacheScenarios
{
    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("pfn-cache-life", 20, "A cache is activated, checked, refreshed and deactivated, and holds no reference in between.", Life),
        new("slot-change-fails-check", 20, "A change of the memslots makes the check fail until a refresh, while it is going on too.", SlotChange),
        new("slot-deletion-waits", 20, "A slot is deleted beside a fault in it: the deletion waits for the fault, or the fault meets an INVALID slot.", DeletionWaits),
        new("slot-deletion-without-waiting", 20, "A deletion that does not wait leaves a translation of no slot.", DeletionWithoutWaiting),
        new("pfn-cache-retries", 21, "An invalidation between look-up and publication makes a refresh look again.", Retries),
        new("pfn-cache-without-second-look", 21, "A refresh that does not look at the sequence again shows a stale frame.", WithoutSecondLook),
        new("two-caches-on-a-page", 21, "Two caches show a page, and one forgot to be listed: the notifier does not find it.", TwoCaches),
        new("host-uses-the-frame", 22, "KVM writes through a cache beside the VMM that discards the page; the write is never to a page given back.", HostUses),
        new("guest-uses-the-frame", 23, "A vCPU uses the frame of a cache in the guest: it is kicked out before the invalidation returns.", GuestUses) { Behaviors = [KernelBehavior.Proposed] },
        new("guest-enters-without-a-check", 23, "An entry without a last look at the cache lets the guest read a page given back.", GuestWithoutCheck) { Behaviors = [KernelBehavior.Proposed] },
        new("apic-page-migrates", 25, "The APIC access page migrates: each vCPU loads the new frame before its next entry.", ApicMigrates),
        new("kvm-clock-without-direct-map", 44, "kvm-clock's page is not in the direct map: a cache by guest address has a mapping of its own.", ClockWithoutDirectMap)
        {
            Behaviors = [KernelBehavior.Proposed],
        },
    ];

    private static void Life(LabBench bench)
    {
        bench.Map(2);
        Pfn frame = bench.Touch(1);
        Kvm guest = bench.AddGuest(2);
        GfnToPfnCache cache = new(guest);

        bench.Expect("activation", bench.Run("kvm", cache.Activate(new Gpa(0x1008), 16)), Errno.None);
        bench.Expect("its frame", cache.Frame, frame);
        bench.Expect("references of the page", bench.Kernel.Frames[frame].RefCount, 1);
        bench.Expect("check", cache.Check(16), true);
        bench.Run("vmm", bench.Vmm.Discard(LabBench.Page(1), 1));
        bench.Expect("check after the page went", cache.Check(16), false);
        bench.Expect("refresh", bench.Run("kvm", cache.Refresh(16)), Errno.None);
        bench.Expect("check then", cache.Check(16), true);
        bench.Run("kvm", cache.Deactivate());
        bench.Expect("refresh of an inactive cache", bench.Run("kvm", cache.Refresh(16)), Errno.EINVAL);
        bench.Expect("bytes that cross a page", bench.Run("kvm", cache.Activate(new Gpa(0x1ff9), 8)), Errno.EINVAL);
        bench.Expect("an address that nothing is at", bench.Run("kvm", cache.Activate(new Hva(0x5000), 8)), Errno.EFAULT);
    }

    private static void SlotChange(LabBench bench)
    {
        bench.Map(4);
        bench.Touch(0);
        Kvm guest = bench.AddGuest(1);
        GfnToPfnCache cache = new(guest);
        bench.Run("kvm", cache.Activate(new Gpa(0), 8));
        ulong generation = guest.Slots.Generation;

        MemslotOperation create = guest.CreateSlot(new Gpa(0x10_0000), PageSize.Size4K, LabBench.Page(2));
        bench.Expect("another slot", bench.Run("vmm", create), Errno.None);
        bench.Expect("generations that went by", guest.Slots.Generation - generation, 1UL);
        bench.Expect("check", cache.Check(8), false);
        bench.Run("kvm", cache.Refresh(8));
        bench.Expect("check after a refresh", cache.Check(8), true);
        bench.Expect("moving the slot", bench.Run("vmm", guest.MoveSlot(create.Slot!.Id, new Gpa(0x20_0000))), Errno.None);
        bench.Expect("generations for a move", guest.Slots.Generation - generation, 3UL);
        bench.Expect("check after that", cache.Check(8), false);
        bench.Expect("deleting the cache's own slot", bench.Run("vmm", guest.DeleteSlot(guest.Slots.All[0].Id)), Errno.None);
        bench.Expect("refresh then", bench.Run("kvm", cache.Refresh(8)), Errno.EFAULT);
    }

    private static void DeletionWaits(LabBench bench) =>
        bench.ExpectNoOrderBreaks("a vCPU beside the deletion of its slot", () => VcpuBesideDeletion(bench, InjectedFaults.None));

    private static void DeletionWithoutWaiting(LabBench bench) =>
        bench.ExpectSomeOrderBreaks("a vCPU beside a deletion of its slot that does not wait for readers", "which no slot holds", () => VcpuBesideDeletion(bench, InjectedFaults.SkipSynchronizeSrcu));

    private static Scenario VcpuBesideDeletion(LabBench bench, InjectedFaults faults)
    {
        HostKernel kernel = bench.MakeKernel(frames: 128, faults);
        Kvm guest = LabBench.MakeGuestOfOnePage(kernel);
        return new Scenario { World = kernel, AtEnd = () => GuestChecks.Stale(guest) }
            .With("vcpu0", guest.AddVcpu().Run(GuestAccess.Write(new Gpa(0), 1)))
            .With("vmm", guest.DeleteSlot(guest.Slots.All[0].Id));
    }

    private static void Retries(LabBench bench)
    {
        int retries = 0;
        bench.ExpectNoOrderBreaks("activation beside madvise(MADV_DONTNEED)", () => CacheBesideDiscard(bench, InjectedFaults.None, cache => retries = Math.Max(retries, cache.Retries)));
        bench.Expect("some order made it look again", retries > 0);
    }

    private static void WithoutSecondLook(LabBench bench)
    {
        foreach (InjectedFaults fault in (InjectedFaults[])[InjectedFaults.SkipInvalidateCheck, InjectedFaults.SequenceAfterCount])
        {
            bench.ExpectSomeOrderBreaks($"activation beside madvise(MADV_DONTNEED), with {fault}", "the cache shows frame", () => CacheBesideDiscard(bench, fault, _ => { }));
        }
    }

    private static Scenario CacheBesideDiscard(LabBench bench, InjectedFaults faults, Action<GfnToPfnCache> atEnd)
    {
        HostKernel kernel = bench.MakeKernel(frames: 128, faults);
        Kvm guest = LabBench.MakeGuestOfOnePage(kernel);
        AddressSpace vmm = guest.Process;
        GfnToPfnCache cache = new(guest);
        return new Scenario
        {
            World = kernel,
            AtEnd = () =>
            {
                atEnd(cache);
                return Stale(vmm, cache);
            },
        }.With("kvm", cache.Activate(new Gpa(0), 8)).With("vmm", vmm.Discard(LabBench.Page(0), 1));
    }

    private static string? Stale(AddressSpace vmm, GfnToPfnCache cache)
    {
        bool mapped = vmm.Tables.LookupPfn(LabBench.Page(0), out Pfn host, out _, out _);
        return cache.Check(8) && (!mapped || host != cache.Frame) ? $"the cache shows frame {cache.Frame}, and the VMM {(mapped ? host.ToString() : "nothing")}" : null;
    }

    private static void TwoCaches(LabBench bench)
    {
        bench.Boot(faults: InjectedFaults.CacheNotListed);
        bench.Map(1);
        bench.Touch(0);
        Kvm guest = bench.AddGuest(1);
        GfnToPfnCache one = new(guest);
        GfnToPfnCache two = new(guest);
        bench.Run("kvm", one.Activate(new Gpa(0), 8));
        bench.Run("kvm", two.Activate(new Gpa(0x10), 8));

        bench.Run("vmm", bench.Vmm.Discard(LabBench.Page(0), 1));

        bench.Expect("check of the one", one.Check(8), false);
        bench.Expect("check of the one that is not listed", two.Check(8), true);
        bench.Expect("it is stale", Stale(bench.Vmm, two) is not null);
    }

    private static void HostUses(LabBench bench) => bench.ExpectNoOrderBreaks("a write through a cache beside madvise(MADV_DONTNEED)", () =>
    {
        HostKernel kernel = bench.MakeKernel(frames: 128);
        Kvm guest = LabBench.MakeGuestOfOnePage(kernel);
        AddressSpace vmm = guest.Process;
        GfnToPfnCache cache = new(guest);
        cache.Activate(new Gpa(0), 8).Run();
        Pfn before = cache.Frame;
        return new Scenario
        {
            World = kernel,
            Always = () => kernel.Frames[before].Has(FrameFlags.Buddy) && kernel.Frames.Bytes(before)[0] == 0x5a && cache.Check(8) && cache.Frame == before
                ? "KVM uses a page that was given back" : null,
            AtEnd = () => Stale(vmm, cache),
        }.With("kvm", cache.Write(new byte[] { 0x5a })).With("vmm", vmm.Discard(LabBench.Page(0), 1));
    });

    private static void GuestUses(LabBench bench) =>
        bench.ExpectNoOrderBreaks("a vCPU with the page in its VMCS beside madvise(MADV_DONTNEED)", () => VcpuWithCache(bench, InjectedFaults.None));

    private static void GuestWithoutCheck(LabBench bench) => bench.ExpectSomeOrderBreaks(
        "a vCPU that enters without a last look, beside madvise(MADV_DONTNEED)", "the vCPU in the guest uses frame", () => VcpuWithCache(bench, InjectedFaults.EnterWithoutRecheck));

    private static Scenario VcpuWithCache(LabBench bench, InjectedFaults faults)
    {
        HostKernel kernel = bench.MakeKernel(frames: 128, faults);
        Kvm guest = LabBench.MakeGuestOfOnePage(kernel);
        AddressSpace vmm = guest.Process;
        KvmVcpu vcpu = guest.AddVcpu();
        GfnToPfnCache cache = new(vcpu, PfnCacheUses.Guest);
        cache.Activate(new Gpa(0), 8).Run();
        return new Scenario
        {
            World = kernel,
            Always = () =>
            {
                bool mapped = vmm.Tables.LookupPfn(LabBench.Page(0), out Pfn host, out _, out _);
                return vcpu.InGuest && !vcpu.IsKicked && vcpu.LoadedFrame(cache) is Pfn frame && (!mapped || frame != host)
                    ? $"the vCPU in the guest uses frame {frame}, and the VMM {(mapped ? host.ToString() : "nothing")}" : null;
            },
        }.With("vcpu0", vcpu.Run(GuestAccess.Read(cache))).With("vmm", vmm.Discard(LabBench.Page(0), 1));
    }

    private static void ApicMigrates(LabBench bench)
    {
        bench.Map(1);
        bench.Touch(0);
        Kvm guest = bench.AddGuest(0);
        KvmVcpu vcpu = guest.AddVcpu();
        guest.AddApicAccessPage(LabBench.Page(0));
        GuestAccess register = GuestAccess.Write(Kvm.ApicAccessFrame.Address + 0x80, 0x20);
        bench.Run("vcpu0", vcpu.Run(register));
        Pfn before = vcpu.ApicAccessPage!.Value;
        bench.Expect("accesses that the processor virtualized", vcpu.VirtualizedApicAccesses, 1);

        MigrateOperation migrate = new(bench.Kernel, before);
        bench.Expect("migrating the page", bench.Run("kcompactd", migrate), Errno.None);
        bench.Expect("a reload is requested", vcpu.Requests.HasFlag(VcpuRequests.ApicPageReload));
        bench.Run("vcpu0", vcpu.Run(register));
        bench.Expect("the frame in the VMCS", vcpu.ApicAccessPage, migrate.To);
        bench.Expect("accesses that the processor virtualized", vcpu.VirtualizedApicAccesses, 2);
    }

    private static void ClockWithoutDirectMap(LabBench bench)
    {
        GuestMemfd.Create(bench.Kernel, 4 * PageSize.Size4K, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared | GuestMemfdFlags.NoDirectMap, out GuestMemfd? file);
        file!.Map(bench.Vmm, LabBench.Page(0), 4, VmFlags.Read | VmFlags.Write | VmFlags.Shared);
        Kvm guest = bench.AddGuest(0);
        guest.AddGuestMemfdSlot(new Gpa(0), 4 * PageSize.Size4K, LabBench.Page(0), file, 0);
        GfnToPfnCache clock = new(guest);

        bench.Expect("activation by address of the VMM", bench.Run("kvm", new GfnToPfnCache(guest).Activate(LabBench.Page(1), 32)), Errno.EFAULT);
        bench.Expect("activation by guest address", bench.Run("kvm", clock.Activate(new Gpa(0x1000), 32)), Errno.None);
        bench.Expect("the direct map shows the page", bench.Kernel.DirectMap.Shows(clock.Frame), false);
        bench.Expect("it has a mapping of its own", clock.IsVmap);
        bench.Run("kvm", clock.Write(new byte[] { 0x77 }));
        VcpuRun read = guest.AddVcpu().Run(GuestAccess.Read(new Gpa(0x1000)));
        bench.Run("vcpu0", read);
        bench.Expect("what the guest reads", read.Values is [ulong value] ? value : null, (ulong?)0x77);
        file.PunchHole(0x1000, PageSize.Size4K, keepSize: true, out HostOperation? punch);
        bench.Run("vmm", punch!);
        bench.Expect("check after a hole", clock.Check(32), false);
        bench.Run("kvm", clock.Refresh(32));
        bench.Run("vmm", guest.SetAttributes(new Gfn(1), 1, isPrivate: true));
        bench.Expect("check after a change of attributes", clock.Check(32), false);
        bench.Run("kvm", clock.Refresh(32));
        bench.Run("kvm", clock.Deactivate());
        bench.Expect("mappings of their own that are left", guest.LiveVmaps, 0);
    }
}
