using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>Ends the block after an instruction that changes the mode, the translation or the course of the machine.</summary>
internal readonly struct Serialized<TInstruction> : ITerminator
    where TInstruction : struct, IInstruction
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TInstruction.Execute<TPort>(ref cpu, ref op, vcpu))
        {
            return vcpu.PendingExit;
        }

        cpu.Rip = op.NextRip;
        return BlockExit.Branch;
    }
}

/// <summary>An instruction of CPL 0 only.</summary>
internal readonly struct Privileged<TInstruction> : IInstruction
    where TInstruction : struct, IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        cpu.Cpl == 0 ? TInstruction.Execute<TPort>(ref cpu, ref op, vcpu) : vcpu.RaiseGP(FaultRule.Privileged);
}

/// <summary>An instruction that CR4.UMIP keeps from CPL above 0.</summary>
internal readonly struct UserModePrevented<TInstruction> : IInstruction
    where TInstruction : struct, IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        cpu.Cpl == 0 || (cpu.Cr4 & Cr4.UMIP) == 0
            ? TInstruction.Execute<TPort>(ref cpu, ref op, vcpu)
            : vcpu.RaiseGP(FaultRule.UserModePrevention);
}

/// <summary>What system instructions share.</summary>
internal static class SystemOperand
{
    /// <summary>Writes EDX:EAX, clearing the upper halves of both.</summary>
    public static void SetEdxEax(ref CpuState cpu, ulong value)
    {
        cpu.Gpr[GeneralRegister.Rax] = (uint)value;
        cpu.Gpr[GeneralRegister.Rdx] = value >> 32;
    }

    /// <summary>EDX:EAX.</summary>
    public static ulong EdxEax(ref CpuState cpu) => (cpu.Gpr[GeneralRegister.Rdx] << 32) | (uint)cpu.Gpr[GeneralRegister.Rax];

    /// <summary>Whether CPL is at most IOPL.</summary>
    public static bool IsIoAllowed(ref CpuState cpu) => cpu.Cpl <= (int)((cpu.SystemFlags & Rflags.Iopl) >> Rflags.IoplShift);
}
