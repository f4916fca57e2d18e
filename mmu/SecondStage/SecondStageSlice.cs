using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The part of a range of guest-physical addresses, both ends included, that one entry of a table translates.</summary>
internal readonly struct SecondStageSlice(Hpa entry, ulong first, ulong last, bool isWhole)
{
    private const int IndexBits = 9;

    public Hpa Entry { get; } = entry;

    public ulong First { get; } = first;

    public ulong Last { get; } = last;

    /// <summary>The slice is all that the entry translates.</summary>
    public bool IsWhole { get; } = isWhole;

    public static int Shift(int level) => PageSize.Shift4K + (IndexBits * (level - 1));

    public static IEnumerable<SecondStageSlice> Over(Hpa table, int level, ulong first, ulong last)
    {
        ulong span = (1UL << Shift(level)) - 1;
        ulong from = first;
        while (true)
        {
            ulong to = Math.Min(from | span, last);
            ulong index = (from >> Shift(level)) & ((1UL << IndexBits) - 1);
            yield return new SecondStageSlice(table + (index * sizeof(ulong)), from, to, to - from == span);
            if (to == last)
            {
                yield break;
            }

            from = to + 1;
        }
    }
}
