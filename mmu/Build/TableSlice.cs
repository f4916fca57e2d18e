using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The part of a range of linear addresses, both ends included, that one entry of a table translates.</summary>
internal readonly struct TableSlice(Gpa entry, ulong first, ulong last, bool isWhole)
{
    public Gpa Entry { get; } = entry;

    public ulong First { get; } = first;

    public ulong Last { get; } = last;

    /// <summary>The slice is all that the entry translates.</summary>
    public bool IsWhole { get; } = isWhole;

    public static IEnumerable<TableSlice> Over(TableGeometry geometry, Gpa table, int level, ulong first, ulong last)
    {
        ulong span = (1UL << geometry.Shift(level)) - 1;
        ulong from = first;
        while (true)
        {
            ulong to = Math.Min(from | span, last);
            yield return new TableSlice(geometry.EntryAddress(table, from, level), from, to, to - from == span);
            if (to == last)
            {
                yield break;
            }

            from = to + 1;
        }
    }
}
