namespace Quadwalk.GuestMemory;

/// <content>Invalidations: of the VMM's page tables, of a guest_memfd, and of attributes.</content>
public sealed partial class Kvm
{
    /// <summary>
    /// The beginning of an invalidation: from the end of these steps nothing of the range is translated, cached, or used by a vCPU, and
    /// nothing of it becomes so until <see cref="EndInvalidation"/>.
    /// </summary>
    /// <param name="who">What begins the names of its steps.</param>
    /// <param name="shows">Whether a cache of frames shows a part of the range.</param>
    /// <param name="frames">The guest frames; asked under the mmu lock.</param>
    internal IEnumerable<Step> BeginInvalidation(string who, Func<GfnToPfnCache, bool> shows, Func<IEnumerable<(Gfn First, ulong Count)>> frames)
    {
        yield return Step.Do($"{who}: active_count++", CacheListBit, StageBit);
        ActiveInvalidations++;
        foreach (GfnToPfnCache cache in caches.ToArray())
        {
            if (!shows(cache))
            {
                continue;
            }

            yield return Step.Acquire($"{who}: gpc->lock", cache.Lock, CacheListBit, StageBit | VcpuBits);
            if (shows(cache))
            {
                cache.Invalidate();
            }

            cache.Lock.Release();
        }

        foreach (Step step in WaitOutside(who))
        {
            yield return step;
        }

        yield return Step.Acquire($"{who}: mmu_lock, in_progress++", MmuLock, SlotBit, StageBit);
        (Gfn First, ulong Count)[] parts = [.. frames()];
        ulong first = parts.Length == 0 ? 0 : parts.Min(part => part.First.Value);
        ulong end = parts.Length == 0 ? 0 : parts.Max(part => part.First.Value + part.Count);
        Cover(new Gfn(first), new Gfn(end));
        yield return Step.Do($"{who}: zap and flush", SlotBit, StageBit | VcpuBits | MmuLock.Bit);
        bool flush = false;
        foreach ((Gfn part, ulong count) in parts)
        {
            flush |= Zap(part, count);
        }

        if (flush)
        {
            foreach (Step step in FlushRemoteTlbs(who))
            {
                yield return step;
            }
        }

        if (ApicAccessSlotId >= 0 && parts.Any(part => ApicAccessFrame.Value - part.First.Value < part.Count))
        {
            // The private slot of the APIC access page: each vCPU has the frame in its VMCS.
            MakeAllCpusRequest(VcpuRequests.ApicPageReload);
            foreach (Step step in WaitOutside(who))
            {
                yield return step;
            }
        }

        MmuLock.Release();
    }

    /// <summary>The end of an invalidation: the sequence grows before any count goes down.</summary>
    /// <param name="who">What begins the names of its steps.</param>
    internal IEnumerable<Step> EndInvalidation(string who)
    {
        bool late = Kernel.Injects(InjectedFaults.SequenceAfterCount);
        yield return Step.Acquire($"{who}: mmu_lock{(late ? "" : ", seq++")}", MmuLock, 0, StageBit);
        InvalidateSequence += late ? 0UL : 1;
        yield return Step.Do($"{who}: in_progress--", 0, StageBit | MmuLock.Bit);
        InvalidationsInProgress--;
        MmuLock.Release();
        yield return Step.Do($"{who}: active_count--", 0, StageBit);
        ActiveInvalidations--;
        if (late)
        {
            yield return Step.Do($"{who}: seq++", 0, StageBit);
            InvalidateSequence++;
        }
    }

    private void Cover(Gfn first, Gfn end) =>
        InvalidateRange = InvalidationsInProgress++ == 0
            ? (first, end)
            : (new Gfn(Math.Min(first.Value, InvalidateRange.First.Value)), new Gfn(Math.Max(end.Value, InvalidateRange.End.Value)));

    private sealed class Notifier(Kvm vm) : MmuNotifier
    {
        public override HostOperation InvalidateStart(NotifierRange range) => new StartOperation(vm, range);

        public override HostOperation InvalidateEnd(NotifierRange range) => new EndOperation(vm);

        public override bool ClearYoung(Hva start, Hva end) => Young(start, end, clear: true);

        public override bool TestYoung(Hva start, Hva end) => Young(start, end, clear: false);

        private bool Young(Hva start, Hva end, bool clear)
        {
            bool young = false;
            foreach ((Gfn first, ulong count) in vm.GuestFrames(start, end))
            {
                for (ulong i = 0; i < count; i++)
                {
                    Gfn gfn = new(first.Value + i);
                    if (vm.StageTwo.TryFind(gfn, out StageTwoEntry entry, out _) && entry.Accessed)
                    {
                        young = true;
                        if (clear)
                        {
                            vm.StageTwo.Update(gfn, entry with { Accessed = false });
                        }
                    }
                }
            }

            return young;
        }
    }

    private sealed class StartOperation(Kvm vm, NotifierRange range) : HostOperation
    {
        public override string Name => "invalidate_range_start";

        protected internal override IEnumerable<Step> Steps() => vm.BeginInvalidation(
            "invalidate start", cache => cache.Shows(range.Start, range.End), () => vm.GuestFrames(range.Start, range.End));
    }

    private sealed class EndOperation(Kvm vm) : HostOperation
    {
        public override string Name => "invalidate_range_end";

        protected internal override IEnumerable<Step> Steps() => vm.EndInvalidation("invalidate end");
    }
}
