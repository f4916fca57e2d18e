using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The observer of a walk that nobody watches.</summary>
public readonly struct NoWalkObserver : IWalkObserver
{
    /// <inheritdoc/>
    public static bool Enabled => false;

    /// <inheritdoc/>
    public void OnEntry(int level, Gpa entry, PageTableEntry value)
    {
    }

    /// <inheritdoc/>
    public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after)
    {
    }
}
