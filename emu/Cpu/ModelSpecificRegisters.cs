using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.Emulation;

/// <summary>The model-specific registers that this processor has (SDM Vol. 4, table 2-2).</summary>
[SuppressMessage("Design", "CA1051:Do not declare visible instance fields", Justification = "A record of machine words.")]
public struct ModelSpecificRegisters
{
    /// <summary>IA32_EFER.</summary>
    public ulong Efer;

    /// <summary>IA32_STAR: selectors of SYSCALL and SYSRET.</summary>
    public ulong Star;

    /// <summary>IA32_LSTAR: the RIP of SYSCALL.</summary>
    public ulong Lstar;

    /// <summary>IA32_CSTAR: the RIP of SYSCALL from compatibility mode.</summary>
    public ulong Cstar;

    /// <summary>IA32_FMASK: the RFLAGS bits that SYSCALL clears.</summary>
    public ulong Fmask;

    /// <summary>IA32_KERNEL_GS_BASE: what SWAPGS exchanges with GS.base.</summary>
    public ulong KernelGsBase;

    /// <summary>IA32_TSC_AUX.</summary>
    public ulong TscAux;

    /// <summary>What WRMSR to IA32_TIME_STAMP_COUNTER added to the count of retired instructions.</summary>
    public ulong TscOffset;

    /// <summary>IA32_APIC_BASE.</summary>
    public ulong ApicBase;

    /// <summary>IA32_PAT.</summary>
    public ulong Pat;

    /// <summary>IA32_MISC_ENABLE.</summary>
    public ulong MiscEnable;
}
