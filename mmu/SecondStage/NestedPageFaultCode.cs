namespace Quadwalk.Mmu;

/// <summary>EXITINFO1 of a nested page fault (AMD APM Vol. 2, section 15.25.6): a page-fault error code, and which address it was.</summary>
[Flags]
public enum NestedPageFaultCode : ulong
{
    /// <summary>No bit.</summary>
    None = 0,

    /// <summary>Bit 0, P: the nested entries were present.</summary>
    Present = 1 << 0,

    /// <summary>Bit 1, RW: a write, as every access to the guest's tables is.</summary>
    Write = 1 << 1,

    /// <summary>Bit 2, US: always 1, since every access of the guest is a user access to the nested tables.</summary>
    User = 1 << 2,

    /// <summary>Bit 3, RSV: a reserved bit was 1.</summary>
    Reserved = 1 << 3,

    /// <summary>Bit 4, ID: an instruction fetch.</summary>
    InstructionFetch = 1 << 4,

    /// <summary>Bit 32: the access was to the guest's final physical address.</summary>
    FinalAddress = 1UL << 32,

    /// <summary>Bit 33: the access was to the guest's page tables.</summary>
    GuestTable = 1UL << 33,
}
