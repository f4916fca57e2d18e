using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>An entry of a paging structure, and what translation does with it.</summary>
/// <param name="Kind">What that is.</param>
/// <param name="Address">Where the entry lies.</param>
/// <param name="Entry">What it holds; 0 when it is unreachable.</param>
/// <param name="Target">The physical address of the table or page; 0 for other kinds.</param>
internal readonly record struct DecodedEntry(TableEntryKind Kind, Gpa Address, PageTableEntry Entry, ulong Target);
