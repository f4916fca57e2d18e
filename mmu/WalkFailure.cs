namespace Quadwalk.Mmu;

/// <summary>Why a translation failed. All but <see cref="NonCanonical"/> raise #PF.</summary>
public enum WalkFailure : byte
{
    /// <summary>It did not.</summary>
    None,

    /// <summary>
    /// Bits 63:47 of the address are not all equal, with 4-level paging, or bits 63:56 with 5-level paging, after linear-address masking:
    /// #GP(0), or #SS(0) for a stack reference.
    /// </summary>
    NonCanonical,

    /// <summary>P is 0 in an entry.</summary>
    NotPresent,

    /// <summary>A bit that must be 0 is 1 in an entry.</summary>
    ReservedBits,

    /// <summary>
    /// No memory lies where an entry should be. Reported to the guest as a page that is not present, as KVM's walker does.
    /// </summary>
    EntryUnreachable,

    /// <summary>
    /// Something else changed the entries so persistently that their A and D flags could not be set in
    /// <see cref="PageWalker.MaxAttempts"/> walks. Reported as a page that is not present, so the guest may try again.
    /// </summary>
    EntryContended,

    /// <summary>A user access, and U/S is 0 in an entry.</summary>
    UserAccessToSupervisorPage,

    /// <summary>A write, and R/W is 0 in an entry: user writes, and supervisor writes with CR0.WP = 1.</summary>
    WriteToReadOnlyPage,

    /// <summary>An instruction fetch, and NX is 1 in an entry.</summary>
    ExecuteOfNoExecutePage,

    /// <summary>A supervisor instruction fetch from a user page with CR4.SMEP = 1.</summary>
    SupervisorExecuteOfUserPage,

    /// <summary>A supervisor data access to a user page with CR4.SMAP = 1, implicit or with RFLAGS.AC = 0.</summary>
    SupervisorAccessToUserPage,

    /// <summary>A data access to a page whose protection key forbids it: PKRU for a user page, IA32_PKRS for a supervisor page.</summary>
    ForbiddenByProtectionKey,

    /// <summary>A shadow-stack access to a page that is not a shadow-stack page: R/W is not 0, or D not 1, in the entry that maps it, or R/W is 0 above.</summary>
    ShadowStackAccessToOtherPage,

    /// <summary>A supervisor shadow-stack access to a user page.</summary>
    SupervisorShadowStackAccessToUserPage,
}
