using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The observer of a second-stage or two-dimensional walk that nobody watches.</summary>
public readonly struct NoNestedWalkObserver : INestedWalkObserver
{
    /// <inheritdoc/>
    public static bool Enabled => false;

    /// <inheritdoc/>
    public void OnSecondStageEntry(int level, Hpa entry, ulong value)
    {
    }

    /// <inheritdoc/>
    public void OnSecondStageUpdate(int level, Hpa entry, ulong before, ulong after)
    {
    }

    /// <inheritdoc/>
    public void OnTranslate(Gpa gpa, SecondStagePurpose purpose)
    {
    }

    /// <inheritdoc/>
    public void OnGuestEntry(int level, Gpa entry, PageTableEntry value)
    {
    }

    /// <inheritdoc/>
    public void OnGuestUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after)
    {
    }

    /// <inheritdoc/>
    public void OnEnd(in NestedWalkResult result)
    {
    }
}
