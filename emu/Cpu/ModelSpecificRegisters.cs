using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

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

    /// <summary>IA32_TSC_ADJUST: what WRMSR to it or to IA32_TIME_STAMP_COUNTER added to the count of retired instructions.</summary>
    public ulong TscOffset;

    /// <summary>IA32_APIC_BASE.</summary>
    public ulong ApicBase;

    /// <summary>IA32_PAT.</summary>
    public ulong Pat;

    /// <summary>IA32_DEBUGCTL.</summary>
    public ulong DebugControl;

    /// <summary>IA32_MISC_ENABLE.</summary>
    public ulong MiscEnable;

    /// <summary>IA32_XSS: the supervisor state components of XSAVES, of which there are none.</summary>
    public ulong Xss;

    /// <summary>IA32_PKRS: access and write rights of the sixteen supervisor protection keys, in 32 bits.</summary>
    public ulong Pkrs;

    /// <summary>IA32_SYSENTER_CS.</summary>
    public ulong SysenterCs;

    /// <summary>IA32_SYSENTER_ESP.</summary>
    public ulong SysenterEsp;

    /// <summary>IA32_SYSENTER_EIP.</summary>
    public ulong SysenterEip;

    /// <summary>IA32_MCG_STATUS.</summary>
    public ulong MachineCheckStatus;

    /// <summary>IA32_MTRR_DEF_TYPE.</summary>
    public ulong MtrrDefaultType;

    /// <summary>IA32_MTRR_PHYSBASE0, IA32_MTRR_PHYSMASK0 and so on, in pairs.</summary>
    public MtrrVariables MtrrVariable;

    /// <summary>IA32_MTRR_FIX64K_00000, IA32_MTRR_FIX16K_80000 and _A0000, IA32_MTRR_FIX4K_C0000 to _F8000.</summary>
    public MtrrFixeds MtrrFixed;
}

/// <summary>Eight pairs of base and mask.</summary>
[InlineArray(Count)]
public struct MtrrVariables
{
    /// <summary>The registers.</summary>
    internal const int Count = 16;

    private ulong first;
}

/// <summary>Eleven registers of eight types each.</summary>
[InlineArray(Count)]
public struct MtrrFixeds
{
    /// <summary>The registers.</summary>
    internal const int Count = 11;

    private ulong first;
}
