namespace Quadwalk.GuestMemory;

/// <summary>Rows 7, 14, 19, 24 and 28: pages that move, grow, shrink, go to disk or are lost while a guest uses them.</summary>
internal static class MovingScenarios
{
    private const VmFlags ReadWrite = VmFlags.Read | VmFlags.Write;

    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("level-beside-promotion", 7, "The size of the host's page is read without a lock; that it grows meanwhile does no harm.", LevelBesidePromotion),
        new("clean-marked-last", 14, "Writeback takes the right to write first and marks the page clean last; the other way round a write is lost.", CleanLast),
        new("migrate-under-a-guest", 19, "A page that a guest has mapped moves; the guest finds its bytes in the new frame.", MigrateUnderGuest),
        new("pinned-page-stays", 24, "A page that is pinned or held does not move, and moves once it is let go.", PinnedStays),
        new("offline-under-a-guest", 24, "The frames under a guest go offline; its pages move away, unless one is pinned.", OfflineUnderGuest),
        new("lost-page", 28, "The hardware loses a frame: the VMM gets SIGBUS, the guest tries again until the VMM has replaced the page.", LostPage),
        new("swapped-under-a-guest", 13, "Reclaim leaves what the guest has used since the last look, and takes what it has not.", SwappedUnderGuest),
    ];

    private static void LevelBesidePromotion(LabBench bench)
    {
        bench.Boot(frames: 4096);
        bench.Map(512);
        Kvm guest = bench.AddGuest(512);
        bench.Touch(3);
        bench.Expect("level before", bench.Run("vcpu0", new LocklessWalkOperation(bench.Vmm, LabBench.Page(3))), 1);
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(3), write: true));

        bench.Expect("khugepaged", bench.Run("khugepaged", new CollapseOperation(bench.Vmm, LabBench.Page(3))), Errno.None);
        bench.Expect("the guest has lost its translation", !guest.StageTwo.TryFind(new Gfn(3), out _, out _));
        bench.Expect("level after", bench.Run("vcpu0", new LocklessWalkOperation(bench.Vmm, LabBench.Page(3))), 2);
        bench.ExpectNoOrderBreaks("a walk beside the promotion", () => WalkBesideCollapse(bench, InjectedFaults.None));
        bench.Note("a kernel that gives the table back while a walk may be in it:");
        bench.ExpectSomeOrderBreaks("the same", "given back", () => WalkBesideCollapse(bench, InjectedFaults.FreeTableAtOnce));
    }

    private static Scenario WalkBesideCollapse(LabBench bench, InjectedFaults faults)
    {
        HostKernel kernel = bench.MakeKernel(frames: 2048, faults);
        AddressSpace vmm = new(kernel);
        vmm.MapAt(LabBench.Base, 512, ReadWrite);
        vmm.Fault(LabBench.Page(3), write: true).Run();
        return new Scenario
        {
            World = kernel,
            Always = () => kernel.Log.Count == 0 ? null : kernel.Log.Events[0].Text,
        }.With("vcpu0", new LocklessWalkOperation(vmm, LabBench.Page(3))).With("khugepaged", new CollapseOperation(vmm, LabBench.Page(3)));
    }

    private static void CleanLast(LabBench bench)
    {
        DiskFile file = new(bench.Kernel, 1);
        bench.Map(1, file, ReadWrite | VmFlags.Shared);
        Kvm guest = bench.AddGuest(1);
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));
        guest.TryGuestWrite(LabBench.GuestPage(0), [0x5a]);
        Pfn page = bench.Touch(0);

        bench.Run("flusher", file.Writeback(0));
        bench.Expect("the page is clean", !bench.Kernel.Frames[page].Has(FrameFlags.Dirty));
        bench.Expect("the disk's byte", file.OnDisk(0)[0], (byte)0x5a);
        bench.Expect("the guest cannot write without a fault", !guest.TryGuestWrite(LabBench.GuestPage(0), [0x5b]));
        bench.Expect("the guest's fault", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true)), StageTwoOutcome.Fixed);
        bench.Expect("the page is dirty before the write", bench.Kernel.Frames[page].Has(FrameFlags.Dirty));
        bench.ExpectNoOrderBreaks("a fault of the VMM's beside writeback", () => FaultBesideWriteback(bench, InjectedFaults.None));
        bench.Note("a kernel that marks the page clean first:");
        bench.ExpectSomeOrderBreaks("the same", "clean page can be written", () => FaultBesideWriteback(bench, InjectedFaults.CleanBeforeProtect));
    }

    private static Scenario FaultBesideWriteback(LabBench bench, InjectedFaults faults)
    {
        HostKernel kernel = bench.MakeKernel(faults: faults);
        AddressSpace vmm = new(kernel);
        DiskFile file = new(kernel, 1);
        vmm.MapAt(LabBench.Base, 1, ReadWrite | VmFlags.Shared, file);
        vmm.Fault(LabBench.Page(0), write: true).Run();
        return new Scenario
        {
            World = kernel,
            Always = () =>
            {
                bool dirty = file.Cached(0) is Pfn page && kernel.Frames[page].Has(FrameFlags.Dirty);
                return !dirty && vmm.Tables.Find(LabBench.Page(0), out _).IsWritable ? "a clean page can be written" : null;
            },
        }.With("vmm", vmm.Fault(LabBench.Page(0), write: true)).With("flusher", file.Writeback(0));
    }

    private static void MigrateUnderGuest(LabBench bench)
    {
        bench.Map(1);
        Kvm guest = bench.AddGuest(1);
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));
        guest.TryGuestWrite(LabBench.GuestPage(0), [0x5a]);
        Pfn old = bench.Touch(0);

        MigrateOperation migrate = new(bench.Kernel, old);
        Errno result = bench.Run("kcompactd", migrate);
        bench.Expect("the migration", result, Errno.None);
        bench.Expect("the guest has lost its translation", !guest.StageTwo.TryFind(new Gfn(0), out _, out _));

        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: false));
        bench.Expect("the guest's byte", GuestByte(guest, 0), (byte)0x5a);
        bench.Expect("its frame is the new one", guest.StageTwo.TryFind(new Gfn(0), out _, out Pfn now) && now == migrate.To && now != old);
    }

    private static void PinnedStays(LabBench bench)
    {
        bench.Map(1);
        Pfn page = bench.Touch(0);
        GupOperation pin = new(bench.Vmm, LabBench.Page(0), 1, FollFlags.Pin | FollFlags.Write);
        bench.Run("vfio", pin);

        bench.Expect("migration of a pinned page", bench.Run("kcompactd", new MigrateOperation(bench.Kernel, page)), Errno.EAGAIN);
        bench.Expect("it is where it was", bench.Touch(0), page);
        bench.Kernel.Folios.Unpin(pin.Frames[0]);
        bench.Expect("migration after the unpin", bench.Run("kcompactd", new MigrateOperation(bench.Kernel, page)), Errno.None);

        Pfn moved = bench.Touch(0);
        GupOperation get = new(bench.Vmm, LabBench.Page(0), 1, FollFlags.Get);
        bench.Run("gup", get);
        bench.Expect("migration of a page that is held", bench.Run("kcompactd", new MigrateOperation(bench.Kernel, moved)), Errno.EAGAIN);
        bench.Kernel.Folios.Put(get.Frames[0]);
    }

    private static void OfflineUnderGuest(LabBench bench)
    {
        bench.Map(2);
        Kvm guest = bench.AddGuest(2);
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));
        guest.TryGuestWrite(LabBench.GuestPage(0), [0x5a]);
        Pfn page = bench.Touch(0);
        GupOperation pin = new(bench.Vmm, LabBench.Page(0), 1, FollFlags.Pin | FollFlags.Write);
        bench.Run("vfio", pin);

        OfflineOperation busy = new(bench.Kernel, page, 1);
        bench.Expect("offline with a pin", bench.Run("hotplug", busy), Errno.EBUSY);
        bench.Expect("the page that is in the way", busy.BlockedAt, page);
        bench.Kernel.Folios.Unpin(pin.Frames[0]);
        bench.Expect("offline without", bench.Run("hotplug", new OfflineOperation(bench.Kernel, page, 1)), Errno.None);
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: false));
        bench.Expect("the guest's byte", GuestByte(guest, 0), (byte)0x5a);
        bench.Expect("the frame is out of use", bench.Kernel.Frames[page].Has(FrameFlags.Offline));
        bench.Expect("frames that come back", bench.Run("hotplug", OfflineOperation.Online(bench.Kernel, page, 1)), 1UL);
    }

    private static void LostPage(LabBench bench)
    {
        bench.Map(1);
        Kvm guest = bench.AddGuest(1);
        bench.Vmm.EarlyKill = true;
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));
        Pfn lost = bench.Touch(0);

        bench.Expect("memory_failure", bench.Run("mce", new MemoryFailureOperation(bench.Kernel, lost)), Errno.None);
        bench.Expect("the guest has lost its translation", !guest.StageTwo.TryFind(new Gfn(0), out _, out _));
        PfnResolver resolver = new(bench.Vmm, LabBench.Page(0), new FollowPfn(FollFlags.Write));
        bench.Expect("the look-up", bench.Run("vcpu0", resolver), PfnResult.HwPoison);
        bench.Expect("look-ups under the lock", resolver.SlowLookups, 1);
        bench.Expect("the guest's fault", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true)), StageTwoOutcome.Retry);
        bench.Expect("signals to the VMM", string.Join(", ", bench.Vmm.BusErrors.Select(error => error.Code)), "ActionOptional, ActionRequired");

        bench.Run("vmm", bench.Vmm.Discard(LabBench.Page(0), 1));
        bench.Expect("after the VMM has replaced the page", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true)), StageTwoOutcome.Fixed);
        bench.Expect("the lost frame is out of use", bench.Kernel.Frames[lost].Has(FrameFlags.Offline));
    }

    private static void SwappedUnderGuest(LabBench bench)
    {
        bench.Map(1);
        Kvm guest = bench.AddGuest(1);
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));
        guest.TryGuestWrite(LabBench.GuestPage(0), [0x5a]);
        Pfn page = bench.Touch(0);

        bench.Expect("reclaim of a page in use", bench.Run("kswapd", new ReclaimOperation(bench.Kernel, page)), Errno.EAGAIN);
        bench.Expect("the guest keeps its translation", guest.StageTwo.TryFind(new Gfn(0), out _, out _));
        bench.Expect("reclaim of a page that was not used since", bench.Run("kswapd", new ReclaimOperation(bench.Kernel, page)), Errno.None);
        bench.Expect("the guest has lost its translation", !guest.StageTwo.TryFind(new Gfn(0), out _, out _));
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: false));
        bench.Expect("the guest's byte", GuestByte(guest, 0), (byte)0x5a);
    }

    private static byte GuestByte(Kvm guest, int page)
    {
        byte[] read = new byte[1];
        return guest.TryGuestRead(LabBench.GuestPage(page), read) ? read[0] : (byte)0;
    }
}
