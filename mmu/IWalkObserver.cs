using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Sees every entry a walk reads and changes. Implemented by structs; a disabled one costs nothing.</summary>
public interface IWalkObserver
{
    /// <summary>Whether the walker calls this observer at all; a constant of the type.</summary>
    static abstract bool Enabled { get; }

    /// <summary>
    /// An entry was read. A level not below the previous one means that the walk has started again. A PDPTE of PAE paging comes from its
    /// register, and its address is where that was loaded from.
    /// </summary>
    /// <param name="level">5 (PML5E) to 1 (PTE).</param>
    /// <param name="entry">Where the entry lies.</param>
    /// <param name="value">What it held.</param>
    void OnEntry(int level, Gpa entry, PageTableEntry value);

    /// <summary>An accessed or dirty flag was set.</summary>
    /// <param name="level">5 (PML5E) to 1 (PTE).</param>
    /// <param name="entry">Where the entry lies.</param>
    /// <param name="before">What it held.</param>
    /// <param name="after">What it holds now.</param>
    void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after);
}
