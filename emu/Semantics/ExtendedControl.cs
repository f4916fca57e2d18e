namespace Quadwalk.Emulation;

/// <summary>XGETBV: XCR0, and with XGETBV1 the components of it that are in use.</summary>
internal readonly struct ReadExtendedControl : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.OSXSAVE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        uint asked = (uint)cpu.Gpr[GeneralRegister.Rcx];
        if (asked > 1 || (asked == 1 && !vcpu.Features.Has(CpuFeature.Xgetbv1)))
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        SystemOperand.SetEdxEax(ref cpu, asked == 0 ? cpu.Xcr0 : cpu.Xcr0 & ExtendedStateArea.InUse(ref cpu));
        return true;
    }
}

/// <summary>XSETBV: x87 state is always enabled, AVX needs SSE, and the processor must have what is enabled (SDM Vol. 1, 13.3).</summary>
internal readonly struct WriteExtendedControl : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.OSXSAVE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        if (cpu.Cpl != 0)
        {
            return vcpu.RaiseGP(FaultRule.Privileged);
        }

        ulong value = SystemOperand.EdxEax(ref cpu);
        bool withoutSse = (value & (StateComponents.Sse | StateComponents.Avx)) == StateComponents.Avx;
        if ((uint)cpu.Gpr[GeneralRegister.Rcx] != 0 || (value & ~StateComponents.Supported(vcpu.Features)) != 0
            || (value & StateComponents.X87) == 0 || withoutSse)
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        cpu.Xcr0 = value;
        vcpu.ContextChanged();
        return true;
    }
}
