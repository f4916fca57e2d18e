namespace Quadwalk.GuestMemory;

/// <summary>How a fault of the second stage ended (<c>RET_PF_*</c> and KVM_RUN's errors).</summary>
public enum StageTwoOutcome
{
    /// <summary>RET_PF_FIXED: the translation is there.</summary>
    Fixed,

    /// <summary>RET_PF_RETRY: the guest may try again.</summary>
    Retry,

    /// <summary>RET_PF_EMULATE: no memory there, or a write to what is read-only: the instruction is to be emulated.</summary>
    Emulate,

    /// <summary>-EFAULT, or what else a file said, to the VMM.</summary>
    Fault,

    /// <summary>-EINTR to the VMM.</summary>
    Interrupted,

    /// <summary>KVM_EXIT_MEMORY_FAULT: the guest means private memory where shared is, or the other way round; the VMM may convert it.</summary>
    MemoryFault,

    /// <summary>-EHWPOISON to the VMM: a private page. For a shared one the VMM gets SIGBUS (MCEERR_AR), and the outcome is <see cref="Retry"/>.</summary>
    HwPoison,
}
