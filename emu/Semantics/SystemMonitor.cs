namespace Quadwalk.Emulation;

/// <summary>MONITOR: reads a byte as a load would, and arms nothing, since MWAIT does not wait.</summary>
internal readonly struct MonitorAddress : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!MonitorWait.IsAllowed(ref cpu, vcpu))
        {
            return false;
        }

        return (uint)cpu.Gpr[GeneralRegister.Rcx] == 0
            ? TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out byte _)
            : vcpu.RaiseGP(FaultRule.ReservedOperand);
    }
}

/// <summary>MWAIT: a hint, and the processor may go on at once (SDM Vol. 2B, "MWAIT"). ECX may ask for interrupts as break events.</summary>
internal readonly struct MonitorWait : IInstruction
{
    private const uint InterruptBreak = 1;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        IsAllowed(ref cpu, vcpu)
        && (((uint)cpu.Gpr[GeneralRegister.Rcx] & ~InterruptBreak) == 0 || vcpu.RaiseGP(FaultRule.ReservedOperand));

    /// <summary>CPL 0, and #UD above.</summary>
    public static bool IsAllowed(ref CpuState cpu, Vcpu vcpu) =>
        cpu.Cpl == 0 || vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.Privileged);
}
