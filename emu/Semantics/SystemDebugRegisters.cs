namespace Quadwalk.Emulation;

/// <summary>DR0 to DR7 as MOV sees them (SDM Vol. 3B, 18.2).</summary>
internal static class DebugRegisterAccess
{
    private const ulong Dr6Writable = 0xE00F;
    private const ulong Dr7Writable = 0xFFFF_23FF;

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

        return (cpu.Dr[7] & Dr7.GD) == 0 || vcpu.Raise(ExceptionVector.Debug, null, FaultRule.DebugRegisterGuard);
    }

    /// <summary>A register's value, with the bits that always read 1.</summary>
    public static ulong Read(ref CpuState cpu, int index) => cpu.Dr[index] | (index == 6 ? Dr6.Ones : index == 7 ? Dr7.Ones : 0);

    /// <summary>Writes a register; false with #GP recorded where bits 63:32 of DR6 or DR7 would be set.</summary>
    public static bool TryWrite(ref CpuState cpu, Vcpu vcpu, int index, ulong value)
    {
        if (index >= 6 && value >> 32 != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        cpu.Dr[index] = index switch
        {
            6 => (value & Dr6Writable) | Dr6.Ones,
            7 => (value & Dr7Writable) | Dr7.Ones,
            _ => value,
        };
        vcpu.ContextChanged();
        return true;
    }
}

/// <summary>MOV from a debug register.</summary>
internal readonly struct ReadDebugRegister : IInstruction
{
    /// <inheritdoc/>
    public static bool IsApart => true;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!DebugRegisterAccess.TryResolve(ref cpu, vcpu, op.Src, out int index))
        {
            return false;
        }

        ulong value = DebugRegisterAccess.Read(ref cpu, index);
        CpuState.At<ulong>(ref cpu, op.Dst) = TPort.IsSegmented ? (uint)value : value;
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
        && DebugRegisterAccess.TryWrite(ref cpu, vcpu, index, TPort.IsSegmented ? CpuState.At<uint>(ref cpu, op.Src) : CpuState.At<ulong>(ref cpu, op.Src));
}
