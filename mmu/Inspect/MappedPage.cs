using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>A page and the entry that maps it.</summary>
/// <param name="Gva">Where it is mapped.</param>
/// <param name="Gpa">What is mapped there.</param>
/// <param name="PageShift">log2 of its size: 12, 21, 22 or 30.</param>
/// <param name="Level">The level of the entry: 1 to 3.</param>
/// <param name="EntryAddress">Where the entry lies.</param>
/// <param name="Entry">The entry.</param>
/// <param name="Rights">U/S, R/W and NX combined over all levels; no other flags.</param>
public readonly record struct MappedPage(Gva Gva, Gpa Gpa, int PageShift, int Level, Gpa EntryAddress, PageTableEntry Entry, PageRights Rights);
