namespace Quadwalk.Mmu;

/// <summary>
/// Folds the entries below a table into one value, each subtree once: what was found is kept by the table's address, its level and the
/// rights inherited from above, so that shared and recursive tables cost no more than others.
/// </summary>
/// <typeparam name="T">The value.</typeparam>
internal abstract class SubtreeFold<T>(TableDecoder decoder, int mostTables)
    where T : struct
{
    private readonly Dictionary<ulong, T> known = [];

    /// <summary>Whether tables were passed over because there were more than allowed.</summary>
    public bool IsIncomplete { get; private set; }

    protected TableDecoder Decoder { get; } = decoder;

    /// <summary>The value of a whole subtree.</summary>
    public T Of(ulong table, int level, PageRights rights)
    {
        ulong key = KeyOf(table, level, rights);
        if (known.TryGetValue(key, out T value))
        {
            return value;
        }

        if (known.Count >= mostTables)
        {
            IsIncomplete = true;
            return Unknown;
        }

        // The key is taken first, so that the count includes the tables that are being looked at.
        known[key] = Unknown;
        value = Fold(table, level, rights, 0, (1 << Decoder.EntryBits(level)) - 1, whole: true, 0, default);
        known[key] = value;
        return value;
    }

    /// <summary>The value of the part of a subtree that lies in a window; the window meets the subtree.</summary>
    /// <param name="table">The subtree's table.</param>
    /// <param name="level">Its level.</param>
    /// <param name="rights">What it inherits.</param>
    /// <param name="start">The first position below it.</param>
    /// <param name="window">The window.</param>
    public T Of(ulong table, int level, PageRights rights, ulong start, PositionRange window)
    {
        int shift = Decoder.Shift(level);
        ulong last = start + ((1UL << shift << Decoder.EntryBits(level)) - 1);
        if (window.First <= start && window.Last >= last)
        {
            return Of(table, level, rights);
        }

        (int from, int to) = window.IndexesIn(start, shift, Decoder.EntryBits(level));
        return Fold(table, level, rights, from, to, whole: false, start, window);
    }

    /// <summary>The value of an entry that leads to no table.</summary>
    public abstract T Leaf(in DecodedEntry entry, int level, PageRights rights);

    /// <summary>The value of two neighbours.</summary>
    protected abstract T Join(in T low, in T high);

    /// <summary>The value of a table that was passed over.</summary>
    protected abstract T Unknown { get; }

    /// <summary>What a subtree's value depends on.</summary>
    protected abstract PageRights Relevant(PageRights rights);

    private ulong KeyOf(ulong table, int level, PageRights rights) => table | ((ulong)level << 3) | (ulong)Relevant(rights);

    private T Fold(ulong table, int level, PageRights rights, int from, int to, bool whole, ulong start, PositionRange window)
    {
        T all = default;
        for (int index = from; index <= to; index++)
        {
            DecodedEntry entry = Decoder.Read(table, level, index);
            PageRights below = entry.Entry.P ? Decoder.Narrow(rights, entry.Entry, level) : rights;
            T one = entry.Kind != TableEntryKind.Table ? Leaf(entry, level, below)
                : whole ? Of(entry.Target, level - 1, below)
                : Of(entry.Target, level - 1, below, start + ((ulong)index << Decoder.Shift(level)), window);
            all = index == from ? one : Join(all, one);
        }

        return all;
    }
}
