namespace Unicorn.Net;

/// <summary>The x86 instructions that can be hooked.</summary>
public enum X86HookInstruction
{
    /// <summary>CPUID: <see cref="HookHandler.OnCpuid"/>.</summary>
    Cpuid = 113,

    /// <summary>IN and INS: <see cref="HookHandler.OnPortIn"/>.</summary>
    In = 218,

    /// <summary>OUT and OUTS: <see cref="HookHandler.OnPortOut"/>.</summary>
    Out = 500,

    /// <summary>SYSCALL: <see cref="HookHandler.OnSyscall"/>.</summary>
    Syscall = 699,

    /// <summary>SYSENTER: <see cref="HookHandler.OnSyscall"/>.</summary>
    Sysenter = 700,
}
