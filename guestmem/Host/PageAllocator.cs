namespace Quadwalk.GuestMemory;

/// <summary>
/// The host's page allocator: free blocks of 2^0 to 2^<see cref="MaxOrder"/> frames, halved on demand and joined with their buddies when
/// they are freed (<c>mm/page_alloc.c</c>).
/// </summary>
/// <remarks>
/// What it hands out is cleared, through the direct map, as Linux does it (<c>clear_highpage</c>): a frame that the direct map does not show
/// cannot be cleared, which is reported as the oops it would be. Frames never handed out are not looked at.
/// </remarks>
public sealed partial class PageAllocator
{
    /// <summary>The largest block: 2^18 frames, 1 GiB.</summary>
    public const int MaxOrder = 18;

    private const uint NoLink = uint.MaxValue;

    private readonly PageFrames frames;
    private readonly DirectMap directMap;
    private readonly KernelLog log;
    private readonly uint[] heads = new uint[2 * (MaxOrder + 1)];
    private readonly ulong firstMovable;

    internal PageAllocator(PageFrames frames, DirectMap directMap, KernelLog log, ulong first, ulong movable)
    {
        firstMovable = frames.Count - movable;
        this.frames = frames;
        this.directMap = directMap;
        this.log = log;
        Array.Fill(heads, NoLink);
        FreeFrames = frames.Count - first;
        for (ulong pfn = first; pfn < frames.Count;)
        {
            int order = MaxOrder;
            ulong end = pfn < firstMovable ? firstMovable : frames.Count;
            while ((pfn & ((1UL << order) - 1)) != 0 || pfn + (1UL << order) > end)
            {
                order--;
            }

            Link(new Pfn(pfn), order);
            pfn += 1UL << order;
        }
    }

    /// <summary>How many frames are free.</summary>
    public ulong FreeFrames { get; private set; }

    /// <summary>How many further allocations succeed before one fails, for trying out what happens then; null: all that memory allows.</summary>
    public int? FailAfter { get; set; }

    /// <summary>Whether a frame lies in movable memory: not for pins that are there to stay.</summary>
    public bool IsMovable(Pfn pfn) => pfn.Value >= firstMovable;

    /// <summary>
    /// Gives 2^<paramref name="order"/> frames, cleared, as a compound page with one reference; null when there is none.
    /// </summary>
    /// <param name="order">0 to <see cref="MaxOrder"/>.</param>
    /// <param name="flags">What the page is for.</param>
    public Pfn? Allocate(int order = 0, FrameFlags flags = FrameFlags.None)
    {
        if (TakeBlock(order, (flags & (FrameFlags.Anon | FrameFlags.PageCache)) != 0) is not Pfn head)
        {
            return null;
        }

        ref PageFrame first = ref frames[head];
        first = new PageFrame { RefCount = 1, Order = order, Flags = flags | (order > 0 ? FrameFlags.Head : 0) };
        for (ulong i = 1; i < 1UL << order; i++)
        {
            frames[new Pfn(head.Value + i)] = new PageFrame { Flags = FrameFlags.Tail, Index = head.Value };
        }

        Clear(head, order);
        return head;
    }

    /// <summary>
    /// Gives 2^<paramref name="order"/> frames, cleared, that are not a compound page: the first has one reference and the others none, as
    /// drivers get them that ask for no <c>__GFP_COMP</c>. Null when there are none.
    /// </summary>
    /// <param name="order">0 to <see cref="MaxOrder"/>.</param>
    public Pfn? AllocateNonCompound(int order)
    {
        if (TakeBlock(order, movable: false) is not Pfn head)
        {
            return null;
        }

        for (ulong i = 0; i < 1UL << order; i++)
        {
            frames[new Pfn(head.Value + i)] = new PageFrame { RefCount = i == 0 ? 1 : 0, Flags = FrameFlags.Driver };
        }

        Clear(head, order);
        return head;
    }

    /// <summary>Takes a block back. Whoever calls it has seen to it that nobody uses it; what shows otherwise is reported.</summary>
    /// <param name="head">Its first frame.</param>
    /// <param name="order">log2 of its frames.</param>
    public void Free(Pfn head, int order)
    {
        for (ulong i = 0; i < 1UL << order; i++)
        {
            Pfn pfn = new(head.Value + i);
            ref PageFrame frame = ref frames[pfn];
            if (frame.Has(FrameFlags.Buddy))
            {
                log.Report(KernelEventKind.DoubleFree, pfn, "a free frame is freed again");
                return;
            }

            if (frame.MapCount != 0 || frame.PinCount != 0)
            {
                log.Report(KernelEventKind.FreedInUse, pfn, $"freed with mapcount {frame.MapCount} and pincount {frame.PinCount}");
            }

            if (frame.Has(FrameFlags.HwPoison))
            {
                frame = new PageFrame { Flags = FrameFlags.HwPoison | FrameFlags.Offline };
                OfflineFrames++;
                continue;
            }

            frame = default;
        }

        if (HasOffline(head, order))
        {
            for (ulong i = 0; i < 1UL << order; i++)
            {
                Pfn pfn = new(head.Value + i);
                if (!frames[pfn].Has(FrameFlags.Offline))
                {
                    FreeBlock(pfn, 0);
                }
            }

            return;
        }

        FreeBlock(head, order);
    }

    /// <summary>Takes one free frame out of use for good, splitting the block that it lies in; false if it is not free.</summary>
    /// <param name="pfn">The frame.</param>
    /// <param name="reason">What it is marked with beside <see cref="FrameFlags.Offline"/>.</param>
    public bool TryTakeOffline(Pfn pfn, FrameFlags reason)
    {
        if (!frames[pfn].Has(FrameFlags.Isolated) && !TryTakeFree(pfn))
        {
            return false;
        }

        frames[pfn] = new PageFrame { Flags = FrameFlags.Offline | reason };
        OfflineFrames++;
        return true;
    }

    // Movable memory is for what can be moved, which goes there first.
    private Pfn? TakeBlock(int order, bool movable)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(order);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order, MaxOrder);
        if (FailAfter is int left)
        {
            if (left == 0)
            {
                return null;
            }

            FailAfter = left - 1;
        }

        Pfn? found = movable && firstMovable < frames.Count ? TakeFrom(firstMovable, order) : null;
        return found ?? TakeFrom(0, order);
    }

    private Pfn? TakeFrom(ulong zone, int order)
    {
        int found = order;
        while (found <= MaxOrder && heads[List(zone, found)] == NoLink)
        {
            found++;
        }

        if (found > MaxOrder)
        {
            return null;
        }

        Pfn head = new(heads[List(zone, found)]);
        Unlink(head, found);
        while (found > order)
        {
            found--;
            Link(new Pfn(head.Value + (1UL << found)), found);
        }

        FreeFrames -= 1UL << order;
        return head;
    }

    // The list of the free blocks of an order, in the zone that a frame lies in.
    private int List(ulong pfn, int order) => order + (pfn >= firstMovable ? MaxOrder + 1 : 0);

    private void FreeBlock(Pfn head, int order)
    {
        if (isolatedCount > 0 && TryKeepIsolated(head, order))
        {
            return;
        }

        FreeFrames += 1UL << order;
        while (order < MaxOrder)
        {
            Pfn buddy = new(head.Value ^ (1UL << order));
            if (!frames.IsValid(buddy) || IsMovable(buddy) != IsMovable(head) || !frames[buddy].Has(FrameFlags.Buddy) || frames[buddy].Order != order)
            {
                break;
            }

            Unlink(buddy, order);
            frames[buddy] = default;
            frames[head] = default;
            head = new Pfn(Math.Min(head.Value, buddy.Value));
            order++;
        }

        Link(head, order);
    }

    private bool HasOffline(Pfn head, int order)
    {
        for (ulong i = 0; i < 1UL << order; i++)
        {
            if (frames[new Pfn(head.Value + i)].Has(FrameFlags.Offline))
            {
                return true;
            }
        }

        return false;
    }

    private void Clear(Pfn head, int order)
    {
        for (ulong i = 0; i < 1UL << order; i++)
        {
            Pfn pfn = new(head.Value + i);
            if (directMap.TryAccess(pfn))
            {
                frames.Bytes(pfn).Clear();
            }
            else
            {
                log.Report(KernelEventKind.Oops, pfn, "clearing a new page: the direct map does not show it");
            }
        }
    }

    // The list of free blocks of an order: next in the low half of Index, previous in the high half.
    private void Link(Pfn head, int order)
    {
        uint next = heads[List(head.Value, order)];
        frames[head] = new PageFrame { Flags = FrameFlags.Buddy, Order = order, Index = Links(next, NoLink) };
        if (next != NoLink)
        {
            ref PageFrame second = ref frames[new Pfn(next)];
            second.Index = Links((uint)second.Index, (uint)head.Value);
        }

        heads[List(head.Value, order)] = (uint)head.Value;
    }

    private void Unlink(Pfn head, int order)
    {
        ulong links = frames[head].Index;
        uint next = (uint)links;
        uint previous = (uint)(links >> 32);
        if (next != NoLink)
        {
            ref PageFrame second = ref frames[new Pfn(next)];
            second.Index = Links((uint)second.Index, previous);
        }

        if (previous == NoLink)
        {
            heads[List(head.Value, order)] = next;
        }
        else
        {
            ref PageFrame before = ref frames[new Pfn(previous)];
            before.Index = Links(next, (uint)(before.Index >> 32));
        }
    }

    private static ulong Links(uint next, uint previous) => ((ulong)previous << 32) | next;
}
