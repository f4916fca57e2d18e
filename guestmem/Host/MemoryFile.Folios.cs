namespace Quadwalk.GuestMemory;

/// <content>Large folios that nobody maps, taken apart and put together again.</content>
public partial class MemoryFile
{
    /// <summary>
    /// split_folio: makes of a large folio pages with a reference of the cache's each. What is not in the cache, or split already, is fine.
    /// </summary>
    /// <param name="page">A page in it.</param>
    /// <returns>False where somebody but the cache refers to it, or maps it: nothing is changed then.</returns>
    internal bool TrySplitFolio(ulong page)
    {
        if (Cached(page) is not Pfn any || Kernel.Frames.FolioOf(any).Order == 0)
        {
            return true;
        }

        Pfn head = Kernel.Frames.HeadOf(any);
        PageFrame folio = Kernel.Frames[head];
        if (folio.RefCount != 1 << Order || folio.MapCount != 0 || folio.PinCount != 0)
        {
            return false;
        }

        for (ulong i = 0; i < 1UL << Order; i++)
        {
            Pfn frame = new(head.Value + i);
            FrameFlags lost = Kernel.Frames[frame].Flags & FrameFlags.HwPoison;
            Kernel.Frames[frame] = new PageFrame
            {
                RefCount = 1,
                Flags = (folio.Flags & ~(FrameFlags.Head | FrameFlags.HwPoison)) | lost,
                Mapping = folio.Mapping,
                Index = folio.Index + i,
            };
        }

        return true;
    }

    /// <summary>
    /// Makes one folio again of pages that <see cref="TrySplitFolio"/> has made; nothing happens where one is missing, is another frame by
    /// now, is lost, or is referred to or marked unlike the others.
    /// </summary>
    /// <param name="page">A page of it.</param>
    internal void MergeFolio(ulong page)
    {
        ulong first = page >> Order << Order;
        if (Order == 0 || !pages.TryGetValue(first, out Pfn head) || Kernel.Frames.FolioOf(head).Order != 0 || (head.Value & ((1UL << Order) - 1)) != 0)
        {
            return;
        }

        FrameFlags kind = Kernel.Frames[head].Flags & (FrameFlags.Private | FrameFlags.HwPoison);
        FrameFlags marks = FrameFlags.None;
        for (ulong i = 0; i < 1UL << Order; i++)
        {
            if (!pages.TryGetValue(first + i, out Pfn frame) || frame.Value != head.Value + i)
            {
                return;
            }

            PageFrame one = Kernel.Frames[frame];
            bool idle = one.RefCount == 1 && one.MapCount == 0 && one.PinCount == 0 && !one.Has(FrameFlags.HwPoison);
            if (!idle || (one.Flags & (FrameFlags.Private | FrameFlags.HwPoison)) != kind)
            {
                return;
            }

            marks |= one.Flags;
        }

        for (ulong i = 0; i < 1UL << Order; i++)
        {
            Kernel.Frames[new Pfn(head.Value + i)] = i == 0
                ? new PageFrame { RefCount = 1 << Order, Flags = marks | FrameFlags.Head, Order = Order, Mapping = Id, Index = first }
                : new PageFrame { Flags = FrameFlags.Tail, Index = head.Value };
        }
    }
}
