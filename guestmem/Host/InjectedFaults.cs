namespace Quadwalk.GuestMemory;

/// <summary>Mistakes that the modelled host can be told to make. Each breaks an invariant, and the test of that invariant has to notice.</summary>
[Flags]
public enum InjectedFaults
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>A page goes back to the allocator without its place in the direct map.</summary>
    ForgetDirectMapRestore = 1 << 0,

    /// <summary>A fault installs its entry without looking at the notifier's sequence again.</summary>
    SkipInvalidateCheck = 1 << 1,

    /// <summary>Migration does not mind pins.</summary>
    MigratePinned = 1 << 2,

    /// <summary>A change of a process's page tables does not call its notifiers.</summary>
    SkipNotifier = 1 << 3,

    /// <summary>Frames leave the direct map without a flush.</summary>
    SkipFlush = 1 << 4,
}
