namespace Quadwalk.GuestMemory;

/// <summary>Rows 39, 41 to 43, 45 and 46: the other ways to guest memory, and who may go them.</summary>
internal static class AccessScenarios
{
    private static readonly KernelBehavior[] Posted = [KernelBehavior.Proposed];
    private static readonly Gpa Window = new(0x8000_0000);

    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("userspace-without-direct-map", 39, "copy_from_user reaches what the direct map does not show, and shows it nowhere.", Userspace) { Behaviors = Posted },
        new("userspace-faults-in", 39, "A page that is absent is faulted in by the copy; where nothing can be, the copy is EFAULT.", FaultsIn),
        new("userspace-beside-discard", 39, "A copy beside madvise: in no order is the old byte found afterwards.", BesideDiscard),
        new("mm-local-window", 41, "A window of the process's own shows the page to nobody else, and is flushed once for each wrap.", MmLocal) { Behaviors = Posted },
        new("mm-local-reuse-before-flush", 41, "A slot that is used again before the flush shows its old page.", ReuseBeforeFlush) { Behaviors = Posted },
        new("proc-local-allocation", 42, "Memory of the kernel's that one process alone has is out of the direct map, and dies with the process.", ProcLocalAllocation),
        new("proc-local-mapping", 42, "A mapping of a file for one process's kernel code dies when the page becomes private or the file is cut.", ProcLocalMapping) { Behaviors = Posted },
        new("view-switch-interrupt", 43, "An interrupt while the temporary view is loaded: it waits, or finds the default view; else its handler runs in the wrong one.", ViewSwitch) { Behaviors = Posted },
        new("bounce-window", 45, "A device reaches the shared window and no private buffer; what goes through it is copied by the guest.", Bounce),
        new("pkvm-gup-without-direct-map", 46, "Under pKVM, GUP pins a donated page, and no way of the host's reaches it.", Pkvm),
    ];

    private static void Userspace(LabBench bench)
    {
        Kvm guest = DirectMapScenarios.AddGuest(bench, 2, out _);
        UserspacePath path = new(guest);
        bench.Expect("a write", bench.Run("kvm", path.WriteSteps(new Gpa(8), new byte[] { 0x42 })), GuestAccessStatus.Success);
        bench.Begin();
        byte[] read = new byte[1];
        bench.Expect("a read", bench.Run("kvm", path.ReadSteps(new Gpa(8), read)), GuestAccessStatus.Success);
        bench.Expect("the byte", read[0], 0x42);
        bench.Expect("frames out of the direct map", bench.Kernel.DirectMap.AbsentFrames, 1);
        bench.Expect("restores, flushes and references", path.Ledger.Restores + path.Ledger.Flushes + path.Ledger.References, 0);
    }

    private static void FaultsIn(LabBench bench)
    {
        bench.Map(1);
        Kvm guest = bench.AddGuest(2);
        UserspacePath path = new(guest);
        bench.Expect("a read of a page that is absent", bench.Run("kvm", path.ReadSteps(new Gpa(0), new byte[8])), GuestAccessStatus.Success);
        bench.Expect("faults", path.Ledger.Faults, 1);
        bench.Expect("a read where nothing is mapped", bench.Run("kvm", path.ReadSteps(LabBench.GuestPage(1), new byte[8])), GuestAccessStatus.Fault);
        bench.Expect("its error", path.LastError, Errno.EFAULT);
    }

    private static void BesideDiscard(LabBench bench) => bench.ExpectNoOrderBreaks("a copy beside madvise", () =>
    {
        HostKernel kernel = bench.MakeKernel();
        AddressSpace vmm = new(kernel);
        vmm.MapAt(LabBench.Base, 1, VmFlags.Read | VmFlags.Write);
        Kvm guest = new(vmm);
        guest.Slots.Add(new Gpa(0), PageSize.Size4K, LabBench.Page(0));
        UserspacePath path = new(guest);
        path.Write(new Gpa(0), [0x5a]);
        byte[] now = new byte[1];
        return new Scenario
        {
            World = kernel,
            AtEnd = () => path.Read(new Gpa(0), now) != GuestAccessStatus.Success || now[0] != 0 ? $"found 0x{now[0]:x}" : null,
        }.With("kvm", path.ReadSteps(new Gpa(0), new byte[1])).With("vmm", vmm.Discard(LabBench.Page(0), 1));
    });

    private static void MmLocal(LabBench bench)
    {
        Kvm guest = DirectMapScenarios.AddGuest(bench, 2, out GuestMemfd file);
        MmLocalPath path = MmLocalPath.For(guest, slots: 4);
        KernelWindow window = path.Region.WindowOf(0);
        HostProcessor other = new(bench.Kernel, 1);
        other.Run(new AddressSpace(bench.Kernel, "other"));
        path.Write(new Gpa(0), [1]);
        bench.Begin();
        bench.Run("kvm", path.ReadSteps(new Gpa(0), new byte[1]));
        bench.Expect("the processor still has the slot cached", window.TryTranslate(path.Processor, 1, out Pfn stale) && stale == file.Cached(0));
        bench.Expect("another process reaches the slot", window.TryTranslate(other, 1, out _), false);
        for (int i = 0; i < 10; i++)
        {
            path.Read(new Gpa(0), new byte[1]);
        }

        bench.Expect("slots used", path.Ledger.WindowMaps, 12);
        bench.Expect("flushes, of one processor", path.Ledger.Flushes, 2);
        bench.Expect("processors interrupted", path.Ledger.InterruptedProcessors, 0);
        bench.Expect("the direct map shows the page", bench.Kernel.DirectMap.Shows(file.Cached(0)!.Value), false);
    }

    private static void ReuseBeforeFlush(LabBench bench)
    {
        bench.Boot(faults: InjectedFaults.ReuseWindowBeforeFlush);
        Kvm guest = DirectMapScenarios.AddGuest(bench, 2, out _);
        UserspacePath truth = new(guest);
        truth.Write(LabBench.GuestPage(0), [1]);
        truth.Write(LabBench.GuestPage(1), [2]);
        MmLocalPath path = MmLocalPath.For(guest, slots: 1);
        byte[] read = new byte[2];
        bench.Run("kvm", path.ReadSteps(LabBench.GuestPage(0), read.AsMemory(0, 1)));
        bench.Run("kvm", path.ReadSteps(LabBench.GuestPage(1), read.AsMemory(1, 1)));
        bench.Expect("page 0", read[0], 1);
        bench.Expect("page 1, read through what is cached of page 0", read[1], 1);
    }

    private static void ProcLocalAllocation(LabBench bench)
    {
        AddressSpace owner = new(bench.Kernel, "owner");
        HostProcessor inside = new(bench.Kernel, 0);
        inside.Run(owner);
        HostProcessor outside = new(bench.Kernel, 1);
        outside.Run(bench.Vmm);
        bench.Begin();
        bench.Expect("allocation", ProcLocalMemory.TryAllocate(new MmLocalRegion(owner), 2, out ProcLocalMemory? memory), Errno.None);
        bench.Expect("a write by the owner", memory!.Write(inside, 0, [1]), Errno.None);
        bench.Expect("a read by another process", memory.Read(outside, 0, new byte[1]), Errno.EFAULT);
        bench.Expect("frames out of the direct map", bench.Kernel.DirectMap.AbsentFrames, 2);
        bench.Run("owner", owner.Exit());
        bench.Expect("it is alive", memory.IsAlive, false);
        bench.Expect("frames out of the direct map afterwards", bench.Kernel.DirectMap.AbsentFrames, 0);
    }

    private static void ProcLocalMapping(LabBench bench)
    {
        DirectMapScenarios.AddGuest(bench, 4, out GuestMemfd file);
        HostProcessor processor = new(bench.Kernel, 0);
        processor.Run(bench.Vmm);
        bench.Expect("mapping", ProcLocalMemory.TryMap(new MmLocalRegion(bench.Vmm), file, 0, 3, out ProcLocalMemory? mapping), Errno.None);
        bench.Expect("a write", mapping!.Write(processor, 0, [1]), Errno.None);
        bench.Expect("conversion of page 0", bench.Run("vmm", file.Convert(0, 1, toPrivate: true)), Errno.None);
        file.PunchHole(PageSize.Size4K, PageSize.Size4K, keepSize: true, out HostOperation? punch);
        bench.Run("vmm", punch!);
        bench.Expect("a read of the converted page", mapping.Read(processor, 0, new byte[1]), Errno.EFAULT);
        bench.Expect("a read of the punched page", mapping.Read(processor, PageSize.Size4K, new byte[1]), Errno.EFAULT);
        bench.Expect("a read of the third", mapping.Read(processor, 2 * PageSize.Size4K, new byte[1]), Errno.None);
    }

    private static void ViewSwitch(LabBench bench)
    {
        Scenario Interrupted(ViewInterrupts interrupts, InterruptEntry entry, InjectedFaults faults = InjectedFaults.None)
        {
            HostKernel kernel = bench.MakeKernel(faults: faults);
            AddressSpace vmm = new(kernel);
            vmm.MapAt(LabBench.Base, 1, VmFlags.Read | VmFlags.Write);
            Kvm guest = new(vmm);
            guest.Slots.Add(new Gpa(0), PageSize.Size4K, LabBench.Page(0));
            ViewSwitchPath path = ViewSwitchPath.For(guest, interrupts);
            path.Write(new Gpa(0), [0x42]);
            (byte[] read, bool seen) = (new byte[1], false);
            return new Scenario
            {
                World = kernel,
                Always = () => kernel.Log.Events.Count > 0 ? kernel.Log.Events[0].ToString() : null,
                AtEnd = () => read[0] != 0x42 ? $"read 0x{read[0]:x}" : seen ? "the handler reached the page" : null,
            }.With("vcpu0", path.ReadSteps(new Gpa(0), read)).With("irq", path.Processor.Interrupt(entry, processor => seen = path.Reaches(processor)));
        }

        bench.ExpectNoOrderBreaks("interrupts disabled", () => Interrupted(ViewInterrupts.Disabled, InterruptEntry.KeepsView));
        bench.ExpectNoOrderBreaks("interrupts enabled, and the entry saves the view", () => Interrupted(ViewInterrupts.Enabled, InterruptEntry.SavesView));
        bench.ExpectSomeOrderBreaks("interrupts enabled, and the entry does not", "ForeignView", () => Interrupted(ViewInterrupts.Enabled, InterruptEntry.KeepsView));
        bench.ExpectSomeOrderBreaks(
            "the entry saves the view, and the return forgets it", "Oops", () => Interrupted(ViewInterrupts.Enabled, InterruptEntry.SavesView, InjectedFaults.ForgetViewRestore));
    }

    private static void Bounce(LabBench bench)
    {
        Kvm guest = bench.AddGuest(0);
        GuestMemfd.Create(bench.Kernel, 4 * PageSize.Size4K, GuestMemfdFlags.None, out GuestMemfd? file);
        guest.AddGuestMemfdSlot(new Gpa(0), 4 * PageSize.Size4K, LabBench.Page(64), file!, 0);
        guest.SetAttributes(new Gfn(0), 4, isPrivate: true).Run();
        bench.Map(4);
        Memslot shared = guest.Slots.Add(Window, 4 * PageSize.Size4K, LabBench.Page(0));
        BounceWindow window = new(guest, shared, new UserspacePath(guest));
        bench.Begin();
        bench.Expect("a device reads the buffer itself", window.Read(new Gpa(0), new byte[512]), GuestAccessStatus.Fault);
        bench.Expect("the guest maps the buffer", window.TryMap(new Gpa(0), 512, BounceDirection.ToDevice | BounceDirection.FromDevice, out Gpa place), Errno.None);
        bench.Expect("a device writes the window", window.Write(place, new byte[512]), GuestAccessStatus.Success);
        bench.Expect("a device writes beyond the window", window.Write(Window + (shared.Size - 1), new byte[2]), GuestAccessStatus.Fault);
        bench.Expect("the guest unmaps the buffer", window.Unmap(place), Errno.None);
        bench.Expect("bytes bounced", window.Ledger.BytesBounced, 1024);
        bench.Expect("accesses rejected", window.Ledger.Failures, 2);
    }

    private static void Pkvm(LabBench bench)
    {
        bench.Map(2);
        Kvm guest = bench.AddGuest(2);
        HypervisorPolicy policy = HypervisorPolicy.Pkvm;
        GupOperation pin = new(bench.Vmm, LabBench.Page(0), 1, FollFlags.Pin | FollFlags.Write);
        bench.Expect("GUP pins the page: pages", bench.Run("vmm", pin).Pages, 1);
        bench.Expect("the page is donated", bench.Run("vmm", guest.SetAttributes(new Gfn(0), 1, isPrivate: true)), Errno.None);
        bench.Kernel.DirectMap.Remove(pin.Frames[0], 1);
        GuestPageState state = policy.StateOf(guest, guest.Slots.All[0], new Gfn(0));
        bench.Expect("whose it is", state, GuestPageState.Protected);
        bench.Expect("GUP may pin it", policy.Allows(state, HostUse.Gup));
        using ViewSwitchPath view = new(guest, new HostProcessor(bench.Kernel, 0)) { Policy = policy };
        foreach (GuestAccessPath path in new GuestAccessPath[]
        {
            new UserspacePath(guest) { Policy = policy }, new DirectMapPath(guest, DirectMapMode.Restore) { Policy = policy }, view,
        })
        {
            bench.Expect($"a read by {path.Name}", path.Read(new Gpa(0), new byte[1]), GuestAccessStatus.Fault);
            bench.Expect($"a read of a page that was not donated by {path.Name}", path.Read(LabBench.GuestPage(1), new byte[1]), GuestAccessStatus.Success);
        }

        bench.Kernel.DirectMap.Restore(pin.Frames[0], 1);
        bench.Kernel.Folios.Unpin(pin.Frames[0]);
    }
}
