namespace Quadwalk.Mmu;

/// <summary>The access a translation is made for (SDM Vol. 3A, section 5.6 "Access Rights").</summary>
/// <param name="Kind">Read, write or instruction fetch.</param>
/// <param name="User">The access is explicit and made at CPL 3, or by WRUSS.</param>
/// <param name="Implicit">
/// The processor itself reaches for a system structure (GDT, IDT, TSS, ...). Such an access is a supervisor access
/// whatever the CPL, and RFLAGS.AC does not exempt it from SMAP.
/// </param>
/// <param name="ShadowStack">
/// A shadow-stack access: a read or write by CALL, RET, INCSSP and the like. WRUSS makes one with <paramref name="User"/> set at CPL 0,
/// since the processor takes it for a user access.
/// </param>
public readonly record struct WalkAccess(AccessKind Kind, bool User, bool Implicit = false, bool ShadowStack = false)
{
    /// <summary>Whether the access has user rights: explicit, and at CPL 3 or by WRUSS.</summary>
    public bool IsUser => User && !Implicit;
}
