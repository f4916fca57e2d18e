namespace Quadwalk.Emulation;

/// <summary>DR0 to DR7 as MOV sees them (SDM Vol. 3B, 18.2).</summary>
internal static class DebugRegisterAccess
{
    private const ulong Dr6Ones = 0xFFFF_0FF0;
    private const ulong Dr6Writable = 0xE00F;
    private const ulong Dr7Ones = 0x400;
    private const ulong Dr7Writable = 0xFFFF_23FF;
    private const ulong GeneralDetect = 1 << 13;

    /// <summary>The register that a number means: DR4 and DR5 are DR6 and DR7 unless CR4.DE makes them undefined, which comes before privilege.</summary>
    public static bool TryResolve(ref CpuState cpu, Vcpu vcpu, int number, out int index)
    {
        index = number is 4 or 5 ? number + 2 : number;
        if (index != number && (cpu.Cr4 & Cr4.DE) != 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.UndefinedOpcode);
        }

        if (cpu.Cpl != 0)
        {
            return vcpu.RaiseGP(FaultRule.Privileged);
        }

        return (cpu.Dr[7] & GeneralDetect) == 0 || vcpu.Raise(ExceptionVector.Debug, null, FaultRule.DebugRegisterGuard);
    }

    /// <summary>A register's value, with the bits that always read 1.</summary>
    public static ulong Read(ref CpuState cpu, int index) => cpu.Dr[index] | (index == 6 ? Dr6Ones : index == 7 ? Dr7Ones : 0);

    /// <summary>Writes a register; false where bits 63:32 of DR6 or DR7 would be set.</summary>
    public static bool TryWrite(ref CpuState cpu, int index, ulong value)
    {
        if (index >= 6 && value >> 32 != 0)
        {
            return false;
        }

        cpu.Dr[index] = index switch
        {
            6 => (value & Dr6Writable) | Dr6Ones,
            7 => (value & Dr7Writable) | Dr7Ones,
            _ => value,
        };
        return true;
    }
}

/// <summary>MOV from a debug register.</summary>
internal readonly struct ReadDebugRegister : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!DebugRegisterAccess.TryResolve(ref cpu, vcpu, op.Src, out int index))
        {
            return false;
        }

        CpuState.At<ulong>(ref cpu, op.Dst) = DebugRegisterAccess.Read(ref cpu, index);
        return true;
    }
}

/// <summary>MOV to a debug register.</summary>
internal readonly struct WriteDebugRegister : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        DebugRegisterAccess.TryResolve(ref cpu, vcpu, op.Dst, out int index)
        && (DebugRegisterAccess.TryWrite(ref cpu, index, CpuState.At<ulong>(ref cpu, op.Src)) || vcpu.RaiseGP(FaultRule.ReservedControlBits));
}
