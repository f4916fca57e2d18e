using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>One level of a recorded walk.</summary>
/// <param name="Level">5 (PML5E) to 1 (PTE).</param>
/// <param name="Address">Where the entry lies.</param>
/// <param name="Before">The entry as the walk read it.</param>
/// <param name="After">The entry when the walk ended: <see cref="Before"/>, or with A and D flags set by the walk.</param>
/// <param name="Rights">U/S, R/W and NX combined over this level and those above; no other flags.</param>
public readonly record struct WalkStep(int Level, Gpa Address, PageTableEntry Before, PageTableEntry After, PageRights Rights);
