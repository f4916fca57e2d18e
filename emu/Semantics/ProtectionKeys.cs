namespace Quadwalk.Emulation;

/// <summary>PKRU (SDM Vol. 3A, 5.6.2).</summary>
internal static class ProtectionKeys
{
    /// <summary>Writes it; translations hold rights that were checked against the old value.</summary>
    public static void Set(ref CpuState cpu, Vcpu vcpu, uint value)
    {
        bool matters = cpu.Pkru != value && (cpu.Cr4 & Cr4.PKE) != 0;
        cpu.Pkru = value;
        if (matters)
        {
            vcpu.FlushTlb();
        }
    }
}

/// <summary>RDPKRU.</summary>
internal readonly struct ReadProtectionKeys : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.PKE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        if ((uint)cpu.Gpr[GeneralRegister.Rcx] != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        SystemOperand.SetEdxEax(ref cpu, cpu.Pkru);
        return true;
    }
}

/// <summary>WRPKRU.</summary>
internal readonly struct WriteProtectionKeys : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.PKE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        if (((uint)cpu.Gpr[GeneralRegister.Rcx] | (uint)cpu.Gpr[GeneralRegister.Rdx]) != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        ProtectionKeys.Set(ref cpu, vcpu, (uint)cpu.Gpr[GeneralRegister.Rax]);
        return true;
    }
}
