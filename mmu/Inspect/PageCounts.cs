namespace Quadwalk.Mmu;

/// <summary>How many pages are mapped, by the level of the entry that maps them.</summary>
/// <param name="Small">Pages of 4 KiB.</param>
/// <param name="Large">Pages of 2 MiB, or with 32-bit paging of 4 MiB.</param>
/// <param name="Huge">Pages of 1 GiB.</param>
public readonly record struct PageCounts(ulong Small, ulong Large, ulong Huge)
{
    /// <summary>All of them.</summary>
    public ulong Total => Small + Large + Huge;

    /// <summary>Adds two counts.</summary>
    public static PageCounts operator +(PageCounts left, PageCounts right) => left.Add(right);

    /// <summary>Adds another count.</summary>
    public PageCounts Add(PageCounts other) => new(Small + other.Small, Large + other.Large, Huge + other.Huge);

    /// <summary>One page, mapped at a level.</summary>
    internal static PageCounts One(int level) => level switch
    {
        1 => new(1, 0, 0),
        2 => new(0, 1, 0),
        _ => new(0, 0, 1),
    };
}
