using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Keeps the entries of a walk, and tells another observer of those that were read from memory.</summary>
internal struct PathObserver<TInner>(TInner inner, int cachedDownTo = TlbStatistics.WalkLevels) : IWalkObserver
    where TInner : struct, IWalkObserver
{
    /// <summary>The entries, with the flags that the walk set.</summary>
    public TablePath Path;

    /// <summary>The last entry as it was read.</summary>
    public PageTableEntry LastRead;

    /// <summary>The other observer.</summary>
    public TInner Inner = inner;

    /// <inheritdoc/>
    public static bool Enabled => true;

    /// <inheritdoc/>
    public void OnEntry(int level, Gpa entry, PageTableEntry value)
    {
        Path.Add(level, entry, value);
        LastRead = value;
        if (TInner.Enabled && level < cachedDownTo)
        {
            Inner.OnEntry(level, entry, value);
        }
    }

    /// <inheritdoc/>
    public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after)
    {
        Path.Update(level, entry, after);
        if (TInner.Enabled)
        {
            Inner.OnUpdate(level, entry, before, after);
        }
    }
}
