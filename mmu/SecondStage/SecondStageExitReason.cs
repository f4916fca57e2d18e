namespace Quadwalk.Mmu;

/// <summary>Why the second stage leaves the guest: the basic exit reasons of the SDM (Vol. 3D, appendix C), and the exit code of the AMD APM for NPT.</summary>
public enum SecondStageExitReason : ushort
{
    /// <summary>It does not.</summary>
    None = 0,

    /// <summary>EPT violation: the entries do not allow the access.</summary>
    EptViolation = 48,

    /// <summary>EPT misconfiguration: an entry holds a value that is not supported.</summary>
    EptMisconfiguration = 49,

    /// <summary>Page-modification log full: a flag was to be set and the log has no room.</summary>
    PageModificationLogFull = 62,

    /// <summary>VMEXIT_NPF: a nested page fault.</summary>
    NestedPageFault = 0x400,
}
