using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>An entry that a paging-structure cache holds.</summary>
/// <param name="Level">5 (PML5E) to 2 (PDE).</param>
/// <param name="First">The first linear address that it translates.</param>
/// <param name="Shift">log2 of how many bytes it translates.</param>
/// <param name="Pcid">The PCID under which it is used.</param>
/// <param name="Address">Where the entry lies.</param>
/// <param name="Entry">What it held when it was cached.</param>
/// <param name="Rights">U/S, R/W and NX, over this entry and those above it as they were.</param>
public readonly record struct CachedTableEntry(int Level, Gva First, int Shift, ushort Pcid, Gpa Address, PageTableEntry Entry, PageRights Rights);
