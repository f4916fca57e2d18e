namespace Quadwalk.GuestMemory;

/// <summary>Rows 4 to 6, 8, 9, 26 and 34: which pages get_user_pages gives, and what stands in where it gives none.</summary>
internal static class GupScenarios
{
    private const VmFlags ReadWrite = VmFlags.Read | VmFlags.Write;
    private const VmFlags Bare = ReadWrite | VmFlags.PfnMap;
    private const FollFlags GetWrite = FollFlags.Get | FollFlags.Write;

    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("gup-refuses-pfnmap", 4, "GUP gives no page of a range of bare frame numbers; KVM goes on to the page tables.", RefusesPfnmap),
        new("remapped-faults-in", 5, "An absent entry of a bare range is faulted in.", RemappedFaultsIn),
        new("remapped-unlocked-retry", 5, "A fault that has dropped the mmap lock makes KVM look the range up again.", RemappedUnlocked),
        new("remapped-read-only", 5, "A write to an entry that is not writable is emulated, a read is mapped.", RemappedReadOnly),
        new("huge-pfnmap", 6, "A leaf of 2 MiB of bare frame numbers gives the frame at the offset within it.", HugePfnmap),
        new("lookup-frame-and-level", 8, "One look-up gives frame and level, and no reference.", LookupFrameAndLevel),
        new("secret-memory-stays-out", 9, "memfd_secret is refused by both ways of GUP, and never enters a guest.", SecretStaysOut),
        new("mixedmap-by-gup", 26, "A page in a VM_MIXEDMAP range comes by GUP, and keeps no reference after the install.", MixedmapByGup),
        new("two-areas-one-folio", 34, "One file shown by a GUP-able and another range: GUP-fast cannot tell them apart, and the audit reports it.", TwoAreas)
        {
            Behaviors = [KernelBehavior.Proposed],
        },
    ];

    private static void RefusesPfnmap(LabBench bench)
    {
        Pfn frame = DriverMemory.Allocate(bench.Kernel);
        bench.Map(1, new DriverMemory(bench.Kernel, frame), Bare);
        Kvm guest = bench.AddGuest(1);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true));

        GupResult gup = bench.Run("gup", new GupOperation(bench.Vmm, LabBench.Page(0), 1, GetWrite));
        PfnResolver resolver = new(bench.Vmm, LabBench.Page(0), new FollowPfn(FollFlags.Write));
        bench.Run("vcpu0", resolver);

        bench.Expect("GUP", gup.Error, Errno.EFAULT);
        bench.Expect("KVM's frame", resolver.Result, PfnResult.Found(frame));
        bench.Expect("the guest's fault", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true)), StageTwoOutcome.Fixed);
        bench.Expect("references of the frame", bench.Kernel.Frames[frame].RefCount, 0);
    }

    private static void RemappedFaultsIn(LabBench bench)
    {
        Pfn frame = DriverMemory.Allocate(bench.Kernel);
        bench.Map(1, new DriverMemory(bench.Kernel, frame), Bare);
        bench.Expect("nothing is mapped", bench.Vmm.Tables.Find(LabBench.Page(0), out _).IsNone);

        PfnResult result = bench.Run("vcpu0", new PfnResolver(bench.Vmm, LabBench.Page(0), new FollowPfn(FollFlags.Write)));

        bench.Expect("KVM's frame", result, PfnResult.Found(frame));
    }

    private static void RemappedUnlocked(LabBench bench)
    {
        Pfn frame = DriverMemory.Allocate(bench.Kernel);
        DriverMemory driver = new(bench.Kernel, frame) { RetryOnce = true };
        bench.Map(1, driver, Bare);

        PfnResult result = bench.Run("vcpu0", new PfnResolver(bench.Vmm, LabBench.Page(0), new FollowPfn(FollFlags.None)));

        bench.Expect("KVM's frame, after the second look", result, PfnResult.Found(frame));
        bench.Expect("the mmap lock is free again", bench.Vmm.MmapLock.IsFree(shared: false));
        bench.ExpectNoOrderBreaks("the range goes while the lock is dropped", () =>
        {
            HostKernel kernel = bench.MakeKernel(frames: 128);
            AddressSpace vmm = new(kernel);
            vmm.MapAt(LabBench.Base, 1, Bare, new DriverMemory(kernel, DriverMemory.Allocate(kernel)) { RetryOnce = true });
            PfnResolver resolver = new(vmm, LabBench.Page(0), new FollowPfn(FollFlags.None));
            return new Scenario
            {
                World = kernel,
                AtEnd = () => vmm.MmapLock.IsFree(shared: false) ? null : "the mmap lock is still held",
            }.With("vcpu0", resolver).With("vmm", vmm.Unmap(LabBench.Page(0), 1));
        });
    }

    private static void RemappedReadOnly(LabBench bench)
    {
        bench.Map(1, new DriverMemory(bench.Kernel, DriverMemory.Allocate(bench.Kernel)) { ReadOnly = true }, Bare);
        Kvm guest = bench.AddGuest(1);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: false));

        PfnResult write = bench.Run("vcpu0", new PfnResolver(bench.Vmm, LabBench.Page(0), new FollowPfn(FollFlags.Write)));

        bench.Expect("KVM's frame for a write", write, PfnResult.ReadOnlyFault);
        bench.Expect("the guest's write", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true)), StageTwoOutcome.Emulate);
        bench.Expect("the guest's read", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: false)), StageTwoOutcome.Fixed);
    }

    private static void HugePfnmap(LabBench bench)
    {
        Pfn first = DriverMemory.Allocate(bench.Kernel, order: 9);
        Pfn[] frames = [.. Enumerable.Range(0, 512).Select(i => new Pfn(first.Value + (ulong)i))];
        bench.Map(512, new DriverMemory(bench.Kernel, frames) { Level = 2 }, Bare);
        Kvm guest = bench.AddGuest(512);

        StageTwoOutcome fault = bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(77), write: true));
        bool found = guest.StageTwo.TryFind(new Gfn(77), out StageTwoEntry entry, out Pfn frame);

        bench.Expect("the guest's fault", fault, StageTwoOutcome.Fixed);
        bench.Expect("guest frame 77 shows the frame 77 after the leaf's first", found && frame.Value == first.Value + 77);
        bench.Expect("level of the guest's mapping", entry.Level, 2);
    }

    private static void LookupFrameAndLevel(LabBench bench)
    {
        bench.Map(1024, flags: ReadWrite | VmFlags.HugePage);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(3), write: true));
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(600), write: true));
        bench.Run("vmm", bench.Vmm.Unmap(LabBench.Page(600), 1));
        long gets = bench.Kernel.Folios.Gets;

        bool large = bench.Vmm.Tables.LookupPfn(LabBench.Page(5), out Pfn fifth, out int largeLevel, out _);
        bool small = bench.Vmm.Tables.LookupPfn(LabBench.Page(601), out _, out int smallLevel, out _);
        bool hole = bench.Vmm.Tables.LookupPfn(LabBench.Page(600), out _, out _, out _);
        bench.Expect("references taken by three look-ups", bench.Kernel.Folios.Gets - gets, 0L);

        GupOperation gup = new(bench.Vmm, LabBench.Page(5), 1, FollFlags.Get | FollFlags.FastOnly);
        bench.Run("gup", gup);
        bench.Expect("GUP gives the same frame", large && gup.Frames[0] == fifth);
        bench.Expect("level in a whole leaf", largeLevel, 2);
        bench.Expect("level in a leaf that was split", small ? smallLevel : 0, 1);
        bench.Expect("nothing is found in a hole", !hole);
        bench.Kernel.Folios.Put(fifth);
    }

    private static void SecretStaysOut(LabBench bench)
    {
        bench.Map(1, new SecretFile(bench.Kernel, 1), ReadWrite | VmFlags.Shared);
        Kvm guest = bench.AddGuest(1);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true));

        GupResult fast = bench.Run("gup", new GupOperation(bench.Vmm, LabBench.Page(0), 1, GetWrite | FollFlags.FastOnly));
        GupResult slow = bench.Run("gup", new GupOperation(bench.Vmm, LabBench.Page(0), 1, GetWrite | FollFlags.HwPoison));

        bench.Expect("pages by GUP-fast", fast.Pages, 0);
        bench.Expect("GUP under the lock", slow.Error, Errno.EFAULT);
        bench.Expect("the guest's fault", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true)), StageTwoOutcome.Fault);
    }

    private static void MixedmapByGup(LabBench bench)
    {
        Pfn page = bench.Kernel.Allocator.Allocate() ?? throw new HostOutOfFramesException("a driver's page");
        bench.Map(1, new DriverMemory(bench.Kernel, page), ReadWrite | VmFlags.MixedMap);
        Kvm guest = bench.AddGuest(1);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true));
        int baseline = bench.Kernel.Frames[page].RefCount;

        PfnResolver resolver = new(bench.Vmm, LabBench.Page(0), new FollowPfn(FollFlags.Write));
        bench.Run("vcpu0", resolver);
        bench.Expect("the look-up holds a page", resolver.RefcountedPage, page);
        resolver.Release(dirty: false);

        bench.Expect("the guest's fault", bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true)), StageTwoOutcome.Fixed);
        bench.Expect("references beyond the baseline", bench.Kernel.Frames[page].RefCount - baseline, 0);
    }

    private static void TwoAreas(LabBench bench)
    {
        _ = GuestMemfd.Create(bench.Kernel, PageSize.Size4K, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared, out GuestMemfd? file);
        bench.Map(1, file, ReadWrite | VmFlags.Shared);
        bench.Map(1, file, ReadWrite | VmFlags.Shared | VmFlags.NoGup, at: 8);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true));
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(8), write: true));
        bench.Kernel.AuditsGup = true;

        GupOperation first = new(bench.Vmm, LabBench.Page(0), 1, GetWrite);
        bench.Run("gup", first);
        bench.Expect("complaints about the range that is GUP-able", bench.Kernel.Log.Count, 0L);
        GupOperation fast = new(bench.Vmm, LabBench.Page(8), 1, GetWrite);
        bench.Run("gup", fast);
        GupResult slow = bench.Run("gup", new GupOperation(bench.Vmm, LabBench.Page(8), 1, GetWrite | FollFlags.HwPoison));

        bench.Expect("GUP-fast gives the page of the other range", fast.Result.Pages, 1);
        bench.Expect("GUP under the lock refuses it", slow.Error, Errno.EFAULT);
        bench.ExpectComplaint(KernelEventKind.GupDisagreement);
        bench.Kernel.Folios.Put(first.Frames[0]);
        bench.Kernel.Folios.Put(fast.Frames[0]);

        bench.Note("the cure: the file says it, once for all its ranges, where both ways can see it");
        _ = GuestMemfd.Create(bench.Kernel, PageSize.Size4K, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared | GuestMemfdFlags.NoDirectMap, out GuestMemfd? none);
        bench.Map(1, none, ReadWrite | VmFlags.Shared, at: 16);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(16), write: true));
        bench.Expect("pages by GUP-fast", bench.Run("gup", new GupOperation(bench.Vmm, LabBench.Page(16), 1, GetWrite | FollFlags.FastOnly)).Pages, 0);
        bench.Expect("GUP", bench.Run("gup", new GupOperation(bench.Vmm, LabBench.Page(16), 1, GetWrite)).Error, Errno.EFAULT);
    }
}
