using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>A page walk shortly before two engines differed.</summary>
/// <param name="Gva">The address.</param>
/// <param name="Access">What it was made for.</param>
/// <param name="Result">How it ended.</param>
/// <param name="Entries">The entries it read, from the highest level down: where each lies, and its value.</param>
public sealed record ComparedWalk(Gva Gva, WalkAccess Access, WalkResult Result, IReadOnlyList<(int Level, Gpa Entry, PageTableEntry Value)> Entries);
