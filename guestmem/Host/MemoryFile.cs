namespace Quadwalk.GuestMemory;

/// <summary>A file in memory (memfd, shmem): pages that all who map it share, held by its page cache with one reference for each.</summary>
public partial class MemoryFile : VmBacking
{
    private readonly Dictionary<ulong, Pfn> pages = [];
    private readonly Dictionary<ulong, ulong> swapped = [];
    private readonly List<VirtualMemoryArea> areas = [];

    /// <summary>Makes a file of holes.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="size">How many pages it has.</param>
    /// <param name="order">log2 of the frames of its folios: 0, or 9 for pages of 2 MiB.</param>
    public MemoryFile(HostKernel kernel, ulong size, int order = 0)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        (Kernel, Size, Order) = (kernel, size, order);
        Id = kernel.NextMapping();
        CacheBit = kernel.Scope.Take();
        kernel.Add(this);
    }

    /// <inheritdoc/>
    public override string Name => "memfd";

    /// <summary>The host.</summary>
    public HostKernel Kernel { get; }

    /// <summary>How many pages it has.</summary>
    public ulong Size { get; private set; }

    /// <summary>log2 of the frames of the folios that it makes; a folio that was split has fewer.</summary>
    public int Order { get; }

    /// <summary>Its number among the owners of pages.</summary>
    public int Id { get; }

    /// <summary>The bit by which steps say that they read or change its page cache.</summary>
    public ulong CacheBit { get; }

    /// <summary>The ranges of addresses that show it.</summary>
    protected internal IReadOnlyList<VirtualMemoryArea> Areas => areas;

    /// <summary>The frame of a page if it is in the page cache.</summary>
    public Pfn? Cached(ulong page) => pages.TryGetValue(page, out Pfn frame) ? frame : null;

    /// <summary>Why its pages cannot be migrated; none: they can.</summary>
    internal virtual Errno MigrationRefusal => Errno.None;

    /// <summary>Its pages may leave memory when memory is short.</summary>
    internal virtual bool CanReclaim => true;

    /// <summary>How many of its pages are in swap.</summary>
    public int SwappedPages => swapped.Count;

    /// <summary>filemap_get_page and, for a hole, shmem_alloc: the frame of a page, with a reference for the caller.</summary>
    /// <param name="page">Its number.</param>
    /// <param name="frame">The frame.</param>
    public virtual VmFault Get(ulong page, out Pfn frame)
    {
        frame = default;
        if (page >= Size)
        {
            return VmFault.SigBus;
        }

        if (Cached(page) is Pfn cached)
        {
            frame = cached;
            if (Kernel.Frames[frame].Has(FrameFlags.HwPoison))
            {
                return VmFault.HwPoison;
            }

            Kernel.Folios.Get(frame);
            return VmFault.Page;
        }

        bool inSwap = swapped.ContainsKey(page);
        int order = inSwap || HasPagesBeside(page) ? 0 : Order;
        if (Kernel.Allocator.Allocate(order, FrameFlags.PageCache) is not Pfn head)
        {
            return VmFault.OutOfMemory;
        }

        ref PageFrame folio = ref Kernel.Frames[head];
        folio.Mapping = Id;
        folio.Index = page >> order << order;

        // The cache holds one reference for each page of the folio.
        folio.RefCount = 1 << order;
        for (ulong i = 0; i < 1UL << order; i++)
        {
            pages[folio.Index + i] = new Pfn(head.Value + i);
        }

        if (inSwap && swapped.Remove(page, out ulong slot))
        {
            Kernel.Swap.Read(slot, head);
            Kernel.Swap.Free(slot);
            Kernel.Folios.MarkDirty(head);
        }

        Added(head);
        frame = Cached(page)!.Value;
        Kernel.Folios.Get(frame);
        return VmFault.Page;
    }

    /// <inheritdoc/>
    public override VmFault Fault(VirtualMemoryArea area, Hva hva, bool write, out Pfn frame)
    {
        ArgumentNullException.ThrowIfNull(area);
        return Get(area.PageOf(hva), out frame);
    }

    /// <summary>
    /// fallocate(FALLOC_FL_PUNCH_HOLE): unmaps a range everywhere (notifiers first), and drops its pages. Folios that reach over an end stay.
    /// </summary>
    /// <param name="first">The first page.</param>
    /// <param name="count">How many.</param>
    public virtual HostOperation Punch(ulong first, ulong count) => new PunchOperation(this, first, count, newSize: null);

    /// <summary>ftruncate: as <see cref="Punch"/> from a page to the end, and the size follows.</summary>
    /// <param name="size">The new size in pages.</param>
    public virtual HostOperation Truncate(ulong size) => new PunchOperation(this, size, Size > size ? Size - size : 0, size);

    /// <summary>Puts another frame in a page's place in the cache: what migration does. The reference of the cache moves along.</summary>
    internal void Move(Pfn from, Pfn to)
    {
        ref PageFrame old = ref Kernel.Frames[from];
        ref PageFrame copy = ref Kernel.Frames[to];
        (copy.Mapping, copy.Index) = (old.Mapping, old.Index);
        copy.Flags |= FrameFlags.PageCache | (old.Flags & (FrameFlags.Dirty | FrameFlags.Accessed));
        copy.RefCount++;
        pages[old.Index] = to;
        Kernel.Folios.Put(from);
    }

    /// <summary>shmem_writepage: a page that nobody maps or holds goes to swap, and leaves the cache; false if there is no room.</summary>
    internal virtual bool TryPageOut(Pfn frame)
    {
        ulong page = Kernel.Frames[frame].Index;
        if (!Kernel.Swap.TryWriteOut(frame, out ulong slot))
        {
            return false;
        }

        swapped[page] = slot;
        Remove(frame);
        return true;
    }

    /// <summary>Takes one page of 4 KiB out of the cache.</summary>
    internal void Remove(Pfn frame)
    {
        if (pages.Remove(Kernel.Frames[frame].Index))
        {
            Removing(frame);
            Kernel.Frames[frame].Flags &= ~FrameFlags.PageCache;
            Kernel.Folios.Put(frame);
        }
    }

    /// <summary>
    /// error_remove_folio: what the file does about a page that the hardware has lost and no process maps any more. A memfd keeps it, so that
    /// who asks for it is told.
    /// </summary>
    /// <param name="frame">The frame.</param>
    internal virtual IEnumerable<Step> RemoveLost(Pfn frame) => [];

    /// <summary>What has become of a lost page after <see cref="RemoveLost"/>.</summary>
    internal virtual MemoryFailureOutcome LostOutcome => MemoryFailureOutcome.Recovered;

    /// <summary>A folio has come into the cache.</summary>
    /// <param name="head">Its first frame.</param>
    protected virtual void Added(Pfn head)
    {
    }

    /// <summary>A folio is about to leave the cache.</summary>
    /// <param name="head">Its first frame.</param>
    protected virtual void Removing(Pfn head)
    {
    }

    /// <summary>A range is a hole from now on.</summary>
    /// <param name="first">The first page.</param>
    /// <param name="count">How many.</param>
    private protected virtual void Dropped(ulong first, ulong count)
    {
    }

    internal override void Opened(VirtualMemoryArea area) => areas.Add(area);

    internal override void Closed(VirtualMemoryArea area)
    {
        // From the end: processes that came last go first, most often.
        int index = areas.LastIndexOf(area);
        if (index >= 0)
        {
            areas.RemoveAt(index);
        }
    }

    /// <summary>Takes whole folios in a range out of the cache, and pages of it out of swap.</summary>
    internal void Drop(ulong first, ulong count)
    {
        foreach (ulong page in InRange(pages, first, count))
        {
            if (!pages.TryGetValue(page, out Pfn frame) || Kernel.Frames.HeadOf(frame) != frame)
            {
                continue;
            }

            int order = Kernel.Frames[frame].Order;
            if (page + (1UL << order) - first > count)
            {
                continue;
            }

            for (ulong i = 0; i < 1UL << order; i++)
            {
                pages.Remove(page + i);
            }

            Removing(frame);
            Kernel.Frames[frame].Flags &= ~FrameFlags.PageCache;
            Kernel.Folios.Put(frame, 1 << order);
        }

        foreach (ulong page in InRange(swapped, first, count))
        {
            if (swapped.Remove(page, out ulong slot))
            {
                Kernel.Swap.Free(slot);
            }
        }

        Dropped(first, count);
    }

    // The pages of a range that are there, in their order.
    private static ulong[] InRange<T>(Dictionary<ulong, T> of, ulong first, ulong count)
    {
        if (count >= (ulong)of.Count)
        {
            return of.Count == 0 ? [] : [.. of.Keys.Where(page => page >= first && page - first < count).Order()];
        }

        List<ulong> found = [];
        for (ulong page = first; page >= first && page - first < count; page++)
        {
            if (of.ContainsKey(page))
            {
                found.Add(page);
            }
        }

        return [.. found];
    }

    private bool HasPagesBeside(ulong page)
    {
        ulong first = page >> Order << Order;
        for (ulong i = 0; i < 1UL << Order; i++)
        {
            if (pages.ContainsKey(first + i) || swapped.ContainsKey(first + i))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether somebody has the lock of a page in a range, or writes it out: it stays in the cache until that is over.</summary>
    internal bool IsLocked(ulong first, ulong count) => Any(first, count, folio => (folio.Flags & (FrameFlags.Locked | FrameFlags.Writeback)) != 0);

    /// <summary>Whether a process maps a page of a range, say by a fault since the range was unmapped.</summary>
    internal bool IsMapped(ulong first, ulong count) => Any(first, count, folio => folio.MapCount > 0);

    private bool Any(ulong first, ulong count, Predicate<PageFrame> predicate)
    {
        foreach (ulong page in InRange(pages, first, count))
        {
            if (IsWhole(pages[page], first, count) && predicate(Kernel.Frames.FolioOf(pages[page])))
            {
                return true;
            }
        }

        return false;
    }

    // The folio lies in the range as a whole.
    private bool IsWhole(Pfn frame, ulong first, ulong count)
    {
        ref PageFrame folio = ref Kernel.Frames.FolioOf(frame);
        return folio.Index >= first && folio.Index + (1UL << folio.Order) - first <= count;
    }

    private sealed class PunchOperation(MemoryFile file, ulong first, ulong count, ulong? newSize) : HostOperation<Errno>
    {
        public override string Name => newSize is null ? "fallocate(PUNCH_HOLE)" : "ftruncate";

        protected internal override IEnumerable<Step> Steps()
        {
            do
            {
                UnmapMappingOperation unmap = new(file, Name, first, count);
                yield return Step.Through(unmap);
                Result = unmap.Result;
                yield return Step.Wait($"{Name}: drop the pages", () => !file.IsLocked(first, count), ulong.MaxValue, ulong.MaxValue);
            }
            while (Result == Errno.None && file.IsMapped(first, count));

            if (Result == Errno.None)
            {
                file.Drop(first, count);
                file.Size = newSize ?? file.Size;
            }
        }
    }
}
