namespace Quadwalk.GuestMemory;

/// <summary>A file in memory (memfd, shmem): pages that all who map it share, held by its page cache with one reference for each.</summary>
public class MemoryFile : VmBacking
{
    private readonly Dictionary<ulong, Pfn> pages = [];
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

    /// <summary>log2 of the frames of its folios.</summary>
    public int Order { get; }

    /// <summary>Its number among the owners of pages.</summary>
    public int Id { get; }

    /// <summary>The bit by which steps say that they read or change its page cache.</summary>
    public ulong CacheBit { get; }

    /// <summary>The ranges of addresses that show it.</summary>
    protected internal IReadOnlyList<VirtualMemoryArea> Areas => areas;

    /// <summary>The frame of a page if it is in the page cache.</summary>
    public Pfn? Cached(ulong page) =>
        pages.TryGetValue(page >> Order, out Pfn head) ? new Pfn(head.Value + (page & ((1UL << Order) - 1))) : null;

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
            if (Kernel.Frames.FolioOf(frame).Has(FrameFlags.HwPoison) || Kernel.Frames[frame].Has(FrameFlags.HwPoison))
            {
                return VmFault.HwPoison;
            }

            Kernel.Folios.Get(frame);
            return VmFault.Page;
        }

        if (Kernel.Allocator.Allocate(Order, FrameFlags.PageCache) is not Pfn head)
        {
            return VmFault.OutOfMemory;
        }

        ref PageFrame folio = ref Kernel.Frames[head];
        folio.Mapping = Id;
        folio.Index = page >> Order << Order;

        // The cache holds one reference for each page of the folio.
        folio.RefCount = 1 << Order;
        pages[page >> Order] = head;
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
    public HostOperation Punch(ulong first, ulong count) => new PunchOperation(this, first, count, newSize: null);

    /// <summary>ftruncate: as <see cref="Punch"/> from a page to the end, and the size follows.</summary>
    /// <param name="size">The new size in pages.</param>
    public HostOperation Truncate(ulong size) => new PunchOperation(this, size, Size > size ? Size - size : 0, size);

    /// <summary>Puts another frame in a page's place in the cache: what migration does. The references of the cache move along.</summary>
    internal void Move(Pfn from, Pfn to)
    {
        ref PageFrame old = ref Kernel.Frames[from];
        ref PageFrame copy = ref Kernel.Frames[to];
        (copy.Mapping, copy.Index) = (old.Mapping, old.Index);
        copy.Flags |= FrameFlags.PageCache | (old.Flags & (FrameFlags.Dirty | FrameFlags.Accessed));
        copy.RefCount += 1 << Order;
        pages[old.Index >> Order] = to;
        Kernel.Folios.Put(from, 1 << Order);
    }

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

    internal override void Opened(VirtualMemoryArea area) => areas.Add(area);

    internal override void Closed(VirtualMemoryArea area) => areas.Remove(area);

    /// <summary>Takes whole folios in a range out of the cache.</summary>
    internal void Drop(ulong first, ulong count)
    {
        for (ulong folio = (first + (1UL << Order) - 1) >> Order; folio < (first + count) >> Order; folio++)
        {
            if (pages.Remove(folio, out Pfn head))
            {
                Removing(head);
                Kernel.Folios.Put(head, 1 << Order);
            }
        }
    }

    private sealed class PunchOperation(MemoryFile file, ulong first, ulong count, ulong? newSize) : HostOperation<Errno>
    {
        public override string Name => newSize is null ? "fallocate(PUNCH_HOLE)" : "ftruncate";

        protected internal override IEnumerable<Step> Steps()
        {
            foreach (VirtualMemoryArea area in file.areas.ToArray())
            {
                ulong from = Math.Max(first, area.Offset);
                ulong pagesOfArea = (area.End.Value - area.Start.Value) >> PageSize.Shift4K;
                ulong to = Math.Min(first + count, area.Offset + pagesOfArea);
                if (from >= to)
                {
                    continue;
                }

                Hva start = area.Start + ((from - area.Offset) << PageSize.Shift4K);
                Hva end = area.Start + ((to - area.Offset) << PageSize.Shift4K);
                AddressSpace mm = area.Owner;
                NotifierRange range = new(start, end, NotifierEvent.Clear);
                foreach (Step step in mm.NotifyStart(range))
                {
                    yield return step;
                }

                yield return Step.Do($"{Name}: zap the entries", mm.TableBit, mm.TableBit);
                List<HostPte> zapped = [];
                if (!mm.TryZap(start, end, zapped))
                {
                    Result = Errno.ENOMEM;
                }

                mm.Flushes++;
                mm.Release(zapped);
                foreach (Step step in mm.NotifyEnd(range))
                {
                    yield return step;
                }
            }

            yield return Step.Do($"{Name}: drop the pages", file.CacheBit, file.CacheBit);
            if (Result == Errno.None)
            {
                file.Drop(first, count);
                file.Size = newSize ?? file.Size;
            }
        }
    }
}
