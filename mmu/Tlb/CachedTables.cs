using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// Tables whose upper entries come from a paging-structure cache: the walker reads one entry a level from the top down, so its first reads are
/// answered from the path that was cached. A cached entry has its A flag set, so a walk never writes one.
/// </summary>
internal struct CachedTables<TInner> : ITableMemory
    where TInner : struct, ITableMemory
{
    private const ulong WordMask = sizeof(ulong) - 1;

    private readonly TablePath path;
    private readonly int topLevel;
    private readonly int cachedDownTo;
    private int level;

    /// <summary>Puts cached entries before tables.</summary>
    /// <param name="inner">The tables.</param>
    /// <param name="path">The entries.</param>
    /// <param name="topLevel">The level that a walk reads first.</param>
    /// <param name="cachedDownTo">The lowest level that comes from the cache; above <paramref name="topLevel"/> where none does.</param>
    public CachedTables(TInner inner, in TablePath path, int topLevel, int cachedDownTo)
    {
        (Inner, this.path, this.topLevel, this.cachedDownTo, level) = (inner, path, topLevel, cachedDownTo, topLevel);
    }

    /// <summary>The tables.</summary>
    public TInner Inner;

    /// <summary>Entries read from memory.</summary>
    public int EntriesRead { get; private set; }

    /// <inheritdoc/>
    public bool TryRead(Gpa entry, out ulong value)
    {
        if (level >= cachedDownTo)
        {
            WalkStepEntry cached = path[level--];
            value = cached.Entry.Raw << (int)((cached.Address.Value & WordMask) * 8);
            return true;
        }

        EntriesRead++;
        return Inner.TryRead(entry, out value);
    }

    /// <inheritdoc/>
    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        bool found = Inner.TryCompareExchange(entry, expected, desired, out exchanged);
        level = exchanged ? level : topLevel;
        return found;
    }
}
