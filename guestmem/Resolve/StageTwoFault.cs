namespace Quadwalk.GuestMemory;

/// <summary>How a fault of the second stage ended (<c>RET_PF_*</c> and KVM_RUN's errors).</summary>
public enum StageTwoOutcome
{
    /// <summary>RET_PF_FIXED: the translation is there.</summary>
    Fixed,

    /// <summary>RET_PF_RETRY: the guest may try again.</summary>
    Retry,

    /// <summary>RET_PF_EMULATE: no memory there, or a write to what is read-only: the instruction is to be emulated.</summary>
    Emulate,

    /// <summary>-EFAULT to the VMM.</summary>
    Fault,

    /// <summary>-EINTR to the VMM.</summary>
    Interrupted,

    /// <summary>KVM_EXIT_MEMORY_FAULT: the guest means private memory where shared is, or the other way round; the VMM may convert it.</summary>
    MemoryFault,

    /// <summary>-EHWPOISON to the VMM, with SIGBUS (MCEERR_AR) at the address.</summary>
    HwPoison,
}

/// <summary>
/// A fault of the second stage (<c>kvm_tdp_page_fault</c>): reads the sequence, looks the frame up, and under the mmu lock installs it, unless
/// an invalidation has come in between.
/// </summary>
public sealed class StageTwoFault : HostOperation<StageTwoOutcome>
{
    private readonly Kvm vm;
    private readonly Gfn gfn;
    private readonly bool write;
    private readonly bool asPrivate;

    /// <summary>Prepares a fault.</summary>
    /// <param name="vm">The virtual machine.</param>
    /// <param name="gpa">The guest-physical address.</param>
    /// <param name="write">The guest writes.</param>
    /// <param name="asPrivate">The guest means private memory.</param>
    public StageTwoFault(Kvm vm, Gpa gpa, bool write, bool asPrivate = false)
    {
        ArgumentNullException.ThrowIfNull(vm);
        (this.vm, gfn, this.write, this.asPrivate) = (vm, gpa.Frame, write, asPrivate);
    }

    /// <inheritdoc/>
    public override string Name => "stage-2 fault";

    /// <summary>How often the look-up was made again because of an invalidation.</summary>
    public int Retries { get; private set; }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        while (true)
        {
            yield return Step.Do("fault: read the sequence and the slot", vm.StageBit | vm.SlotBit);
            ulong sequence = vm.InvalidateSequence;
            if (!vm.Slots.TryFind(gfn.Address, out Memslot? slot) || (write && !slot.IsWritable))
            {
                Result = StageTwoOutcome.Emulate;
                yield break;
            }

            if (asPrivate != vm.Attributes.IsPrivate(gfn))
            {
                Result = StageTwoOutcome.MemoryFault;
                yield break;
            }

            if (asPrivate)
            {
                foreach (Step step in FaultPrivate(slot, sequence))
                {
                    yield return step;
                }

                if (Result == StageTwoOutcome.Retry)
                {
                    continue;
                }

                yield break;
            }

            Hva hva = slot.Host + (gfn.Address.Value - slot.Base.Value);
            PfnResolver resolver = new(vm.Process, hva, new FollowPfn(write ? FollFlags.Write : FollFlags.None, MapWritable: slot.IsWritable));
            yield return Step.Through(resolver);
            if (resolver.Result.IsError)
            {
                Result = OutcomeOf(resolver.Result);
                yield break;
            }

            yield return Step.Acquire("fault: mmu_lock, compare the sequence", vm.MmuLock, vm.SlotBit, vm.StageBit | vm.Process.TableBit);
            bool stale = vm.MustRetry(sequence, gfn) && !vm.Kernel.Injects(InjectedFaults.SkipInvalidateCheck);
            if (!stale)
            {
                Install(slot, hva, resolver);
            }

            resolver.Release(dirty: !stale && resolver.Writable);
            vm.MmuLock.Release();
            if (!stale)
            {
                Result = StageTwoOutcome.Fixed;
                yield break;
            }

            Retries++;
            yield return Step.Wait("fault: wait for the invalidation to end", () => vm.InvalidationsInProgress == 0, vm.StageBit);
        }
    }

    // kvm_mmu_faultin_pfn_gmem.
    private IEnumerable<Step> FaultPrivate(Memslot slot, ulong sequence)
    {
        if (!vm.TryGuestMemfd(slot, gfn, out GuestMemfd? file, out ulong page))
        {
            Result = StageTwoOutcome.MemoryFault;
            yield break;
        }

        yield return Step.Do("fault: kvm_gmem_get_pfn", file.CacheBit, file.CacheBit);
        Errno error = file.GetPfn(vm, slot.Id, page, out Pfn frame);
        if (error != Errno.None)
        {
            Result = error == Errno.EHWPOISON ? StageTwoOutcome.HwPoison : StageTwoOutcome.Fault;
            yield break;
        }

        yield return Step.Acquire("fault: mmu_lock, compare the sequence", vm.MmuLock, vm.SlotBit, vm.StageBit | file.CacheBit);
        bool stale = vm.MustRetry(sequence, gfn) && !vm.Kernel.Injects(InjectedFaults.SkipInvalidateCheck);
        if (!stale)
        {
            vm.StageTwo.Install(gfn, new StageTwoEntry(frame, 1, Writable: true));
        }

        vm.Kernel.Folios.Put(frame);
        vm.MmuLock.Release();
        Result = stale ? StageTwoOutcome.Retry : StageTwoOutcome.Fixed;
        if (stale)
        {
            Retries++;
            yield return Step.Wait("fault: wait for the invalidation to end", () => vm.InvalidationsInProgress == 0, vm.StageBit);
        }
    }

    private void Install(Memslot slot, Hva hva, PfnResolver resolver)
    {
        int level = MappingLevel(slot, hva);
        int order = HostPageTable.OrderOf(level);
        Pfn first = new(resolver.Result.Frame.Value - (gfn.Value & ((1UL << order) - 1)));
        vm.StageTwo.Install(gfn, new StageTwoEntry(first, level, resolver.Writable && slot.IsWritable));
    }

    // kvm_mmu_max_mapping_level: the host's leaf, the slot's alignment and its ends.
    private int MappingLevel(Memslot slot, Hva hva)
    {
        HostPte leaf = vm.Process.Tables.Find(hva, out int level);
        level = leaf.IsPresent ? level : 1;
        for (; level > 1; level--)
        {
            ulong size = 1UL << HostPageTable.Shift(level);
            ulong start = gfn.Address.Value & ~(size - 1);
            bool aligned = ((slot.Base.Value ^ slot.Host.Value) & (size - 1)) == 0;
            bool uniform = vm.Attributes.PrivateFrames == 0 || vm.Attributes.IsUniform(new Gfn(start >> PageSize.Shift4K), size >> PageSize.Shift4K);
            if (aligned && uniform && start >= slot.Base.Value && start + size <= slot.End.Value)
            {
                break;
            }
        }

        return level;
    }

    private static StageTwoOutcome OutcomeOf(PfnResult result) =>
        result == PfnResult.HwPoison ? StageTwoOutcome.HwPoison
        : result == PfnResult.ReadOnlyFault ? StageTwoOutcome.Emulate
        : result == PfnResult.SignalPending ? StageTwoOutcome.Interrupted
        : result == PfnResult.NeedsIo ? StageTwoOutcome.Retry
        : StageTwoOutcome.Fault;
}
