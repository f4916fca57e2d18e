namespace Quadwalk.GuestMemory;

/// <summary>Why a process's page tables change (<c>enum mmu_notifier_event</c>).</summary>
public enum NotifierEvent
{
    /// <summary>MMU_NOTIFY_UNMAP: munmap.</summary>
    Unmap,

    /// <summary>MMU_NOTIFY_CLEAR: an entry is cleared or its frame changes.</summary>
    Clear,

    /// <summary>MMU_NOTIFY_PROTECTION_VMA: rights of a range change.</summary>
    Protection,

    /// <summary>MMU_NOTIFY_MIGRATE: a page moves.</summary>
    Migrate,

    /// <summary>MMU_NOTIFY_RELEASE: the process ends.</summary>
    Release,
}

/// <summary>A change of a process's page tables (<c>struct mmu_notifier_range</c>).</summary>
/// <param name="Start">The first address.</param>
/// <param name="End">The first address after it.</param>
/// <param name="Event">Why.</param>
public readonly record struct NotifierRange(Hva Start, Hva End, NotifierEvent Event);

/// <summary>
/// Somebody who keeps translations made from a process's page tables, and is told of their changes (<c>struct mmu_notifier_ops</c>).
/// </summary>
public abstract class MmuNotifier
{
    /// <summary>
    /// Before entries of a range change: from the end of this operation to the end of <see cref="InvalidateEnd"/> no translation of the range
    /// may be kept or made.
    /// </summary>
    public abstract HostOperation InvalidateStart(NotifierRange range);

    /// <summary>After they have changed.</summary>
    public abstract HostOperation InvalidateEnd(NotifierRange range);

    /// <summary>Whether a range was used since this was last asked; forgets it.</summary>
    public abstract bool ClearYoung(Hva start, Hva end);

    /// <summary>Whether a range was used.</summary>
    public abstract bool TestYoung(Hva start, Hva end);
}
