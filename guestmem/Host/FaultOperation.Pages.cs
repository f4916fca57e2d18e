namespace Quadwalk.GuestMemory;

/// <content>Where the page comes from: new, from its file, from swap, or a copy.</content>
public sealed partial class FaultOperation
{
    private IEnumerable<Step> MakePage(VirtualMemoryArea area)
    {
        HostLock? invalidate = area.Backing?.FaultLock;
        ulong changed = mm.TableBit | ((area.Backing as MemoryFile)?.CacheBit ?? 0);
        yield return invalidate is null
            ? Step.Do("fault: make the page", changed, changed)
            : Step.AcquireShared("fault: invalidate_lock, make the page", invalidate, changed, changed);
        again = !mm.Tables.Find(hva, out _).IsNone;
        if (!again)
        {
            Result = area.Backing is null ? MakeAnonymous(area) : MakeBacked(area);
        }

        invalidate?.Release();
        if (!again && Result == VmFault.Retry && locked && (flags & (FaultFlags.AllowRetry | FaultFlags.RetryNoWait | FaultFlags.Tried)) == FaultFlags.AllowRetry)
        {
            yield return Step.Do("fault: drop mmap_lock, the handler retries", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
            DroppedLock = true;
        }
    }

    private VmFault MakeAnonymous(VirtualMemoryArea area)
    {
        const ulong largeMask = PageSize.Size2M - 1;
        Hva large = new(hva.Value & ~largeMask);
        bool writable = (area.Flags & VmFlags.Write) != 0;
        if ((area.Flags & VmFlags.HugePage) != 0 && area.Contains(large) && large.Value + PageSize.Size2M <= area.End.Value
            && mm.Tables.Find(large, out int level).IsNone && level >= 2
            && Kernel.Allocator.Allocate(HostPageTable.OrderOf(2), FrameFlags.Anon | FrameFlags.AnonExclusive) is Pfn huge)
        {
            return Install(area, large, 2, huge, writable);
        }

        return Kernel.Allocator.Allocate(0, FrameFlags.Anon | FrameFlags.AnonExclusive) is Pfn page
            ? Install(area, hva, 1, page, writable)
            : VmFault.OutOfMemory;
    }

    private VmFault Install(VirtualMemoryArea area, Hva at, int level, Pfn page, bool writable)
    {
        ref PageFrame folio = ref Kernel.Frames[page];
        folio.Mapping = mm.Id;
        folio.Index = at.Value >> PageSize.Shift4K;
        if (!mm.Tables.TrySet(at, level, area.EntryFor(page, writable, level)))
        {
            if (!Kernel.Injects(InjectedFaults.KeepPageOnFailure))
            {
                Kernel.Folios.Put(page);
            }

            return VmFault.OutOfMemory;
        }

        folio.MapCount++;
        return VmFault.NoPage;
    }

    private VmFault MakeBacked(VirtualMemoryArea area)
    {
        VmFault fault = area.Backing!.Fault(area, hva, Write, out Pfn page);
        if (fault != VmFault.Page)
        {
            return fault;
        }

        ref PageFrame folio = ref Kernel.Frames.FolioOf(page);
        bool shared = (area.Flags & VmFlags.Shared) != 0;
        if (Write && !shared)
        {
            if (Kernel.Allocator.Allocate(0, FrameFlags.Anon | FrameFlags.AnonExclusive) is not Pfn copy)
            {
                Kernel.Folios.Put(page);
                return VmFault.OutOfMemory;
            }

            Kernel.Frames.Bytes(page).CopyTo(Kernel.Frames.Bytes(copy));
            Kernel.Folios.Put(page);
            return Install(area, hva, 1, copy, CanBecomeWritable(area));
        }

        // A page that is being written out becomes writable only after that, by the way of page_mkwrite.
        bool writable = Write && !(area.NeedsDirtyTracking && folio.Has(FrameFlags.Locked));
        if (!mm.Tables.TrySet(hva, 1, area.EntryFor(page, writable)))
        {
            Kernel.Folios.Put(page);
            return VmFault.OutOfMemory;
        }

        folio.MapCount++;
        Kernel.Folios.MarkAccessed(page);
        if (writable)
        {
            Kernel.Folios.MarkDirty(page);
        }

        again = Write && !writable;
        return VmFault.NoPage;
    }

    // wp_page_shared: the backing is asked, and knows from then on that the page is dirty.
    private IEnumerable<Step> MakeWritable(VirtualMemoryArea area, HostPte entry, int level)
    {
        yield return Step.Do("fault: page_mkwrite", mm.TableBit, mm.TableBit);
        Pfn frame = HostPageTable.FrameOf(entry, hva, level);
        if (area.NeedsDirtyTracking && Kernel.Frames.FolioOf(frame).Has(FrameFlags.Locked))
        {
            foreach (Step step in WaitFor("the page's lock", () => !Kernel.Frames.FolioOf(frame).Has(FrameFlags.Locked)))
            {
                yield return step;
            }

            yield break;
        }

        Result = area.Backing?.MakeWritable(area, hva, frame) ?? VmFault.Page;
        if (Result != VmFault.Page)
        {
            yield break;
        }

        again = !TryChange(entry, level, entry.MadeWritable);
        Result = VmFault.NoPage;
        if (!again && !entry.IsSpecial)
        {
            Kernel.Folios.MarkDirty(entry.Frame);
        }
    }

    private IEnumerable<Step> Reuse(VirtualMemoryArea area, HostPte entry, int level)
    {
        yield return Step.Do("fault: reuse the page", mm.TableBit, mm.TableBit);
        again = true;
        if (CanReuse(entry, level) && TryChange(entry, level, CanBecomeWritable(area) ? entry.MadeWritable : entry))
        {
            Kernel.Frames.FolioOf(entry.Frame).Flags |= FrameFlags.AnonExclusive;
        }
    }

    private IEnumerable<Step> Copy(VirtualMemoryArea area, HostPte entry, int level)
    {
        if (level > 1)
        {
            NotifierRange whole = mm.WholePages(hva, hva + PageSize.Size4K, NotifierEvent.Clear);
            foreach (Step step in mm.NotifyStart(whole))
            {
                yield return step;
            }

            yield return Step.Do("fault: split the large page", mm.TableBit, mm.TableBit);
            again = mm.TrySplitPage(hva);
            Result = again ? VmFault.NoPage : VmFault.OutOfMemory;
            foreach (Step step in mm.NotifyEnd(whole))
            {
                yield return step;
            }

            yield break;
        }

        yield return Step.Do("fault: copy the page", mm.TableBit, mm.TableBit);
        if (mm.Tables.Find(hva, out _) != entry)
        {
            again = true;
            yield break;
        }

        if (Kernel.Allocator.Allocate(0, FrameFlags.Anon | FrameFlags.AnonExclusive) is not Pfn copy)
        {
            Result = VmFault.OutOfMemory;
            yield break;
        }

        // The old page cannot be freed, and given to somebody else as the same entry, before the copy is in place.
        bool counted = !entry.IsSpecial;
        if (counted)
        {
            Kernel.Folios.Get(entry.Frame);
        }

        Kernel.Frames.Bytes(entry.Frame).CopyTo(Kernel.Frames.Bytes(copy));
        NotifierRange range = new(hva, hva + PageSize.Size4K, NotifierEvent.Clear);
        foreach (Step step in mm.NotifyStart(range))
        {
            yield return step;
        }

        yield return Step.Do("fault: put the copy in place", mm.TableBit, mm.TableBit);
        ref PageFrame folio = ref Kernel.Frames[copy];
        (folio.Mapping, folio.Index) = (mm.Id, hva.Value >> PageSize.Shift4K);
        if (TryChange(entry, level, area.EntryFor(copy, writable: Write && CanBecomeWritable(area))))
        {
            folio.MapCount++;
            mm.Flushes++;
            if (counted)
            {
                Kernel.Frames.FolioOf(entry.Frame).MapCount--;
                Kernel.Folios.Put(entry.Frame);
            }

            Result = VmFault.NoPage;
        }
        else
        {
            Kernel.Folios.Put(copy);
            again = true;
        }

        if (counted)
        {
            Kernel.Folios.Put(entry.Frame);
        }

        foreach (Step step in mm.NotifyEnd(range))
        {
            yield return step;
        }
    }

    // do_swap_page: from the swap cache, or read in; shared until a write where another entry stands for it too.
    private IEnumerable<Step> SwapIn(VirtualMemoryArea area, HostPte entry)
    {
        SwapArea swap = Kernel.Swap;
        yield return Step.Do("fault: look in the swap cache", mm.TableBit | swap.Bit, swap.Bit);
        if (mm.Tables.Find(hva, out _) != entry)
        {
            again = true;
            yield break;
        }

        if (swap.Cached(entry.SwapSlot) is not Pfn page)
        {
            if ((flags & FaultFlags.RetryNoWait) != 0)
            {
                Result = VmFault.Retry;
                yield break;
            }

            if (!swap.TryReadIn(entry.SwapSlot, mm.Id, hva.Value >> PageSize.Shift4K, out page))
            {
                Result = VmFault.OutOfMemory;
                yield break;
            }
        }

        if (Kernel.Frames[page].Has(FrameFlags.HwPoison))
        {
            Result = VmFault.HwPoison;
            yield break;
        }

        if (Kernel.Frames[page].Has(FrameFlags.Locked))
        {
            foreach (Step step in WaitFor("the page's lock", () => swap.Cached(entry.SwapSlot) is not Pfn cached || !Kernel.Frames[cached].Has(FrameFlags.Locked)))
            {
                yield return step;
            }

            yield break;
        }

        Kernel.Folios.Get(page);
        yield return Step.Do("fault: map the page from swap", mm.TableBit | swap.Bit, Kernel.PageBits);
        bool current = mm.Tables.Find(hva, out _) == entry && swap.Cached(entry.SwapSlot) == page && !Kernel.Frames[page].Has(FrameFlags.Locked);
        if (!current)
        {
            Kernel.Folios.Put(page);
            again = true;
            yield break;
        }

        MapFromSwap(area, entry, page);
        swap.Free(entry.SwapSlot);
        again = Write && !mm.Tables.Find(hva, out _).IsWritable;
        Result = VmFault.NoPage;
    }

    private void MapFromSwap(VirtualMemoryArea area, HostPte entry, Pfn page)
    {
        ref PageFrame folio = ref Kernel.Frames[page];
        if (entry.IsExclusive)
        {
            folio.Flags |= FrameFlags.AnonExclusive;
        }

        folio.MapCount++;
        mm.Tables.Replace(hva, 1, area.EntryFor(page, writable: Write && entry.IsExclusive && CanBecomeWritable(area)));
    }
}
