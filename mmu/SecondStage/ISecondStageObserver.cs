using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Sees every entry a second-stage walk reads and changes. Implemented by structs that are copied: what they record lies behind a reference.</summary>
public interface ISecondStageObserver
{
    /// <summary>Whether the walker calls this observer at all; a constant of the type.</summary>
    static abstract bool Enabled { get; }

    /// <summary>An entry was read.</summary>
    /// <param name="level">5 (PML5E) to 1 (PTE).</param>
    /// <param name="entry">Where the entry lies.</param>
    /// <param name="value">What it held.</param>
    void OnSecondStageEntry(int level, Hpa entry, ulong value);

    /// <summary>A flag was set.</summary>
    /// <param name="level">5 (PML5E) to 1 (PTE).</param>
    /// <param name="entry">Where the entry lies.</param>
    /// <param name="before">What it held.</param>
    /// <param name="after">What it holds now.</param>
    void OnSecondStageUpdate(int level, Hpa entry, ulong before, ulong after);
}
