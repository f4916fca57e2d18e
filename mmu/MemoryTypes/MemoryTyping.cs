using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The state that memory types depend on, and the type of each kind of access: to a page, and to the entries of a walk (SDM Vol. 3A, sections
/// 5.9 and 13.5.2).
/// </summary>
/// <param name="CacheDisabled">CR0.CD. (NW without CD cannot be, and with CD it changes no type.)</param>
/// <param name="Pat">IA32_PAT; null on a processor without it, where entries have only PCD and PWT.</param>
/// <param name="Ranges">The MTRRs.</param>
public sealed record MemoryTyping(bool CacheDisabled, PageAttributeTable? Pat, MemoryTypeRanges Ranges)
{
    private PageAttributeTable Table => Pat ?? new PageAttributeTable(PageAttributeTable.ResetValue);

    /// <summary>The PAT memory type of the page that a walk has found.</summary>
    /// <param name="walk">A walk that succeeded.</param>
    public PatSelection SelectionOf(in WalkResult walk)
    {
        if (walk.Level == 0)
        {
            return PageAttributeTable.WithoutPaging();
        }

        // Without the PAT its flag selects nothing.
        ulong ignored = Pat is null ? PageTableEntry.Pat4KBit | PageTableEntry.PatLargeBit : 0;
        return Table.ForPage(new PageTableEntry(walk.Entry.Raw & ~ignored), walk.PageShift);
    }

    /// <summary>The type of an access to the page that a walk has found.</summary>
    /// <param name="walk">A walk that succeeded.</param>
    public MemoryTypeDecision OfPage(in WalkResult walk) => Of(SelectionOf(walk), walk.Gpa);

    /// <summary>The type of an access to an entry of the table that CR3 points to.</summary>
    /// <param name="state">The state of the walk.</param>
    /// <param name="entry">Where the entry lies.</param>
    public MemoryTypeDecision OfRootEntry(in PagingState state, Gpa entry) => Of(Table.ForRoot(state), entry);

    /// <summary>The type of an access to an entry of another table.</summary>
    /// <param name="above">The entry, or PDPTE register, that references the table.</param>
    /// <param name="entry">Where the entry lies.</param>
    public MemoryTypeDecision OfTableEntry(PageTableEntry above, Gpa entry) => Of(Table.ForTable(above), entry);

    private MemoryTypeDecision Of(PatSelection selection, Gpa address)
    {
        MtrrSelection mtrr = Ranges.TypeAt(address);
        if (CacheDisabled)
        {
            return new MemoryTypeDecision(MemoryType.UC, MemoryTypeCause.CacheDisabled, selection, mtrr);
        }

        return Pat is null
            ? new MemoryTypeDecision(
                EffectiveMemoryType.CombineWithoutPat(mtrr.Type, selection.PCD, selection.PWT), MemoryTypeCause.FlagsAndMtrr, selection, mtrr)
            : new MemoryTypeDecision(EffectiveMemoryType.Combine(mtrr.Type, selection.Type), MemoryTypeCause.PatAndMtrr, selection, mtrr);
    }
}
