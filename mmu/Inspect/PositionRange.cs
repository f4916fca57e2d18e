namespace Quadwalk.Mmu;

/// <summary>A range of positions (see <see cref="TableDecoder"/>), both ends included.</summary>
internal readonly record struct PositionRange(ulong First, ulong Last)
{
    /// <summary>The entries of a table that translate part of the range, which meets the table.</summary>
    /// <param name="start">The first position that the table translates.</param>
    /// <param name="shift">log2 of the positions of one entry.</param>
    /// <param name="entryBits">log2 of the number of its entries.</param>
    public (int From, int To) IndexesIn(ulong start, int shift, int entryBits)
    {
        ulong count = 1UL << entryBits;
        ulong from = First <= start ? 0 : (First - start) >> shift;
        ulong to = Math.Min((Last - start) >> shift, count - 1);
        return ((int)from, (int)to);
    }
}
