namespace Quadwalk.Mmu;

/// <summary>
/// When a walk that ends in a fault sets accessed flags. SDM Vol. 3A, section 5.8 has the flag set "whenever the processor uses"
/// an entry "as part of linear-address translation", and leaves open whether a faulting walk has used the entries above the fault.
/// </summary>
public enum AccessedPolicy : byte
{
    /// <summary>Accessed flags are set once the whole walk has passed its checks, so a fault leaves the tables unchanged. KVM's walker does this.</summary>
    OnSuccess,

    /// <summary>
    /// The flag of an entry that references a table is set before that table is read, so a fault further down leaves it set. QEMU's walker does this.
    /// The entry that maps the page is marked only by an access it allows.
    /// </summary>
    OnUse,
}
