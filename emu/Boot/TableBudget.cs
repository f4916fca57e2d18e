using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Counts the page tables that a set of mappings takes, before there is memory to put them in.</summary>
internal static class TableBudget
{
    private const int EntryBits = 9;
    private const int TopLevel = 4;

    /// <summary>The number of 4 KiB frames for the tables of <paramref name="ranges"/>, which are sorted by address and do not overlap.</summary>
    public static ulong Frames(IReadOnlyList<BootRange> ranges)
    {
        ulong frames = 1;
        for (int level = 1; level < TopLevel; level++)
        {
            frames += TablesAt(ranges, level);
        }

        return frames;
    }

    private static ulong TablesAt(IReadOnlyList<BootRange> ranges, int level)
    {
        int shift = PageSize.Shift4K + EntryBits * level;
        ulong tables = 0;
        ulong? counted = null;
        foreach (BootRange range in ranges)
        {
            ulong from = range.Gva.Value;
            if (level == 1 && range.LargestPageShift == PageSize.Shift2M)
            {
                from = (range.Last.Value + 1) & ~(PageSize.Size2M - 1);
                if (from == range.Last.Value + 1)
                {
                    continue;
                }
            }

            ulong first = from >> shift;
            ulong last = range.Last.Value >> shift;
            first = counted >= first ? counted.Value + 1 : first;
            tables += last + 1 - first;
            counted = last;
        }

        return tables;
    }
}
