namespace Quadwalk.Mmu;

/// <summary>The PAT memory type of an access, and where it comes from.</summary>
/// <param name="Type">The type.</param>
/// <param name="Index">The entry of IA32_PAT, 0 to 7; 4 * PAT + 2 * PCD + PWT.</param>
/// <param name="Source">What selected it.</param>
public readonly record struct PatSelection(MemoryType Type, int Index, PatSource Source)
{
    /// <summary>PCD, as bit 1 of <see cref="Index"/>.</summary>
    public bool PCD => (Index & 2) != 0;

    /// <summary>PWT, as bit 0 of <see cref="Index"/>.</summary>
    public bool PWT => (Index & 1) != 0;
}
