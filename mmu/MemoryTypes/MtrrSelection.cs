namespace Quadwalk.Mmu;

/// <summary>The memory type that the MTRRs give an address, and which of them decided.</summary>
/// <param name="Type">The type.</param>
/// <param name="Source">What decided.</param>
/// <param name="Matching">
/// For variable ranges, bit n is 1 where range n matches; for a fixed range, the number of its register, 0 (FIX64K_00000) to 10 (FIX4K_F8000);
/// 0 otherwise.
/// </param>
public readonly record struct MtrrSelection(MemoryType Type, MtrrSource Source, int Matching = 0);
