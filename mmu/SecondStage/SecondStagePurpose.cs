namespace Quadwalk.Mmu;

/// <summary>What a guest-physical address is translated for.</summary>
public enum SecondStagePurpose : byte
{
    /// <summary>The translation of a linear address.</summary>
    FinalAddress,

    /// <summary>An entry of the guest's page tables is read by a walk.</summary>
    GuestTable,

    /// <summary>An accessed or dirty flag is set in an entry of the guest's page tables.</summary>
    GuestTableUpdate,

    /// <summary>The PDPTE registers of PAE paging are loaded by MOV to CR3 and the like; no linear address is involved.</summary>
    PdpteLoad,
}
