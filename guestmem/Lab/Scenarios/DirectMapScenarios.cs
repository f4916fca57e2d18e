namespace Quadwalk.GuestMemory;

/// <summary>Rows 32, 33 and 40: memory that the kernel's direct map does not show, and showing it for a while.</summary>
internal static class DirectMapScenarios
{
    private const GuestMemfdFlags Hidden = GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared | GuestMemfdFlags.NoDirectMap;
    private static readonly KernelBehavior[] Posted = [KernelBehavior.Proposed];

    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("gmem-no-direct-map", 32, "A page leaves the direct map before anybody maps it, GUP refuses it, and it comes back empty for its next owner.", NoDirectMap) { Behaviors = Posted },
        new("forgotten-restore", 33, "A page that was freed without its place in the direct map is an oops of the next allocation.", ForgottenRestore) { Behaviors = Posted },
        new("direct-map-restore", 40, "A read by the direct map shows the page for a while, takes it out again, and flushes every processor.", Restore) { Behaviors = Posted },
        new("direct-map-nested-users", 40, "Two users at once make one restore and one removal in every order; if depth is miscounted, one of them oopses.", Nested) { Behaviors = Posted },
        new("direct-map-restore-noflush", 40, "Without a flush the processor that read the page can still do so, until somebody flushes.", WithoutFlush) { Behaviors = Posted },
        new("direct-map-restore-batch", 40, "Taken out in batches, sixteen pages cost one flush, and are shown for as long as the batch.", Batches) { Behaviors = Posted },
    ];

    /// <summary>A guest of a guest_memfd that the direct map does not show, mapped by the VMM too.</summary>
    internal static Kvm AddGuest(LabBench bench, ulong pages, out GuestMemfd file)
    {
        Kvm guest = bench.AddGuest(0);
        file = Fill(guest, pages);
        return guest;
    }

    private static GuestMemfd Fill(Kvm guest, ulong pages)
    {
        Errno error = GuestMemfd.Create(guest.Kernel, pages * PageSize.Size4K, Hidden, out GuestMemfd? made);
        GuestMemfd file = made ?? throw new InvalidOperationException($"no guest_memfd: {error}");
        file.Map(guest.Process, LabBench.Page(0), pages, VmFlags.Read | VmFlags.Write | VmFlags.Shared);
        guest.AddGuestMemfdSlot(new Gpa(0), pages * PageSize.Size4K, LabBench.Page(0), file, 0);
        return file;
    }

    private static void NoDirectMap(LabBench bench)
    {
        Kvm guest = AddGuest(bench, 1, out GuestMemfd file);
        DirectMap map = bench.Kernel.DirectMap;
        bench.Expect("a touch by the VMM", bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true)), VmFault.NoPage);
        Pfn frame = file.Cached(0)!.Value;
        bench.Kernel.Frames.Bytes(frame).Fill(0x5e);
        bench.Expect("the direct map shows the page", map.TryAccess(frame), false);
        bench.Expect("GUP of it", bench.Run("vmm", new GupOperation(bench.Vmm, LabBench.Page(0), 1, FollFlags.Get)).Error, Errno.EFAULT);
        bench.Expect("a read of the kernel's", bench.Run("kvm", new DirectMapPath(guest, DirectMapMode.Refuse).ReadSteps(new Gpa(0), new byte[1])), GuestAccessStatus.Fault);

        file.PunchHole(0, PageSize.Size4K, keepSize: true, out HostOperation? punch);
        bench.Run("vmm", punch!);
        bench.Expect("after the hole the direct map shows it", map.Shows(frame));
        Pfn next = bench.Kernel.Allocator.Allocate()!.Value;
        bench.Expect("the next owner has the same frame", next, frame);
        bench.Expect("and finds a byte of the old one", bench.Kernel.Frames.Bytes(next).ContainsAnyExcept((byte)0), false);
    }

    private static void ForgottenRestore(LabBench bench)
    {
        bench.Boot(faults: InjectedFaults.ForgetDirectMapRestore);
        AddGuest(bench, 1, out GuestMemfd file);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true));
        Pfn frame = file.Cached(0)!.Value;
        file.PunchHole(0, PageSize.Size4K, keepSize: true, out HostOperation? punch);
        bench.Run("vmm", punch!);
        bench.Expect("frames out of the direct map though nobody has them", bench.Kernel.DirectMap.AbsentFrames, 1);
        bench.Expect("the next allocation", bench.Kernel.Allocator.Allocate(), frame);
        bench.ExpectComplaint(KernelEventKind.Oops);
    }

    private static void Restore(LabBench bench)
    {
        bench.Boot(processors: 4);
        Kvm guest = AddGuest(bench, 1, out GuestMemfd file);
        DirectMapPath path = new(guest, DirectMapMode.Restore);
        bench.Run("kvm", path.WriteSteps(new Gpa(0), new byte[] { 0x42 }));
        bench.Begin();
        AccessLedger before = path.Ledger;
        byte[] read = new byte[1];
        bench.Expect("a read", bench.Run("kvm", path.ReadSteps(new Gpa(0), read)), GuestAccessStatus.Success);
        AccessLedger after = path.Ledger;
        bench.Expect("the byte", read[0], 0x42);
        bench.Expect("restores", after.Restores - before.Restores, 1);
        bench.Expect("removals", after.Removals - before.Removals, 1);
        bench.Expect("flushes", after.Flushes - before.Flushes, 1);
        bench.Expect("processors interrupted", after.InterruptedProcessors - before.InterruptedProcessors, 3);
        bench.Expect("ticks for which the page was to be seen", after.ExposedTicks - before.ExposedTicks, 3);
        bench.Expect("a processor still sees it", bench.Kernel.DirectMap.Reaches(file.Cached(0)!.Value, 0), false);
    }

    private static void Nested(LabBench bench)
    {
        Scenario Two(InjectedFaults faults)
        {
            HostKernel kernel = bench.MakeKernel(faults: faults);
            Kvm guest = new(new AddressSpace(kernel));
            GuestMemfd file = Fill(guest, 1);
            DirectMapPath one = new(guest, DirectMapMode.Restore, processor: 0);
            DirectMapPath two = new(guest, DirectMapMode.Restore, processor: 1);
            one.Write(new Gpa(0), [0x42]);
            DirectMap map = kernel.DirectMap;
            Pfn frame = file.Cached(0)!.Value;
            (long restores, bool met) = (map.Restores, false);
            return new Scenario
            {
                World = kernel,
                Always = () =>
                {
                    met |= map.UseDepth(frame) == 2;
                    return kernel.Log.Events.Count > 0 ? kernel.Log.Events[0].ToString() : null;
                },
                AtEnd = () => map.Restores - restores != (met ? 1 : 2) ? $"{map.Restores - restores} restores"
                    : map.Reaches(frame, 0) || map.Reaches(frame, 1) ? "the page is still to be seen" : null,
            }.With("vcpu0", one.ReadSteps(new Gpa(0), new byte[1])).With("vcpu1", two.ReadSteps(new Gpa(0), new byte[1]));
        }

        bench.ExpectNoOrderBreaks("two readers", () => Two(InjectedFaults.None));
        bench.ExpectSomeOrderBreaks("the same, with uses miscounted", "Oops", () => Two(InjectedFaults.MiscountDirectMapUses));
    }

    private static void WithoutFlush(LabBench bench)
    {
        Kvm guest = AddGuest(bench, 1, out GuestMemfd file);
        DirectMapPath path = new(guest, DirectMapMode.RestoreWithoutFlush);
        DirectMap map = bench.Kernel.DirectMap;
        bench.Run("kvm", path.WriteSteps(new Gpa(0), new byte[] { 0x42 }));
        Pfn frame = file.Cached(0)!.Value;
        bench.Expect("the page tables show it", map.Shows(frame), false);
        bench.Expect("processor 0 reaches it", map.Reaches(frame, 0));
        bench.Expect("processor 1 reaches it", map.Reaches(frame, 1), false);
        bench.Expect("frames whose flush is due", map.UnflushedFrames, 1);
        path.Flush();
        bench.Step("kvm", "flush");
        bench.Expect("processor 0 reaches it after a flush", map.Reaches(frame, 0), false);
    }

    private static void Batches(LabBench bench)
    {
        Kvm guest = AddGuest(bench, 16, out _);
        DirectMapPath path = new(guest, DirectMapMode.RestoreInBatches, batchSize: 16);
        new UserspacePath(guest).Write(new Gpa(0), new byte[16 * (int)PageSize.Size4K]);
        bench.Begin();
        for (int page = 0; page < 15; page++)
        {
            path.Write(LabBench.GuestPage(page), [1]);
        }

        bench.Expect("pages shown after fifteen writes", bench.Kernel.DirectMap.ExposedFrames, 15);
        path.Write(LabBench.GuestPage(15), [1]);
        bench.Expect("pages shown after the sixteenth", bench.Kernel.DirectMap.ExposedFrames, 0);
        bench.Expect("flushes", path.Ledger.Flushes, 1);
        bench.Expect("ticks of exposure, summed over pages", path.Ledger.ExposedTicks, 136);
    }
}
