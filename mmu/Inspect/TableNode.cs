using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>A table of an address space, shown once however often it is referenced.</summary>
public sealed class TableNode
{
    internal TableNode(Gpa address, int level, Gva first, int shift)
    {
        Address = address;
        Level = level;
        First = first;
        EntryShift = shift;
    }

    /// <summary>Where it lies.</summary>
    public Gpa Address { get; }

    /// <summary>The level of its entries: the highest that it is used for.</summary>
    public int Level { get; }

    /// <summary>The first linear address that it translates, on the way it was first met.</summary>
    public Gva First { get; }

    /// <summary>log2 of the bytes that one of its entries translates.</summary>
    public int EntryShift { get; }

    /// <summary>Its entries, neighbours that are alike in one; empty unless <see cref="IsShown"/>.</summary>
    public IReadOnlyList<TableEntryRun> Runs { get; internal set; } = [];

    /// <summary>Whether its entries are in <see cref="Runs"/>, or were left out for being too many tables.</summary>
    public bool IsShown { get; internal set; }

    /// <summary>How many runs were left out at the end of <see cref="Runs"/>.</summary>
    public int RunsLeftOut { get; internal set; }

    /// <summary>The first entries found that reference it, at most <see cref="TableGraph.MostReferences"/>; none references the root.</summary>
    public IReadOnlyList<TableReference> SeenFrom => References;

    /// <summary>How many entries reference it.</summary>
    public int ReferenceCount { get; internal set; }

    /// <summary>Whether it is used for a lower level as well: it references itself, through other tables or at once, or is met in two places.</summary>
    public bool IsUsedForSeveralLevels { get; internal set; }

    internal List<TableReference> References { get; } = [];
}
