namespace Quadwalk.GuestMemory;

/// <summary>
/// Writes a dirty page to its disk (<c>folio_clear_dirty_for_io</c> and what follows): under the page's lock each entry loses the right to
/// write, notifiers first, and the page is marked clean last; then it is written.
/// </summary>
/// <remarks>Who wants to write meanwhile faults, and waits for the lock: no write lands after "clean" that is not marked as one.</remarks>
internal sealed class WritebackOperation(DiskFile file, ulong page) : HostOperation
{
    public override string Name => "writeback";

    private HostKernel Kernel => file.Kernel;

    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Wait("writeback: lock the page", () => file.Cached(page) is not Pfn busy || !Kernel.Frames[busy].Has(FrameFlags.Locked), Kernel.PageBits, Kernel.PageBits);
        if (file.Cached(page) is not Pfn frame || !MayBeDirty(frame) || Kernel.Frames[frame].Has(FrameFlags.Writeback))
        {
            yield break;
        }

        Kernel.Folios.TryLock(frame);
        Kernel.Folios.Get(frame);
        bool early = Kernel.Injects(InjectedFaults.CleanBeforeProtect);
        if (early)
        {
            yield return Step.Do("writeback: mark the page clean, write it", 0, Kernel.PageBits);
            Kernel.Frames[frame].Flags &= ~FrameFlags.Dirty;
            file.Write(page, frame);
        }

        while (Writable(frame) is (AddressSpace mm, Hva at))
        {
            NotifierRange range = new(at, at + PageSize.Size4K, NotifierEvent.Protection);
            foreach (Step step in mm.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("writeback: page_mkclean", mm.TableBit, Kernel.PageBits);
            Protect(mm, at, frame, transfer: !early);
            foreach (Step step in mm.NotifyEnd(range))
            {
                yield return step;
            }
        }

        if (!early)
        {
            yield return Step.Do("writeback: mark the page clean", 0, Kernel.PageBits);
            Kernel.Frames[frame].Flags = (Kernel.Frames[frame].Flags & ~FrameFlags.Dirty) | FrameFlags.Writeback;
            Kernel.Folios.Unlock(frame);
            yield return Step.Do("writeback: write the page", 0, Kernel.PageBits);
            file.Write(page, frame);
        }

        Kernel.Frames[frame].Flags &= ~FrameFlags.Writeback;
        if (early)
        {
            Kernel.Folios.Unlock(frame);
        }

        Kernel.Folios.Put(frame);
    }

    private bool MayBeDirty(Pfn frame) => Kernel.Frames[frame].Has(FrameFlags.Dirty) || Writable(frame) is not null;

    // The next entry that may write, or has written.
    private (AddressSpace Process, Hva At)? Writable(Pfn frame)
    {
        foreach ((AddressSpace process, Hva at) in ReverseMap.Find(Kernel, frame))
        {
            HostPte entry = process.Tables.Find(at, out _);
            if (entry.IsWritable || entry.IsDirty)
            {
                return (process, at);
            }
        }

        return null;
    }

    private void Protect(AddressSpace mm, Hva at, Pfn frame, bool transfer)
    {
        if (!Kernel.IsAlive(mm))
        {
            return;
        }

        HostPte entry = mm.Tables.Find(at, out int level);
        if (level != 1 || !entry.HoldsPage || entry.Frame != frame)
        {
            return;
        }

        mm.Tables.Replace(at, 1, entry.WriteProtected.Cleaned);
        mm.Flushes++;
        if (transfer && entry.IsDirty)
        {
            Kernel.Folios.MarkDirty(frame);
        }
    }
}
