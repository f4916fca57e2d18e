namespace Quadwalk.GuestMemory;

/// <summary>Rows 13, 28 and 29: marks of use, lost pages, and every outcome of a look-up.</summary>
internal static class LookupOutcomeScenarios
{
    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("accessed-and-aging", 13, "A fault marks the guest's translation as used; aging clears that, a zap does not bring it back.", Aging),
        new("every-npages", 29, "1, EINTR, EAGAIN, FOLL_NOWAIT, EFAULT: each outcome of GUP has its code.", EveryNpages),
    ];

    private static void Aging(LabBench bench)
    {
        bench.Map(2);
        Kvm guest = bench.AddGuest(2);
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(1), write: true));
        MmuNotifier notifier = bench.Vmm.Registered[0];
        Pfn page = bench.Touch(1);

        bench.Expect("used after the fault", notifier.TestYoung(LabBench.Page(1), LabBench.Page(2)));
        bench.Expect("the page is marked accessed", bench.Kernel.Frames[page].Has(FrameFlags.Accessed));
        bench.Expect("aging finds it used", notifier.ClearYoung(LabBench.Page(1), LabBench.Page(2)));
        bench.Expect("and then no more", !notifier.TestYoung(LabBench.Page(1), LabBench.Page(2)));
        guest.TryGuestWrite(LabBench.GuestPage(1), [1]);
        bench.Expect("used again after a write", notifier.TestYoung(LabBench.Page(1), LabBench.Page(2)));
        bench.Kernel.Frames[page].Flags &= ~FrameFlags.Accessed;
        bench.Run("vmm", bench.Vmm.Protect(LabBench.Page(1), 1, VmFlags.Read));
        bench.Expect("a zap does not mark the page", !bench.Kernel.Frames[page].Has(FrameFlags.Accessed));
    }

    private static void EveryNpages(LabBench bench)
    {
        bench.Map(2);
        Pfn page = bench.Touch(0);
        HostPte there = bench.Vmm.Tables.Find(LabBench.Page(0), out int level);
        bench.Expect("1 page", Resolve(bench, 0, FollFlags.Write), PfnResult.Found(page));

        bench.Note("from here on the page is under migration");
        bench.Vmm.Tables.Replace(LabBench.Page(0), level, HostPte.Migration(page, there, exclusive: true));
        bench.Expect("FOLL_NOWAIT", Resolve(bench, 0, FollFlags.NoWait), PfnResult.NeedsIo);
        bench.Vmm.SignalPending = true;
        bench.Expect("EINTR: a signal while it waits", Resolve(bench, 0, FollFlags.Interruptible), PfnResult.SignalPending);
        bench.Vmm.SignalPending = false;
        bench.Vmm.Tables.Replace(LabBench.Page(0), level, there);

        bench.Vmm.FatalSignalPending = true;
        bench.Expect("EINTR: killed", Resolve(bench, 1, FollFlags.None), PfnResult.SignalPending);
        bench.Vmm.MmapLock.TryAcquire(shared: false);
        bench.Expect("EAGAIN: killed while it waits for the mmap lock", Resolve(bench, 1, FollFlags.None), PfnResult.SignalPending);
        bench.Vmm.MmapLock.Release();
        bench.Vmm.FatalSignalPending = false;

        bench.Expect("EFAULT: nothing is mapped there", Resolve(bench, 100, FollFlags.None), PfnResult.Fault);
        bench.Vmm.Tables.Replace(LabBench.Page(0), level, HostPte.Poison(page));
        bench.Expect("EHWPOISON", Resolve(bench, 0, FollFlags.None), PfnResult.HwPoison);
        bench.Vmm.Tables.Replace(LabBench.Page(0), level, there);
    }

    private static PfnResult Resolve(LabBench bench, int page, FollFlags flags)
    {
        PfnResolver resolver = new(bench.Vmm, LabBench.Page(page), new FollowPfn(flags));
        PfnResult result = bench.Run("vcpu0", resolver);
        resolver.Release(dirty: false);
        return result;
    }
}
