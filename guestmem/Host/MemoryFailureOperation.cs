namespace Quadwalk.GuestMemory;

/// <summary>What became of a frame that the hardware has lost (<c>enum mf_result</c>).</summary>
public enum MemoryFailureOutcome
{
    /// <summary>MF_RECOVERED: nobody can reach it any more.</summary>
    Recovered,

    /// <summary>MF_DELAYED: it stays in a cache, and whoever asks for it there is told.</summary>
    Delayed,

    /// <summary>MF_FAILED: somebody still holds it.</summary>
    Failed,

    /// <summary>MF_IGNORED: it is the kernel's own or a driver's, or a large page that could not be taken apart.</summary>
    Ignored,
}

/// <summary>
/// The hardware has lost a frame (<c>memory_failure</c>): it is marked, unmapped everywhere under the notifiers, those who lose data by it get a
/// SIGBUS, and it is never handed out again.
/// </summary>
/// <remarks>
/// EHWPOISON: it was marked before. EBUSY: ignored or failed. ENXIO: no such frame. A clean page of a file with a disk is dropped without anybody
/// noticing; entries of any other stand for the lost page from then on.
/// </remarks>
public sealed class MemoryFailureOperation : HostOperation<Errno>
{
    private readonly HostKernel kernel;
    private readonly Pfn frame;
    private readonly AddressSpace? current;
    private readonly List<(AddressSpace Process, Hva At)> users = [];

    /// <summary>Prepares it.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="frame">The frame.</param>
    /// <param name="current">The process that has just used it and must not go on (MF_ACTION_REQUIRED); null: a scrubber has found it.</param>
    public MemoryFailureOperation(HostKernel kernel, Pfn frame, AddressSpace? current = null)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        (this.kernel, this.frame, this.current) = (kernel, frame, current);
    }

    /// <inheritdoc/>
    public override string Name => "memory_failure";

    /// <summary>What became of it; meaningful where the result is not EHWPOISON or ENXIO.</summary>
    public MemoryFailureOutcome Outcome { get; private set; }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Do("memory_failure: mark the frame", 0, kernel.PageBits);
        if (!TryMark(out bool isFolio))
        {
            yield break;
        }

        if (isFolio && kernel.Frames.FolioOf(frame) is { Order: > 0 } whole && !whole.Has(FrameFlags.Private))
        {
            SplitFolioOperation split = new(kernel, frame);
            yield return Step.Through(split);
            if (split.Result != Errno.None && kernel.Frames.FolioOf(frame).Order > 0)
            {
                // kill_procs_now: it stays mapped, and those who map it are told.
                users.AddRange(ReverseMap.Find(kernel, frame));
                Kill();
                End(MemoryFailureOutcome.Ignored);
                yield break;
            }
        }

        if (!isFolio || !kernel.Folios.TryGet(frame))
        {
            End(isFolio ? MemoryFailureOutcome.Recovered : MemoryFailureOutcome.Ignored);
            yield break;
        }

        yield return Step.Wait("memory_failure: lock the page", () => (kernel.Frames.FolioOf(frame).Flags & (FrameFlags.Locked | FrameFlags.Writeback)) == 0, kernel.PageBits, kernel.PageBits);
        kernel.Folios.TryLock(frame);
        bool disposable = IsCleanOnDisk();
        users.AddRange(ReverseMap.Find(kernel, frame));
        while (!kernel.Injects(InjectedFaults.PoisonWithoutUnmapping) && ReverseMap.Find(kernel, frame) is [(AddressSpace mm, Hva at), ..])
        {
            NotifierRange range = new(at, at + PageSize.Size4K, NotifierEvent.Clear);
            foreach (Step step in mm.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("memory_failure: unmap", mm.TableBit, kernel.PageBits);
            Unmap(mm, at, disposable);
            foreach (Step step in mm.NotifyEnd(range))
            {
                yield return step;
            }
        }

        yield return Step.Do("memory_failure: tell who loses data", 0, kernel.PageBits);
        if (!disposable)
        {
            Kill();
        }

        yield return Step.Do("memory_failure: take the page out of its cache", 0, kernel.PageBits);
        MemoryFile? file = kernel.Frames.FolioOf(frame).Has(FrameFlags.PageCache) ? kernel.FileOf(kernel.Frames.FolioOf(frame).Mapping) : null;
        if (file is not null and not DiskFile)
        {
            foreach (Step step in file.RemoveLost(frame))
            {
                yield return step;
            }
        }

        MemoryFailureOutcome outcome = TakeOut(file);
        bool held = kernel.Frames.FolioOf(frame).RefCount > kernel.Folios.Expected(frame) + 1 || kernel.Frames.FolioOf(frame).MapCount > 0;
        End(held && kernel.Frames.FolioOf(frame).Order == 0 ? MemoryFailureOutcome.Failed : outcome);
        kernel.Folios.Unlock(frame);
        kernel.Folios.Put(frame);
    }

    // False where nothing is left to do; a frame without references is nobody's folio.
    private bool TryMark(out bool isFolio)
    {
        isFolio = false;
        if (!kernel.Frames.IsValid(frame))
        {
            Result = Errno.ENXIO;
            return false;
        }

        if (kernel.Frames[frame].Has(FrameFlags.HwPoison))
        {
            // kill_accessing_process: it was told once, and has come back.
            Result = Errno.EHWPOISON;
            users.AddRange(ReverseMap.Find(kernel, frame).Where(user => user.Process == current));
            Kill();
            return false;
        }

        if (kernel.Allocator.TryTakeOffline(frame, FrameFlags.HwPoison))
        {
            End(MemoryFailureOutcome.Recovered);
            return false;
        }

        kernel.Frames[frame].Flags |= FrameFlags.HwPoison;
        isFolio = kernel.Folios.IsRefCounted(frame) && (kernel.Frames.FolioOf(frame).Flags & (FrameFlags.Anon | FrameFlags.PageCache)) != 0;
        return true;
    }

    private bool IsCleanOnDisk()
    {
        ref PageFrame folio = ref kernel.Frames.FolioOf(frame);
        bool dirty = folio.Has(FrameFlags.Dirty) || ReverseMap.Find(kernel, frame).Exists(user => user.Process.Tables.Find(user.At, out _).IsDirty);
        return folio.Has(FrameFlags.PageCache) && kernel.FileOf(folio.Mapping) is DiskFile && !dirty;
    }

    private void Unmap(AddressSpace mm, Hva at, bool disposable)
    {
        if (!kernel.IsAlive(mm))
        {
            return;
        }

        HostPte entry = mm.Tables.Find(at, out int level);
        if (!entry.HoldsPage || HostPageTable.FrameOf(entry, at, level) != frame)
        {
            return;
        }

        mm.Tables.Replace(at, level, disposable ? default : HostPte.Poison(frame));
        mm.Flushes++;
        ref PageFrame folio = ref kernel.Frames.FolioOf(frame);
        folio.Flags |= entry.IsDirty ? FrameFlags.Dirty : FrameFlags.None;
        folio.MapCount--;
        kernel.Folios.Put(frame);
    }

    // me_pagecache_clean, me_pagecache_dirty, me_swapcache_clean, me_swapcache_dirty.
    private MemoryFailureOutcome TakeOut(MemoryFile? file)
    {
        bool dirty = kernel.Frames.FolioOf(frame).Has(FrameFlags.Dirty);
        if (file is DiskFile disk)
        {
            disk.Error = dirty ? Errno.EIO : disk.Error;
            disk.Remove(frame);
            return MemoryFailureOutcome.Recovered;
        }

        if (file is not null || kernel.Swap.SlotOf(frame) is not ulong slot)
        {
            return file?.LostOutcome ?? MemoryFailureOutcome.Recovered;
        }

        if (dirty)
        {
            return MemoryFailureOutcome.Delayed;
        }

        kernel.Swap.Uncache(slot);
        kernel.Folios.Put(frame);
        return MemoryFailureOutcome.Recovered;
    }

    private void Kill()
    {
        foreach ((AddressSpace process, Hva at) in users)
        {
            if (process == current || process.EarlyKill)
            {
                process.Raise(new BusError(process == current ? BusErrorCode.ActionRequired : BusErrorCode.ActionOptional, at));
            }
        }
    }

    private void End(MemoryFailureOutcome outcome)
    {
        Outcome = outcome;
        Result = outcome is MemoryFailureOutcome.Recovered or MemoryFailureOutcome.Delayed ? Errno.None : Errno.EBUSY;
    }
}
