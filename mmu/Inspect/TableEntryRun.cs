using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Neighbouring entries of one table that are alike: the same flags, and targets that are the same or follow one another. Entries that are not present are alike, but for 0.</summary>
/// <param name="FirstIndex">The first entry's number in its table.</param>
/// <param name="LastIndex">The last entry's number.</param>
/// <param name="Kind">What translation does with each of them.</param>
/// <param name="Address">Where the first lies.</param>
/// <param name="First">What the first holds.</param>
/// <param name="Last">What the last holds.</param>
/// <param name="Target">The table or page of the first; 0 for other kinds.</param>
/// <param name="TargetStep">How far the targets lie apart: 0, or the size of a page.</param>
/// <param name="Rights">U/S, R/W and NX combined over the entry and those above it, on the way the table was first met.</param>
public readonly record struct TableEntryRun(
    int FirstIndex,
    int LastIndex,
    TableEntryKind Kind,
    Gpa Address,
    PageTableEntry First,
    PageTableEntry Last,
    Gpa Target,
    ulong TargetStep,
    PageRights Rights)
{
    /// <summary>How many entries there are.</summary>
    public int Count => LastIndex - FirstIndex + 1;
}
