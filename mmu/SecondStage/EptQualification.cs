namespace Quadwalk.Mmu;

/// <summary>The exit qualification of an EPT violation (SDM Vol. 3C, table 28-7). Bits the SDM leaves undefined are 0.</summary>
[Flags]
public enum EptQualification : uint
{
    /// <summary>No bit.</summary>
    None = 0,

    /// <summary>Bit 0: a data read.</summary>
    Read = 1 << 0,

    /// <summary>Bit 1: a data write. With accessed and dirty flags, accesses to the guest's tables are both read and write.</summary>
    Write = 1 << 1,

    /// <summary>Bit 2: an instruction fetch.</summary>
    Fetch = 1 << 2,

    /// <summary>Bit 3: the address was readable. Bits 3 to 6 are 0 where an entry is not present.</summary>
    Readable = 1 << 3,

    /// <summary>Bit 4: the address was writable.</summary>
    Writable = 1 << 4,

    /// <summary>Bit 5: the address was executable; with mode-based execute control, for supervisor-mode linear addresses.</summary>
    Executable = 1 << 5,

    /// <summary>Bit 6: with mode-based execute control, executable for user-mode linear addresses.</summary>
    UserExecutable = 1 << 6,

    /// <summary>Bit 7: the guest-linear address is valid.</summary>
    LinearAddressValid = 1 << 7,

    /// <summary>Bit 8: the access was to the translation of the linear address, not to an entry on the way.</summary>
    FinalAddress = 1 << 8,

    /// <summary>Bit 9: advanced information; a user-mode linear address.</summary>
    UserLinearAddress = 1 << 9,

    /// <summary>Bit 10: advanced information; a read/write page by the guest's tables.</summary>
    WritablePage = 1 << 10,

    /// <summary>Bit 11: advanced information; an execute-disable page by the guest's tables.</summary>
    ExecuteDisablePage = 1 << 11,

    /// <summary>Bit 12: NMI unblocking due to IRET; for the processor to add.</summary>
    NmiUnblocking = 1 << 12,

    /// <summary>Bit 13: a shadow-stack access.</summary>
    ShadowStackAccess = 1 << 13,

    /// <summary>Bit 14: with supervisor shadow-stack control, bit 60 of the entry that maps the page.</summary>
    ShadowStackPage = 1 << 14,
}
