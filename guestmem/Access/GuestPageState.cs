namespace Quadwalk.GuestMemory;

/// <summary>To whom a page of a guest belongs, as the hypervisor sees it.</summary>
public enum GuestPageState
{
    /// <summary>The host's own memory, lent to the guest.</summary>
    HostOwned,

    /// <summary>The guest's, and shared with the host: a bounce window, or the shared part of a guest_memfd.</summary>
    SharedWithHost,

    /// <summary>The guest's alone by agreement: the host has no mapping for processes, and could make itself one.</summary>
    Private,

    /// <summary>The guest's alone by force: the hypervisor's second stage keeps the host out.</summary>
    Protected,
}

/// <summary>A use that the host makes of a page.</summary>
public enum HostUse
{
    /// <summary>A reference or pin by get_user_pages.</summary>
    Gup,

    /// <summary>An access by a process's mapping.</summary>
    UserMapping,

    /// <summary>An access by the kernel's direct map.</summary>
    DirectMap,

    /// <summary>An access by a mapping that the kernel makes for it: a window or a view.</summary>
    KernelWindow,
}
