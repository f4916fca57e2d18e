namespace Quadwalk.GuestMemory;

/// <content>Ranges that are taken out of use and come back: memory hotplug (<c>mm/page_isolation.c</c>).</content>
public sealed partial class PageAllocator
{
    private ulong isolatedFirst;
    private ulong isolatedCount;

    /// <summary>Frames that are offline: taken out one by one, or with their range.</summary>
    public ulong OfflineFrames { get; private set; }

    /// <summary>start_isolate_page_range: what is free in a range, or gets free from now on, is kept from allocations. One range at a time.</summary>
    /// <returns>False if there is a range already.</returns>
    internal bool TryIsolate(Pfn first, ulong count)
    {
        if (isolatedCount != 0)
        {
            return false;
        }

        (isolatedFirst, isolatedCount) = (first.Value, count);
        for (ulong pfn = first.Value; pfn < first.Value + count; pfn++)
        {
            if (TryTakeFree(new Pfn(pfn)))
            {
                frames[new Pfn(pfn)] = new PageFrame { Flags = FrameFlags.Isolated };
            }
        }

        return true;
    }

    /// <summary>undo_isolate_page_range: what is free in the range may be had again.</summary>
    internal void EndIsolation()
    {
        (ulong first, ulong count) = (isolatedFirst, isolatedCount);
        isolatedCount = 0;
        for (ulong pfn = first; pfn < first + count; pfn++)
        {
            if (frames[new Pfn(pfn)].Has(FrameFlags.Isolated))
            {
                frames[new Pfn(pfn)] = default;
                FreeBlock(new Pfn(pfn), 0);
            }
        }
    }

    /// <summary>Takes the isolated range, all of it free, out of use.</summary>
    internal void FinishOffline()
    {
        for (ulong pfn = isolatedFirst; pfn < isolatedFirst + isolatedCount; pfn++)
        {
            ref PageFrame frame = ref frames[new Pfn(pfn)];
            if (frame.Has(FrameFlags.Isolated))
            {
                frame.Flags = FrameFlags.Offline;
                OfflineFrames++;
            }
        }

        isolatedCount = 0;
    }

    /// <summary>online_pages: gives frames back that were offline and are not broken.</summary>
    /// <returns>How many.</returns>
    internal ulong Online(Pfn first, ulong count)
    {
        ulong returned = 0;
        for (ulong pfn = first.Value; pfn < first.Value + count; pfn++)
        {
            ref PageFrame frame = ref frames[new Pfn(pfn)];
            if (frame.Has(FrameFlags.Offline) && !frame.Has(FrameFlags.HwPoison))
            {
                frame = default;
                FreeBlock(new Pfn(pfn), 0);
                OfflineFrames--;
                returned++;
            }
        }

        return returned;
    }

    // Takes one free frame out of the block that it lies in.
    private bool TryTakeFree(Pfn pfn)
    {
        for (int order = 0; order <= MaxOrder; order++)
        {
            Pfn head = new(pfn.Value & ~((1UL << order) - 1));
            if (!frames[head].Has(FrameFlags.Buddy) || frames[head].Order != order)
            {
                continue;
            }

            Unlink(head, order);
            frames[head] = default;
            FreeFrames -= 1UL << order;
            while (order > 0)
            {
                order--;
                Pfn half = new(pfn.Value & ~((1UL << order) - 1));
                Pfn other = new(half.Value ^ (1UL << order));
                Link(other, order);
                FreeFrames += 1UL << order;
            }

            return true;
        }

        return false;
    }

    // Frees a block of which a part may be isolated frame by frame; false if none is.
    private bool TryKeepIsolated(Pfn head, int order)
    {
        ulong end = head.Value + (1UL << order);
        if (end <= isolatedFirst || head.Value >= isolatedFirst + isolatedCount)
        {
            return false;
        }

        for (ulong pfn = head.Value; pfn < end; pfn++)
        {
            if (pfn >= isolatedFirst && pfn - isolatedFirst < isolatedCount)
            {
                frames[new Pfn(pfn)] = new PageFrame { Flags = FrameFlags.Isolated };
            }
            else
            {
                FreeBlock(new Pfn(pfn), 0);
            }
        }

        return true;
    }
}
