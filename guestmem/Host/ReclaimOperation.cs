namespace Quadwalk.GuestMemory;

/// <summary>
/// Takes one page out of memory (<c>shrink_folio_list</c>): unless it was used since the last look it is unmapped under the notifiers, written
/// to swap if it is anonymous or shmem, and freed if nobody else holds it.
/// </summary>
/// <remarks>
/// EAGAIN: it was used, is held, pinned or locked, or is a dirty page of a file, which writeback has to see first. ENOMEM: swap is full.
/// EINVAL: not a page of 4 KiB that can go.
/// </remarks>
public sealed class ReclaimOperation : HostOperation<Errno>
{
    private readonly HostKernel kernel;
    private readonly Pfn page;
    private ulong slot;

    /// <summary>Prepares it.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="page">The frame.</param>
    public ReclaimOperation(HostKernel kernel, Pfn page)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        (this.kernel, this.page) = (kernel, page);
    }

    /// <inheritdoc/>
    public override string Name => "reclaim";

    private bool IsAnonymous => kernel.Frames[page].Has(FrameFlags.Anon);

    private bool IgnoresHolders => kernel.Injects(InjectedFaults.ReclaimHeld);

    /// <summary>Whether a frame is a page that could go at all.</summary>
    internal static bool IsCandidate(HostKernel kernel, Pfn page)
    {
        ref PageFrame frame = ref kernel.Frames[page];
        return kernel.Folios.IsRefCounted(page) && (frame.Flags & (FrameFlags.Tail | FrameFlags.Kernel | FrameFlags.HwPoison | FrameFlags.Private)) == 0
            && (frame.Has(FrameFlags.Anon) || (frame.Has(FrameFlags.PageCache) && kernel.FileOf(frame.Mapping) is { CanReclaim: true }));
    }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Do("reclaim: lock the page", 0, kernel.PageBits);
        Result = Begin();
        if (Result != Errno.None)
        {
            yield break;
        }

        yield return Step.Do("reclaim: was it used", 0, kernel.PageBits);
        Result = WasUsed() ? Errno.EAGAIN : Errno.None;
        if (Result == Errno.None && IsAnonymous)
        {
            yield return Step.Do("reclaim: add_to_swap", 0, kernel.PageBits);
            Result = TryFindSlot() ? Errno.None : Errno.ENOMEM;
        }

        while (Result == Errno.None && ReverseMap.Find(kernel, page) is [(AddressSpace mm, Hva at), ..])
        {
            NotifierRange range = new(at, at + PageSize.Size4K, NotifierEvent.Clear);
            foreach (Step step in mm.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("reclaim: try_to_unmap", mm.TableBit, kernel.PageBits);
            Result = TryUnmap(mm, at) ? Errno.None : Errno.EAGAIN;
            foreach (Step step in mm.NotifyEnd(range))
            {
                yield return step;
            }
        }

        if (Result == Errno.None && IsAnonymous)
        {
            yield return Step.Do("reclaim: write the page to swap", 0, kernel.PageBits);
            kernel.Swap.Write(slot, page);
            kernel.Frames[page].Flags &= ~FrameFlags.Dirty;
        }

        yield return Step.Do("reclaim: freeze the references, free the page", 0, kernel.PageBits);
        Result = Result == Errno.None ? Finish() : Result;
        kernel.Folios.Unlock(page);
        if (slot != 0)
        {
            kernel.Swap.Drop(slot);
        }

        kernel.Folios.Put(page);
    }

    private Errno Begin()
    {
        ref PageFrame frame = ref kernel.Frames[page];
        if (!IsCandidate(kernel, page) || frame.Order != 0)
        {
            return Errno.EINVAL;
        }

        bool pinned = frame.PinCount > 0 && !IgnoresHolders;
        if (pinned || frame.Has(FrameFlags.Writeback) || !kernel.Folios.TryLock(page))
        {
            return Errno.EAGAIN;
        }

        kernel.Folios.Get(page);
        return Errno.None;
    }

    // folio_referenced: the marks of the page, of its entries and of the guests' translations; looking at them clears them.
    private bool WasUsed()
    {
        ref PageFrame frame = ref kernel.Frames[page];
        bool used = frame.Has(FrameFlags.Accessed);
        frame.Flags &= ~FrameFlags.Accessed;
        foreach ((AddressSpace mm, Hva at) in ReverseMap.Find(kernel, page))
        {
            HostPte entry = mm.Tables.Find(at, out int level);
            used |= entry.IsAccessed;
            mm.Tables.Replace(at, level, entry.MadeOld);
            foreach (MmuNotifier notifier in mm.Registered)
            {
                used |= notifier.ClearYoung(at, at + PageSize.Size4K);
            }
        }

        return used;
    }

    private bool TryFindSlot()
    {
        if (kernel.Swap.SlotOf(page) is ulong known)
        {
            slot = known;
            return true;
        }

        return kernel.Swap.TryAdd(page, out slot);
    }

    private bool TryUnmap(AddressSpace mm, Hva at)
    {
        if (!kernel.IsAlive(mm))
        {
            return true;
        }

        HostPte entry = mm.Tables.Find(at, out int level);
        if (level != 1 || !entry.HoldsPage || entry.Frame != page)
        {
            return true;
        }

        ref PageFrame frame = ref kernel.Frames[page];
        bool exclusive = frame.Has(FrameFlags.AnonExclusive);
        if (exclusive && frame.PinCount > 0 && !IgnoresHolders)
        {
            return false;
        }

        mm.Tables.Replace(at, 1, IsAnonymous ? HostPte.Swap(slot, exclusive) : default);
        mm.Flushes++;
        frame.Flags &= ~FrameFlags.AnonExclusive;
        frame.Flags |= entry.IsDirty ? FrameFlags.Dirty : FrameFlags.None;
        if (IsAnonymous)
        {
            kernel.Swap.Duplicate(slot);
        }

        frame.MapCount--;
        kernel.Folios.Put(page);
        return true;
    }

    private Errno Finish()
    {
        ref PageFrame frame = ref kernel.Frames[page];
        bool held = frame.RefCount != kernel.Folios.Expected(page) + 1 || frame.MapCount != 0;
        if ((held && !IgnoresHolders) || frame.Has(FrameFlags.HwPoison))
        {
            return Errno.EAGAIN;
        }

        if (!IsAnonymous)
        {
            return kernel.FileOf(frame.Mapping)?.TryPageOut(page) ?? false ? Errno.None : Errno.EAGAIN;
        }

        if (kernel.Swap.Count(slot) > 0)
        {
            kernel.Swap.Uncache(slot);
            kernel.Folios.Put(page);
        }

        return Errno.None;
    }
}
