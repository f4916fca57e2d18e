namespace Quadwalk.Mmu;

/// <summary>The paging modes (SDM Vol. 3A, section 5.1.1, table 5-1).</summary>
public enum PagingMode : byte
{
    /// <summary>CR0.PG = 0: a linear address, of 32 bits, is the physical address.</summary>
    None,

    /// <summary>32-bit paging: CR4.PAE = 0. Two levels of 4-byte entries, pages of 4 KiB and with CR4.PSE of 4 MiB.</summary>
    Bits32,

    /// <summary>PAE paging: CR4.PAE = 1, IA32_EFER.LMA = 0. Four PDPTEs in registers over two levels of 8-byte entries, pages of 4 KiB and 2 MiB.</summary>
    Pae,

    /// <summary>4-level paging: IA32_EFER.LMA = 1, CR4.LA57 = 0. Pages of 4 KiB, 2 MiB and 1 GiB.</summary>
    FourLevel,

    /// <summary>5-level paging: IA32_EFER.LMA = 1, CR4.LA57 = 1. One more level above those of 4-level paging.</summary>
    FiveLevel,
}
