namespace Quadwalk.Mmu;

/// <summary>What selected an entry of the PAT (SDM Vol. 3A, section 5.9.2).</summary>
public enum PatSource : byte
{
    /// <summary>Nothing: CR0.PG is 0, and the type counts as WB.</summary>
    NoPaging,

    /// <summary>PAT, PCD and PWT of the entry that maps the page.</summary>
    Page,

    /// <summary>PCD and PWT of CR3, for an entry of the table that CR3 points to.</summary>
    Cr3,

    /// <summary>Nothing: with CR4.PCIDE bits 4:3 of CR3 belong to the PCID, and the table that CR3 points to goes by entry 0.</summary>
    Cr3WithPcid,

    /// <summary>PCD and PWT of the entry above, which a PDPTE register may hold, for an entry of the table it references.</summary>
    EntryAbove,
}
