using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// What tells one paging mode's tables from another's; the walk itself is the same. Implemented by structs without fields, so that the
/// walker is specialised to each.
/// </summary>
internal interface IPagingFormat
{
    /// <summary>The level of the first entry that is read from memory.</summary>
    static abstract int TopLevel { get; }

    /// <summary>The level above <see cref="TopLevel"/> is in the PDPTE registers.</summary>
    static abstract bool HasPdpteRegisters { get; }

    /// <summary>The table that CR3 points to.</summary>
    static abstract ulong Root(in PagingState state);

    /// <summary>log2 of the bytes that an entry of a level translates.</summary>
    static abstract int Shift(int level);

    /// <summary>Where the entry for a linear address lies in its table.</summary>
    static abstract Gpa EntryAddress(ulong table, Gva gva, int level);

    /// <summary>Whether a present entry maps a page rather than references a table.</summary>
    static abstract bool MapsPage(PageTableEntry entry, int level, in PagingState state);

    /// <summary>The bits reserved in every entry.</summary>
    static abstract ulong ReservedEverywhere(in PagingState state);

    /// <summary>The bits reserved at a level beside those.</summary>
    static abstract ulong ReservedHere(int level, bool mapsPage, in PagingState state);

    /// <summary>The physical address of the page that an entry without reserved bits maps.</summary>
    static abstract ulong PageAddress(PageTableEntry entry, int level);

    /// <summary>Reads an entry, extended with zeros to 64 bits; false means that no memory is there.</summary>
    static abstract bool TryRead<TTables>(ref TTables tables, Gpa entry, out ulong raw)
        where TTables : struct, ITableMemory;

    /// <summary>As <see cref="ITableMemory.TryCompareExchange"/>.</summary>
    static abstract bool TryCompareExchange<TTables>(ref TTables tables, Gpa entry, ulong expected, ulong desired, out bool exchanged)
        where TTables : struct, ITableMemory;
}
