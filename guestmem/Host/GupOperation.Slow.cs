namespace Quadwalk.GuestMemory;

/// <content>The way under the mmap lock: ranges, faults, and pages that must not stay where they are.</content>
public sealed partial class GupOperation
{
    private bool holds;

    private IEnumerable<Step> Slow()
    {
        holds = locked;
        flags |= FollFlags.Touch | (locked ? FollFlags.None : FollFlags.Unlockable);
        if (!locked)
        {
            foreach (Step step in Lock("gup: mmap_lock"))
            {
                yield return step;
            }
        }

        bool again = true;
        while (again && error == Errno.None)
        {
            foreach (Step step in Walk())
            {
                yield return step;
            }

            again = false;
            if ((flags & FollFlags.LongTerm) != 0 && Array.FindIndex(frames, 0, done, Kernel.Allocator.IsMovable) >= 0)
            {
                again = true;
                foreach (Step step in MigrateUnpinnable())
                {
                    yield return step;
                }
            }
        }

        if (!locked && holds)
        {
            yield return Step.Do("gup: drop mmap_lock", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
        }

        DroppedLock = locked && !holds;
    }

    // mmap_read_lock_killable.
    private IEnumerable<Step> Lock(string name)
    {
        yield return Step.Wait(name, () => mm.MmapLock.IsFree(shared: true) || mm.FatalSignalPending, mm.MmapLock.Bit);
        holds = mm.MmapLock.TryAcquire(shared: true);
        error = holds ? error : Errno.EAGAIN;
    }

    // __get_user_pages.
    private IEnumerable<Step> Walk()
    {
        while (done < frames.Length && error == Errno.None && !gaveUp)
        {
            Hva hva = At(done);
            if (mm.FatalSignalPending)
            {
                error = Errno.EINTR;
                break;
            }

            yield return Step.Do("gup: check the range", mm.TableBit);
            VirtualMemoryArea? area = mm.Find(hva);
            error = GupRules.CheckArea(area, flags);
            if (error != Errno.None)
            {
                break;
            }

            if ((flags & FollFlags.SplitPmd) != 0 && mm.Tables.Find(hva, out int leaf) is { IsLarge: true } && leaf == 2)
            {
                NotifierRange range = mm.WholePages(hva, hva + PageSize.Size4K, NotifierEvent.Clear);
                foreach (Step step in mm.NotifyStart(range))
                {
                    yield return step;
                }

                yield return Step.Do("gup: split the leaf", mm.TableBit, mm.TableBit);
                error = mm.TrySplitPage(hva) ? Errno.None : Errno.ENOMEM;
                foreach (Step step in mm.NotifyEnd(range))
                {
                    yield return step;
                }

                continue;
            }

            yield return Step.Do("gup: follow_page_mask", mm.TableBit, mm.TableBit);
            HostPte entry = mm.Tables.Find(hva, out int level);
            GupFollow follow = GupRules.Follow(area!, entry, flags);
            if (follow == GupFollow.Take)
            {
                error = Take(hva, entry, level);
                continue;
            }

            if (follow == GupFollow.Refuse || (flags & FollFlags.NoFault) != 0)
            {
                error = Errno.EFAULT;
                break;
            }

            foreach (Step step in FaultIn(hva, follow == GupFollow.Unshare))
            {
                yield return step;
            }
        }
    }

    private Errno Take(Hva hva, HostPte entry, int level)
    {
        Pfn frame = HostPageTable.FrameOf(entry, hva, level);
        if (!entry.IsSpecial)
        {
            ref PageFrame folio = ref Kernel.Frames.FolioOf(frame);
            if (Counts && folio.Has(FrameFlags.PciP2pDma) && (flags & FollFlags.PciP2pDma) == 0)
            {
                return Errno.EREMOTEIO;
            }

            if (!TryGrab(frame))
            {
                return Errno.ENOMEM;
            }

            if (Write && !entry.IsDirty)
            {
                Folios.MarkDirty(frame);
            }

            Folios.MarkAccessed(frame);
        }

        frames[done++] = frame;
        return Errno.None;
    }

    // faultin_page, and what __get_user_pages_locked does after a fault that has dropped the lock.
    private IEnumerable<Step> FaultIn(Hva hva, bool unshare)
    {
        bool noWait = (flags & FollFlags.NoWait) != 0;
        bool unlockable = !noWait && (flags & FollFlags.Unlockable) != 0;
        FaultFlags how = FaultFlags.Checked
            | (Write ? FaultFlags.Write : 0)
            | (unshare ? FaultFlags.Unshare : 0)
            | (noWait ? FaultFlags.AllowRetry | FaultFlags.RetryNoWait : 0)
            | (unlockable ? FaultFlags.AllowRetry | FaultFlags.Killable : 0)
            | (unlockable && (flags & FollFlags.Interruptible) != 0 ? FaultFlags.Interruptible : 0)
            | ((flags & FollFlags.Tried) != 0 ? FaultFlags.Tried : 0);
        FaultOperation fault = new(mm, hva, how, locked: true);
        yield return Step.Through(fault);
        error = GupRules.ErrorOf(fault.Result, flags);
        if (fault.Result != VmFault.Retry)
        {
            flags &= ~FollFlags.Tried;
            yield break;
        }

        if (noWait)
        {
            gaveUp = true;
            yield break;
        }

        if (mm.FatalSignalPending || (mm.SignalPending && (flags & FollFlags.Interruptible) != 0))
        {
            error = Errno.EINTR;
        }

        holds = !fault.DroppedLock;
        if (holds || error != Errno.None)
        {
            yield break;
        }

        flags |= FollFlags.Tried;
        foreach (Step step in Lock("gup: mmap_lock, find the range again"))
        {
            yield return step;
        }
    }

    // check_and_migrate_movable_pages: lets everything go, moves what must not be pinned here, and tries from the start.
    private IEnumerable<Step> MigrateUnpinnable()
    {
        yield return Step.Do("gup: unpin, and move what is in movable memory", 0, Kernel.PageBits);
        Pfn[] movable = [.. frames.AsSpan(0, done).ToArray().Where(Kernel.Allocator.IsMovable).Select(Kernel.Frames.HeadOf).Distinct()];
        for (; done > 0; done--)
        {
            Drop(frames[done - 1]);
        }

        foreach (Pfn page in movable)
        {
            HostOperation<Errno> move = Kernel.Frames[page].Order > 0
                ? new SplitFolioOperation(Kernel, page)
                : new MigrateOperation(Kernel, page, unmovable: true);
            yield return Step.Through(move);
            if (move.Result != Errno.None)
            {
                error = Errno.ENOMEM;
                break;
            }
        }
    }
}
