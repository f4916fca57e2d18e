namespace Quadwalk.Mmu;

/// <summary>The error code of a page fault (SDM Vol. 3A, section 5.7, figure "Page-Fault Error Code").</summary>
[Flags]
public enum PageFaultCode : uint
{
    /// <summary>A supervisor read of a page that is not present.</summary>
    None = 0,

    /// <summary>P: the entries were present; a reserved bit or a right was violated.</summary>
    Present = 1 << 0,

    /// <summary>W/R: the access was a write.</summary>
    Write = 1 << 1,

    /// <summary>U/S: the access was a user access.</summary>
    User = 1 << 2,

    /// <summary>RSVD: a reserved bit was set in an entry.</summary>
    Reserved = 1 << 3,

    /// <summary>I/D: the access was an instruction fetch; only with CR4.SMEP set, or IA32_EFER.NXE and CR4.PAE.</summary>
    InstructionFetch = 1 << 4,

    /// <summary>PK: a protection key forbade the access.</summary>
    ProtectionKey = 1 << 5,

    /// <summary>SS: the access was a shadow-stack access.</summary>
    ShadowStack = 1 << 6,
}
