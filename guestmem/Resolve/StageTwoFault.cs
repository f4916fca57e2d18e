namespace Quadwalk.GuestMemory;

/// <summary>
/// A fault of the second stage (<c>kvm_tdp_page_fault</c>): reads the sequence, looks the frame up, and under the mmu lock installs it, unless
/// an invalidation has come in between.
/// </summary>
public sealed partial class StageTwoFault : HostOperation<StageTwoOutcome>
{
    private readonly Kvm vm;
    private readonly Gfn gfn;
    private readonly bool write;
    private readonly bool asPrivate;
    private readonly KvmVcpu? vcpu;
    private bool stale;

    /// <summary>Prepares a fault.</summary>
    /// <param name="vm">The virtual machine.</param>
    /// <param name="gpa">The guest-physical address.</param>
    /// <param name="write">The guest writes.</param>
    /// <param name="asPrivate">The guest means private memory.</param>
    /// <param name="vcpu">The vCPU that faults, for its dirty ring.</param>
    public StageTwoFault(Kvm vm, Gpa gpa, bool write, bool asPrivate = false, KvmVcpu? vcpu = null)
    {
        ArgumentNullException.ThrowIfNull(vm);
        (this.vm, gfn, this.write, this.asPrivate, this.vcpu) = (vm, gpa.Frame, write, asPrivate, vcpu);
    }

    /// <inheritdoc/>
    public override string Name => "stage-2 fault";

    /// <summary>How often the look-up was made again because of an invalidation.</summary>
    public int Retries { get; private set; }

    /// <summary>The error number that KVM_RUN returns; none where it does not return.</summary>
    public Errno Error { get; private set; }

    /// <summary>What KVM_EXIT_MEMORY_FAULT tells, where it comes to that.</summary>
    public MemoryFaultRecord? MemoryFault { get; private set; }

    /// <summary>The slot about to go or to move that the fault met; it is to be tried again, and the result is <see cref="StageTwoOutcome.Retry"/>.</summary>
    public Memslot? InvalidSlot { get; private set; }

    /// <summary>The generation in which no slot held the frame; null where one did.</summary>
    public ulong? NoSlotGeneration { get; private set; }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        do
        {
            stale = false;
            yield return Step.Do("fault: read the sequence and the slot", vm.StageBit | vm.SlotBit | vm.Srcu.Bit);
            int reading = vm.Srcu.ReadLock();
            foreach (Step step in Attempt(vm.InvalidateSequence))
            {
                yield return step;
            }

            yield return Step.Do("fault: srcu_read_unlock", vm.Srcu.Bit);
            vm.Srcu.ReadUnlock(reading);
            if (stale)
            {
                Retries++;
                yield return Step.Wait("fault: wait for the invalidation to end", () => vm.InvalidationsInProgress == 0, vm.StageBit);
            }
        }
        while (stale);
    }

    private IEnumerable<Step> Attempt(ulong sequence)
    {
        if (asPrivate != vm.Attributes.IsPrivate(gfn))
        {
            Exit(StageTwoOutcome.MemoryFault, Errno.EFAULT, recorded: true);
            return [];
        }

        if (!vm.Slots.TryFind(gfn.Address, out Memslot? slot))
        {
            NoSlotGeneration = vm.Slots.Generation;
            Exit(asPrivate ? StageTwoOutcome.MemoryFault : StageTwoOutcome.Emulate, asPrivate ? Errno.EFAULT : Errno.None, recorded: asPrivate);
            return [];
        }

        if (slot.IsInvalid)
        {
            InvalidSlot = slot;
            Result = StageTwoOutcome.Retry;
            return [];
        }

        if (write && !slot.IsWritable)
        {
            Result = StageTwoOutcome.Emulate;
            return [];
        }

        // What GUP refuses comes from the file, even where it is shared.
        bool fromFile = asPrivate || (vm.TryGuestMemfd(slot, gfn, out GuestMemfd? file, out _) && file.NoDirectMap);
        return fromFile ? FaultFromFile(slot, sequence) : FaultFromProcess(slot, sequence);
    }

    private IEnumerable<Step> FaultFromProcess(Memslot slot, ulong sequence)
    {
        Hva hva = slot.Host + (gfn.Address.Value - slot.Base.Value);
        PfnResolver resolver = new(vm.Process, hva, new FollowPfn(write ? FollFlags.Write : FollFlags.None, MapWritable: slot.IsWritable));
        yield return Step.Through(resolver);
        if (resolver.Result.IsError)
        {
            if (resolver.Result == PfnResult.HwPoison)
            {
                // kvm_handle_error_pfn: the VMM gets the signal, and the guest tries again until the VMM has done something about it.
                vm.Process.Raise(new BusError(BusErrorCode.ActionRequired, hva.Page));
            }

            StageTwoOutcome outcome = OutcomeOf(resolver.Result);
            Exit(outcome, ErrorOf(outcome), recorded: false);
            yield break;
        }

        bool writable = slot.IsWritable && (resolver.Writable || vm.Kernel.Injects(InjectedFaults.WritableUnasked));
        yield return Step.Acquire(
            "fault: mmu_lock, compare the sequence", vm.MmuLock, vm.SlotBit, vm.StageBit | vm.Process.TableBit | vm.VcpuBits | vm.DirtyBit);
        stale = IsStale(sequence);
        bool flush = !stale && Install(slot, resolver.Result.Frame, StageTwoLevel.OfShared(vm, slot, gfn), writable);
        resolver.Release(dirty: !stale && resolver.Writable);
        foreach (Step step in Finish(flush))
        {
            yield return step;
        }
    }

    // kvm_mmu_faultin_pfn_gmem.
    private IEnumerable<Step> FaultFromFile(Memslot slot, ulong sequence)
    {
        if (!vm.TryGuestMemfd(slot, gfn, out GuestMemfd? file, out ulong page))
        {
            Exit(StageTwoOutcome.MemoryFault, Errno.EFAULT, recorded: true);
            yield break;
        }

        yield return Step.Do("fault: kvm_gmem_get_pfn", file.CacheBit, file.CacheBit);
        Errno error = file.GetPfn(vm, slot.Id, page, out Pfn frame, out int order);
        if (error != Errno.None)
        {
            Exit(error == Errno.EHWPOISON ? StageTwoOutcome.HwPoison : StageTwoOutcome.Fault, error, recorded: true);
            yield break;
        }

        yield return Step.Acquire("fault: mmu_lock, compare the sequence", vm.MmuLock, vm.SlotBit, vm.StageBit | file.CacheBit | vm.VcpuBits);
        stale = IsStale(sequence);
        bool flush = !stale && Install(slot, frame, StageTwoLevel.OfPrivate(vm, slot, gfn, page, order), writable: true);
        vm.Kernel.Folios.Put(frame);
        foreach (Step step in Finish(flush))
        {
            yield return step;
        }
    }

    private IEnumerable<Step> Finish(bool flush)
    {
        if (flush)
        {
            foreach (Step step in vm.FlushRemoteTlbs("fault"))
            {
                yield return step;
            }
        }

        vm.MmuLock.Release();
        Result = stale ? StageTwoOutcome.Retry : StageTwoOutcome.Fixed;
    }

    private bool IsStale(ulong sequence) => vm.MustRetry(sequence, gfn) && !vm.Kernel.Injects(InjectedFaults.SkipInvalidateCheck);

    // Whether a translation that somebody may have cached has become another.
    private bool Install(Memslot slot, Pfn frame, int level, bool writable)
    {
        bool known = vm.StageTwo.TryFind(gfn, out StageTwoEntry old, out Pfn shown);
        if (known && shown == frame && old.Level == level && old.Private == asPrivate && (old.Writable || !writable))
        {
            // RET_PF_SPURIOUS: another vCPU was first.
            return false;
        }

        Pfn first = new(frame.Value - (gfn.Value & ((1UL << HostPageTable.OrderOf(level)) - 1)));
        vm.StageTwo.Install(gfn, new StageTwoEntry(first, level, writable, Dirty: write, Private: asPrivate));
        if (writable)
        {
            vm.MarkDirty(slot, gfn, vcpu);
        }

        return known && (shown != frame || old.Level != level || old.Private != asPrivate);
    }

    private void Exit(StageTwoOutcome outcome, Errno error, bool recorded)
    {
        (Result, Error) = (outcome, error);
        MemoryFault = recorded ? new MemoryFaultRecord(gfn.Address, PageSize.Size4K, asPrivate) : null;
    }

    private static StageTwoOutcome OutcomeOf(PfnResult result) =>
        result == PfnResult.HwPoison ? StageTwoOutcome.Retry
        : result == PfnResult.ReadOnlyFault ? StageTwoOutcome.Emulate
        : result == PfnResult.SignalPending ? StageTwoOutcome.Interrupted
        : result == PfnResult.NeedsIo ? StageTwoOutcome.Retry
        : StageTwoOutcome.Fault;

    private static Errno ErrorOf(StageTwoOutcome outcome) => outcome switch
    {
        StageTwoOutcome.HwPoison => Errno.EHWPOISON,
        StageTwoOutcome.Interrupted => Errno.EINTR,
        StageTwoOutcome.Fault => Errno.EFAULT,
        _ => Errno.None,
    };
}
