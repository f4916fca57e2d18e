namespace Quadwalk.Mmu;

/// <summary>What invalidated translations (SDM Vol. 3A, section 5.10.4.1).</summary>
public enum TlbFlushCause : byte
{
    /// <summary>INVLPG.</summary>
    Invlpg,

    /// <summary>INVPCID type 0: an address of a PCID.</summary>
    InvpcidAddress,

    /// <summary>INVPCID type 1: a PCID.</summary>
    InvpcidContext,

    /// <summary>INVPCID type 2: everything.</summary>
    InvpcidAll,

    /// <summary>INVPCID type 3: everything that is not global.</summary>
    InvpcidNonGlobal,

    /// <summary>MOV to CR3, by an instruction or a task switch, that keeps nothing of the PCID.</summary>
    MovCr3,

    /// <summary>MOV to CR3 with bit 63 set, which keeps all.</summary>
    MovCr3Keeping,

    /// <summary>A change of linear-address masking with CR3: no translation goes, only host addresses found by addresses with metadata.</summary>
    Cr3Masking,

    /// <summary>A change of CR0.</summary>
    Cr0,

    /// <summary>A change of CR4.</summary>
    Cr4,

    /// <summary>A change of IA32_EFER.</summary>
    Efer,

    /// <summary>A change of PKRU or IA32_PKRS: no translation goes, only the rights that were derived from some.</summary>
    ProtectionKeys,

    /// <summary>The host: memory slots changed, or registers were set from outside.</summary>
    Host,
}
