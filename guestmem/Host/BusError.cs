namespace Quadwalk.GuestMemory;

/// <summary>What a SIGBUS for a lost page asks of the process (<c>si_code</c>).</summary>
public enum BusErrorCode
{
    /// <summary>BUS_MCEERR_AR: the process, or its guest, was about to use the page: action required.</summary>
    ActionRequired = 4,

    /// <summary>BUS_MCEERR_AO: the page is gone, and nobody has asked for it yet: action optional.</summary>
    ActionOptional = 5,
}

/// <summary>A SIGBUS for a lost page.</summary>
/// <param name="Code">What it asks.</param>
/// <param name="Address">Where the page was (<c>si_addr</c>).</param>
/// <param name="Shift">log2 of the bytes lost (<c>si_addr_lsb</c>).</param>
public readonly record struct BusError(BusErrorCode Code, Hva Address, int Shift = PageSize.Shift4K);
