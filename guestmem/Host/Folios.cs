namespace Quadwalk.GuestMemory;

/// <summary>References, pins and marks of folios (<c>include/linux/mm.h</c>, <c>mm/gup.c</c>), counted at the head.</summary>
/// <remarks>A frame without references of its own (reserved, or a driver's) is not to be counted: whoever does it anyway is reported.</remarks>
public sealed class Folios
{
    private readonly HostKernel kernel;
    private readonly PageFrames frames;

    internal Folios(HostKernel kernel)
    {
        this.kernel = kernel;
        frames = kernel.Frames;
    }

    /// <summary>Gets of any kind so far.</summary>
    public long Gets { get; private set; }

    /// <summary>Puts so far.</summary>
    public long Puts { get; private set; }

    /// <summary>Whether a frame has references that anybody may count.</summary>
    public bool IsRefCounted(Pfn pfn)
    {
        if (!frames.IsValid(pfn))
        {
            return false;
        }

        ref PageFrame folio = ref frames.FolioOf(pfn);
        return folio.RefCount > 0 && (folio.Flags & (FrameFlags.Reserved | FrameFlags.Driver)) == 0;
    }

    /// <summary>try_get_folio: takes references unless there are none; false if so.</summary>
    /// <param name="pfn">Any frame of the folio.</param>
    /// <param name="count">How many.</param>
    public bool TryGet(Pfn pfn, int count = 1)
    {
        ref PageFrame folio = ref frames.FolioOf(pfn);
        if (folio.RefCount <= 0)
        {
            return false;
        }

        folio.RefCount += count;
        Gets += count;
        return true;
    }

    /// <summary>get_page: takes a reference, without asking whether there are any.</summary>
    /// <param name="pfn">Any frame of the folio.</param>
    public void Get(Pfn pfn)
    {
        frames.FolioOf(pfn).RefCount++;
        Gets++;
    }

    /// <summary>put_page: drops references; with the last the folio is freed.</summary>
    /// <param name="pfn">Any frame of the folio.</param>
    /// <param name="count">How many.</param>
    public void Put(Pfn pfn, int count = 1)
    {
        Pfn head = frames.HeadOf(pfn);
        ref PageFrame folio = ref frames[head];
        if (folio.RefCount < count)
        {
            kernel.Log.Report(KernelEventKind.RefCountUnderflow, head, $"{count} references dropped of {folio.RefCount}");
            return;
        }

        folio.RefCount -= count;
        Puts += count;
        if (folio.RefCount == 0)
        {
            Free(head);
        }
    }

    /// <summary>A reference of the FOLL_PIN kind; false if there are no references.</summary>
    /// <param name="pfn">Any frame of the folio.</param>
    public bool TryPin(Pfn pfn)
    {
        if (!TryGet(pfn))
        {
            return false;
        }

        frames.FolioOf(pfn).PinCount++;
        return true;
    }

    /// <summary>unpin_user_page.</summary>
    /// <param name="pfn">Any frame of the folio.</param>
    public void Unpin(Pfn pfn)
    {
        ref PageFrame folio = ref frames.FolioOf(pfn);
        if (folio.PinCount == 0)
        {
            kernel.Log.Report(KernelEventKind.RefCountUnderflow, frames.HeadOf(pfn), "a pin dropped that nobody held");
            return;
        }

        folio.PinCount--;
        Put(pfn);
    }

    /// <summary>
    /// folio_expected_ref_count: the references that entries and caches account for; what is beyond is held by somebody.
    /// </summary>
    /// <param name="pfn">Any frame of the folio.</param>
    public int Expected(Pfn pfn)
    {
        ref PageFrame folio = ref frames.FolioOf(pfn);
        return folio.MapCount + (folio.Has(FrameFlags.PageCache) ? 1 << folio.Order : 0) + (folio.Has(FrameFlags.SwapCache) ? 1 : 0);
    }

    /// <summary>folio_trylock.</summary>
    internal bool TryLock(Pfn pfn)
    {
        ref PageFrame folio = ref frames.FolioOf(pfn);
        bool free = !folio.Has(FrameFlags.Locked);
        folio.Flags |= FrameFlags.Locked;
        return free;
    }

    /// <summary>folio_unlock, and folio_free_swap: a place in swap that has lost its last entry meanwhile goes now. The caller has a reference.</summary>
    internal void Unlock(Pfn pfn)
    {
        frames.FolioOf(pfn).Flags &= ~FrameFlags.Locked;
        kernel.Swap.DropUnused(pfn);
    }

    /// <summary>folio_mark_dirty.</summary>
    public void MarkDirty(Pfn pfn) => frames.FolioOf(pfn).Flags |= FrameFlags.Dirty;

    /// <summary>folio_mark_accessed.</summary>
    public void MarkAccessed(Pfn pfn) => frames.FolioOf(pfn).Flags |= FrameFlags.Accessed;

    private void Free(Pfn head)
    {
        ref PageFrame folio = ref frames[head];
        if ((folio.Flags & (FrameFlags.Driver | FrameFlags.Reserved)) != 0)
        {
            kernel.Log.Report(KernelEventKind.FreedForeignFrame, head, "the last reference of a frame was dropped that its owner had not counted");
            if ((folio.Flags & FrameFlags.Reserved) != 0)
            {
                return;
            }
        }

        if (!kernel.Injects(InjectedFaults.ForgetDirectMapRestore))
        {
            kernel.DirectMap.Restore(head, 1UL << folio.Order);
        }

        kernel.Allocator.Free(head, folio.Order);
    }
}
