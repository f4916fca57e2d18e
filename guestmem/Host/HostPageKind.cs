namespace Quadwalk.GuestMemory;

/// <summary>Kinds of pages that the host's own kernel treats as the modelled one treats its own.</summary>
public enum HostPageKind
{
    /// <summary>Anonymous memory.</summary>
    Ordinary,

    /// <summary>Anonymous memory that nobody may touch (PROT_NONE).</summary>
    NoRights,

    /// <summary>memfd_secret: mapped here, and absent from the kernel's direct map.</summary>
    Secret,

    /// <summary>A page of <c>[vvar]</c>, which the kernel maps into every process by bare frame numbers (VM_IO, VM_PFNMAP).</summary>
    PfnMap,

    /// <summary>A page whose entry says that the hardware has lost it (UFFDIO_POISON).</summary>
    Poisoned,
}
