namespace Quadwalk.GuestMemory;

/// <summary>Rows 30, 31, 35, 36 and 47: memory of guests, by file and offset.</summary>
internal static class GuestMemfdScenarios
{
    private const GuestMemfdFlags Shared = GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared;
    private const VmFlags ReadWriteShared = VmFlags.Read | VmFlags.Write | VmFlags.Shared;

    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("private-touch-is-sigbus", 30, "A shared page is faulted, had by GUP and shown by the direct map; a private one is SIGBUS, and a guest that means the other kind leaves.", PrivateTouch),
        new("conversion-blocked-by-pin", 31, "A page that somebody pins is not made private: EAGAIN, and which page; nothing is converted half.", BlockedByPin),
        new("conversion-beside-gup", 31, "A conversion runs beside GUP and a touch: no order leaves a private page with a reference or a mapping.", BesideGup),
        new("large-private-folio", 35, "A large private folio is mapped as one, and keeps its counts; converting a part splits it, and converting back joins it.", LargeFolio),
        new("large-page-beside-conversion", 35, "A large translation is made beside a conversion of a part of it, if nobody says first that its frames are going to differ.", LargePageBesideConversion),
        new("gmem-errors", 36, "A slot without its file is EFAULT, a binding that is gone EIO, a lost page EHWPOISON, each with a record.", Errors),
        new("punch-hole-everywhere", 47, "A hole takes a page from every view: guest, VMM, GUP and caches of frames fail or find zeroes.", PunchEverywhere),
        new("punch-hole-beside-a-vcpu", 47, "A hole beside a vCPU: in no order does it reach the page afterwards.", PunchBesideVcpu),
    ];

    private static GuestMemfd Make(HostKernel kernel, GuestMemfdFlags flags, ulong pages, int order = 0)
    {
        Errno error = GuestMemfd.Create(kernel, pages * PageSize.Size4K, flags, out GuestMemfd? file, order);
        return file ?? throw new InvalidOperationException($"no guest_memfd: {error}");
    }

    private static void PrivateTouch(LabBench bench)
    {
        GuestMemfd file = Make(bench.Kernel, Shared, 2);
        file.Map(bench.Vmm, LabBench.Page(0), 2, ReadWriteShared);
        Kvm guest = bench.AddGuest(0);
        guest.AddGuestMemfdSlot(new Gpa(0), file.Size * PageSize.Size4K, LabBench.Page(0), file, 0);
        KvmVcpu vcpu = guest.AddVcpu();
        bench.Expect("a touch of a shared page", bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true)), VmFault.NoPage);
        GupOperation gup = new(bench.Vmm, LabBench.Page(0), 1, FollFlags.Get);
        bench.Expect("GUP of it: pages", bench.Run("vmm", gup).Pages, 1);
        Pfn frame = gup.Frames[0];
        bench.Kernel.Folios.Put(frame);
        bench.Expect("the direct map shows it", bench.Kernel.DirectMap.Shows(frame));

        MemoryFaultRecord record = new(new Gpa(0), PageSize.Size4K, IsPrivate: true);
        KvmExit early = bench.Run("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 1, asPrivate: true)));
        bench.Expect("the guest means it private", early, new KvmExit(KvmExitReason.MemoryFault, Errno.EFAULT, Fault: record));
        bench.Expect("conversion", bench.Run("vmm", file.Convert(0, 1, toPrivate: true)), Errno.None);
        bench.Run("vmm", guest.SetAttributes(new Gfn(0), 1, isPrivate: true));
        bench.Expect("the guest means it private, after conversion", bench.Run("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 1, asPrivate: true))).Reason, KvmExitReason.Halted);
        bench.Expect("the guest means it shared", bench.Run("vcpu0", vcpu.Run(GuestAccess.Read(new Gpa(0)))).Fault, record with { IsPrivate = false });
        bench.Expect("a touch of the private page", bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true)), VmFault.SigBus);
        bench.Expect("GUP of it", bench.Run("vmm", new GupOperation(bench.Vmm, LabBench.Page(0), 1, FollFlags.Get)).Error, Errno.EFAULT);
    }

    private static void BlockedByPin(LabBench bench)
    {
        GuestMemfd file = Make(bench.Kernel, Shared, 4);
        file.Map(bench.Vmm, LabBench.Page(0), 4, ReadWriteShared);
        bench.Touch(1);
        bench.Touch(2);
        GupOperation pin = new(bench.Vmm, LabBench.Page(2), 1, FollFlags.Pin | FollFlags.Write);
        bench.Run("device", pin);

        GuestMemfd.ConvertOperation blocked = file.Convert(0, 4, toPrivate: true);
        bench.Expect("conversion", bench.Run("vmm", blocked), Errno.EAGAIN);
        bench.Expect("the page that is held", blocked.BlockedAt, 2UL);
        bench.Expect("page 1 is private", file.IsPrivate(1), false);
        bench.Kernel.Folios.Unpin(pin.Frames[0]);
        bench.Expect("conversion after the release", bench.Run("vmm", file.Convert(0, 4, toPrivate: true)), Errno.None);
        bench.Expect("references of page 2", bench.Kernel.Frames[file.Cached(2)!.Value].RefCount, 1);
    }

    private static void BesideGup(LabBench bench) => bench.ExpectNoOrderBreaks("a conversion beside GUP", () =>
    {
        HostKernel kernel = bench.MakeKernel(frames: 128);
        AddressSpace vmm = new(kernel);
        GuestMemfd file = Make(kernel, Shared, 1);
        file.Map(vmm, LabBench.Page(0), 1, ReadWriteShared);
        vmm.Fault(LabBench.Page(0), write: true).Run();
        return new Scenario
        {
            World = kernel,
            // GUP without locks takes a reference before it looks again, and gives it back: only what is left at the end counts.
            Always = () => file.IsPrivate(0) && file.Cached(0) is Pfn frame && kernel.Frames[frame].MapCount != 0 ? "a private page is mapped" : null,
            AtEnd = () => file.IsPrivate(0) && file.Cached(0) is Pfn frame && kernel.Frames[frame].RefCount != 1 ? "a private page is referred to" : null,
        }.With("gup", new GupOperation(vmm, LabBench.Page(0), 1, FollFlags.Get)).With("vmm", file.Convert(0, 1, toPrivate: true));
    });

    private static void LargeFolio(LabBench bench)
    {
        GuestMemfd file = Make(bench.Kernel, GuestMemfdFlags.Mmap, 512, order: 9);
        Kvm guest = bench.AddGuest(0);
        guest.AddGuestMemfdSlot(new Gpa(0), PageSize.Size2M, new Hva(LabBench.Base), file, 0);
        bench.Run("vmm", guest.SetAttributes(new Gfn(0), 512, isPrivate: true));
        KvmVcpu vcpu = guest.AddVcpu();
        GuestAccess access = GuestAccess.Write(new Gpa(7 * PageSize.Size4K), 1, asPrivate: true);
        bench.Run("vcpu0", vcpu.Run(access));
        Pfn head = file.Cached(0)!.Value;
        bench.Expect("level of the translation", guest.StageTwo.Entries.Single().Entry.Level, 2);
        bench.Expect("references of the folio", bench.Kernel.Frames[head].RefCount, 512);

        bench.Expect("page 3 becomes shared", bench.Run("vmm", file.Convert(3, 1, toPrivate: false)), Errno.None);
        bench.Run("vmm", guest.SetAttributes(new Gfn(3), 1, isPrivate: false));
        bench.Run("vcpu0", vcpu.Run(access));
        bench.Expect("level of the translation", guest.StageTwo.Entries.Single().Entry.Level, 1);
        bench.Expect("references of page 7", bench.Kernel.Frames[file.Cached(7)!.Value].RefCount, 1);

        bench.Expect("page 3 becomes private again", bench.Run("vmm", file.Convert(3, 1, toPrivate: true)), Errno.None);
        bench.Run("vmm", guest.SetAttributes(new Gfn(3), 1, isPrivate: true));
        bench.Run("vcpu0", vcpu.Run(access));
        bench.Expect("level of the translation", guest.StageTwo.Entries.Single().Entry.Level, 2);
        PageFrame folio = bench.Kernel.Frames[head];
        bench.Expect("references, mappings and pins of the folio", (folio.RefCount, folio.MapCount, folio.PinCount), (512, 0, 0));
    }

    private static void LargePageBesideConversion(LabBench bench)
    {
        bench.ExpectSomeOrderBreaks("a fault beside a change of attributes that says nothing first", "a large translation", () => FaultBesideAttributes(bench, InjectedFaults.LargePagesBesideConversion));
        bench.ExpectNoOrderBreaks("a fault beside a change of attributes that says first what is going to differ", () => FaultBesideAttributes(bench, InjectedFaults.None));
    }

    private static Scenario FaultBesideAttributes(LabBench bench, InjectedFaults faults)
    {
        HostKernel kernel = bench.MakeKernel(frames: 1024, faults);
        GuestMemfd file = Make(kernel, GuestMemfdFlags.None, 512, order: 9);
        Kvm guest = new(new AddressSpace(kernel));
        guest.AddGuestMemfdSlot(new Gpa(0), PageSize.Size2M, new Hva(LabBench.Base), file, 0);
        guest.SetAttributes(new Gfn(0), 512, isPrivate: true).Run();
        return new Scenario
        {
            World = kernel,
            AtEnd = () => guest.StageTwo.TryFind(new Gfn(3), out StageTwoEntry entry, out _) && entry.Private
                ? $"a {(entry.Level > 1 ? "large " : "")}translation shows a shared frame as private" : null,
        }.With("vcpu0", new StageTwoFault(guest, new Gpa(0), write: true, asPrivate: true)).With("vmm", guest.SetAttributes(new Gfn(3), 1, isPrivate: false));
    }

    private static void Errors(LabBench bench)
    {
        GuestMemfd file = Make(bench.Kernel, GuestMemfdFlags.None, 4);
        Kvm guest = bench.AddGuest(0);
        Memslot slot = guest.AddGuestMemfdSlot(new Gpa(0), 4 * PageSize.Size4K, new Hva(LabBench.Base), file, 0);
        bench.Run("vmm", guest.SetAttributes(new Gfn(0), 4, isPrivate: true));
        KvmVcpu vcpu = guest.AddVcpu();
        MemoryFaultRecord record = new(LabBench.GuestPage(1), PageSize.Size4K, IsPrivate: true);
        GuestAccess access = GuestAccess.Read(LabBench.GuestPage(1), asPrivate: true);
        file.Allocate(PageSize.Size4K, PageSize.Size4K, keepSize: true);
        bench.Kernel.Frames[file.Cached(1)!.Value].Flags |= FrameFlags.HwPoison;
        bench.Expect("a lost page", bench.Run("vcpu0", vcpu.Run(access)), new KvmExit(KvmExitReason.MemoryFault, Errno.EHWPOISON, Fault: record));
        bench.Kernel.Frames[file.Cached(1)!.Value].Flags &= ~FrameFlags.HwPoison;
        bench.Expect("without it", bench.Run("vcpu0", vcpu.Run(access)).Reason, KvmExitReason.Halted);

        bench.Expect("the file is released", bench.Run("vmm", file.Release()), Errno.None);
        bench.Expect("a slot that has lost its file", bench.Run("vcpu0", vcpu.Run(access)), new KvmExit(KvmExitReason.MemoryFault, Errno.EFAULT, Fault: record));
        bench.Expect("whoever still has the file", file.GetPfn(guest, slot.Id, 1, out _), Errno.EIO);
    }

    private static void PunchEverywhere(LabBench bench)
    {
        GuestMemfd file = Make(bench.Kernel, Shared, 2);
        file.Map(bench.Vmm, LabBench.Page(0), 2, ReadWriteShared);
        Kvm guest = bench.AddGuest(0);
        guest.AddGuestMemfdSlot(new Gpa(0), 2 * PageSize.Size4K, LabBench.Page(0), file, 0);
        bench.Run("vmm", guest.SetAttributes(new Gfn(1), 1, isPrivate: true));
        bench.Run("vmm", file.Convert(1, 1, toPrivate: true));
        KvmVcpu vcpu = guest.AddVcpu();
        bench.Run("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 0xab), GuestAccess.Write(LabBench.GuestPage(1), 0xcd, asPrivate: true)));
        GfnToPfnCache cache = new(guest);
        bench.Run("kvm", cache.Activate(new Gpa(0), 8));

        file.PunchHole(0, 2 * PageSize.Size4K, keepSize: true, out HostOperation? punch);
        bench.Run("vmm", punch!);
        bench.Expect("pages in the file", (file.Cached(0) ?? file.Cached(1)) is null);
        bench.Expect("translations of the guest", guest.StageTwo.Count, 0);
        bench.Expect("check of a cache", cache.Check(8), false);
        bench.Expect("the VMM has a mapping", bench.Vmm.Tables.LookupPfn(LabBench.Page(0), out _, out _, out _), false);
        VcpuRun read = vcpu.Run(GuestAccess.Read(new Gpa(0)), GuestAccess.Read(LabBench.GuestPage(1), asPrivate: true));
        bench.Run("vcpu0", read);
        bench.Expect("what the guest reads of both", string.Join(" and ", read.Values), "0 and 0");
        byte[] bytes = [0xff];
        bench.Run("kvm", cache.Read(bytes));
        bench.Expect("what KVM reads", bytes[0], (byte)0);
        bench.Expect("ftruncate", GuestMemfd.ChangeSize(), Errno.EINVAL);
    }

    private static void PunchBesideVcpu(LabBench bench) => bench.ExpectNoOrderBreaks("a vCPU beside a hole", () =>
    {
        HostKernel kernel = bench.MakeKernel(frames: 128);
        GuestMemfd file = Make(kernel, GuestMemfdFlags.None, 1);
        Kvm guest = new(new AddressSpace(kernel));
        guest.AddGuestMemfdSlot(new Gpa(0), PageSize.Size4K, new Hva(LabBench.Base), file, 0);
        guest.SetAttributes(new Gfn(0), 1, isPrivate: true).Run();
        KvmVcpu vcpu = guest.AddVcpu();
        file.PunchHole(0, PageSize.Size4K, keepSize: true, out HostOperation? punch);
        return new Scenario
        {
            World = kernel,
            Always = () => vcpu.InGuest && !vcpu.IsKicked && vcpu.Translations.Any(one => file.Cached(0) != one.Frame) ? "the guest keeps the page after the hole" : null,
            AtEnd = () => guest.StageTwo.TryFind(new Gfn(0), out _, out Pfn shown) && file.Cached(0) != shown ? "the second stage keeps the page after the hole" : null,
        }.With("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 1, asPrivate: true), GuestAccess.Write(new Gpa(8), 2, asPrivate: true))).With("vmm", punch!);
    });
}
