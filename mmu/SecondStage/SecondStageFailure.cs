namespace Quadwalk.Mmu;

/// <summary>Which rule stopped a second-stage translation.</summary>
public enum SecondStageFailure : byte
{
    /// <summary>None did.</summary>
    None,

    /// <summary>An entry is not present.</summary>
    NotPresent,

    /// <summary>The guest-physical address has more bits than the tables translate.</summary>
    AddressBeyondWalk,

    /// <summary>A read, and reads are not allowed by an entry.</summary>
    NotReadable,

    /// <summary>A write, or an access to the guest's tables that counts as one, and writes are not allowed by an entry.</summary>
    NotWritable,

    /// <summary>An instruction fetch, and an entry does not allow it for a linear address of this mode.</summary>
    NotExecutable,

    /// <summary>NPT: U/S is 0 in an entry; every access of the guest is a user access here.</summary>
    NotUserPage,

    /// <summary>EPT with supervisor shadow-stack control: bit 60 is 0 in the entry that maps the page.</summary>
    NotShadowStackPage,

    /// <summary>EPT: writes are allowed and reads are not.</summary>
    WritableWithoutRead,

    /// <summary>EPT: fetches are allowed and reads are not, and the processor has no execute-only translations.</summary>
    ExecuteOnlyUnsupported,

    /// <summary>A bit that must be 0 is 1.</summary>
    ReservedBits,

    /// <summary>EPT: the memory type is 2, 3 or 7.</summary>
    ReservedMemoryType,

    /// <summary>
    /// No memory lies where an entry should be. For EPT a misconfiguration, since a bus without memory reads as all ones; for NPT a page
    /// that is not present.
    /// </summary>
    EntryUnreachable,

    /// <summary>
    /// Something else changed the entries so persistently that flags could not be set. Reported as a violation that a
    /// hypervisor resumes from.
    /// </summary>
    EntryContended,

    /// <summary>EPT: a flag was to be set and the page-modification log is full.</summary>
    LogFull,
}
