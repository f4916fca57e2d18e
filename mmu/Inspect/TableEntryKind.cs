namespace Quadwalk.Mmu;

/// <summary>What translation does with an entry of a paging structure.</summary>
public enum TableEntryKind : byte
{
    /// <summary>P is 0.</summary>
    NotPresent,

    /// <summary>It references a table.</summary>
    Table,

    /// <summary>It maps a page.</summary>
    Page,

    /// <summary>It is present, and a bit that must be 0 is 1.</summary>
    ReservedBits,

    /// <summary>No memory is there to read it from.</summary>
    Unreachable,
}
