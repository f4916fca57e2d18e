using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>An entry that references a table.</summary>
/// <param name="Level">The entry's level; the table is used for the level below.</param>
/// <param name="Address">Where the entry lies.</param>
/// <param name="Table">The table that holds the entry.</param>
/// <param name="Index">The entry's number in it.</param>
public readonly record struct TableReference(int Level, Gpa Address, Gpa Table, int Index);
