namespace Quadwalk.Mmu;

/// <summary>The effective memory type of an access, and what it was made from.</summary>
/// <param name="Type">The type; never UC-.</param>
/// <param name="Cause">Which of the following decided.</param>
/// <param name="Pat">The type from the PAT; meaningless where <paramref name="Cause"/> names no PAT and no flags.</param>
/// <param name="Mtrr">The type from the MTRRs; meaningless with EPT.</param>
/// <param name="Ept">The type from the EPT entry, or the EPTP; meaningless without EPT.</param>
public readonly record struct MemoryTypeDecision(
    MemoryType Type, MemoryTypeCause Cause, PatSelection Pat = default, MtrrSelection Mtrr = default, MemoryType Ept = default);
