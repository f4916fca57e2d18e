using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// Turns segments into pages. A page that segments share allows what either of them does: linker scripts without alignment
/// make such pages, and no single right would serve both.
/// </summary>
internal static class SegmentPages
{
    /// <summary>Adds the pages of sorted segments to what is planned already.</summary>
    /// <exception cref="ImageFormatException">A segment lies where this ring cannot have it, or where the protocol puts something else.</exception>
    public static void Add(List<BootRange> ranges, IReadOnlyList<ImageSegment> segments, int ring)
    {
        int planned = ranges.Count;
        foreach (ImageSegment segment in segments)
        {
            Check(segment, ring);
            ulong first = segment.Address.Value & ~PageSize.Mask4K;
            ulong end = segment.Last.Value | PageSize.Mask4K;
            PageRights rights = RightsOf(segment.Rights, ring);
            if (ranges.Count > planned && first <= ranges[^1].Last.Value)
            {
                BootRange lower = ranges[^1];
                ranges.RemoveAt(ranges.Count - 1);
                AddPages(ranges, lower.Gva.Value, first - 1, lower.Rights);
                AddPages(ranges, first, first + PageSize.Mask4K, Either(lower.Rights, rights));
                first += PageSize.Size4K;
            }

            AddPages(ranges, first, end, rights);
        }
    }

    private static void AddPages(List<BootRange> ranges, ulong first, ulong last, PageRights rights)
    {
        ulong length = last - first + 1;
        if (length != 0)
        {
            ranges.Add(new BootRange("image", new Gva(first), length, rights));
        }
    }

    private static PageRights Either(PageRights a, PageRights b) =>
        ((a | b) & ~PageRights.NoExecute) | (a & b & PageRights.NoExecute);

    private static PageRights RightsOf(SegmentRights rights, int ring) =>
        ((rights & SegmentRights.Write) != 0 ? PageRights.Write : 0)
        | ((rights & SegmentRights.Execute) == 0 ? PageRights.NoExecute : 0)
        | (ring == 3 ? PageRights.User : 0);

    private static void Check(ImageSegment segment, int ring)
    {
        if (ring == 3)
        {
            if (segment.Last.Value >= BootAddresses.UserEnd)
            {
                throw new ImageFormatException(
                    $"the segment at {segment.Address} lies in the upper half, which ring 3 does not have: link it below 0x{BootAddresses.UserEnd:x} or boot it in ring 0");
            }

            Gva guard = new(BootAddresses.UserStackTop.Value - BootAddresses.StackBytes - PageSize.Size4K);
            Refuse(segment, guard, new Gva(BootAddresses.UserEnd - 1), "the stack");
            return;
        }

        Refuse(segment, BootAddresses.DirectMap, BootAddresses.DirectMap + (BootAddresses.DirectMapRoom - 1), "the direct map");
        Refuse(segment, BootAddresses.Supervisor, BootAddresses.SupervisorLast, "the stack and descriptor tables");
    }

    private static void Refuse(ImageSegment segment, Gva first, Gva last, string what)
    {
        if ((segment.Address.Value & ~PageSize.Mask4K) <= last.Value && (segment.Last.Value | PageSize.Mask4K) >= first.Value)
        {
            throw new ImageFormatException(
                $"the segment at {segment.Address} (ending at {segment.Last}) overlaps {what} at {first} to {last}: link it at another address");
        }
    }
}
