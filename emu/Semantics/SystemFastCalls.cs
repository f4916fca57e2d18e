namespace Quadwalk.Emulation;

/// <summary>What SYSENTER and SYSEXIT check first.</summary>
internal static class FastCall
{
    /// <summary>Protected mode, and IA32_SYSENTER_CS names a segment; false with #GP(0) recorded.</summary>
    public static bool IsPossible(ref CpuState cpu, Vcpu vcpu) =>
        ((cpu.Cr0 & Cr0.PE) != 0 && (cpu.Msr.SysenterCs & 0xFFFC) != 0) || vcpu.RaiseGP(FaultRule.NullSelector);
}

/// <summary>SYSENTER: to CPL 0 with interrupts off, in 64-bit code where IA-32e mode is active (SDM Vol. 2B).</summary>
internal readonly struct Sysenter : ITerminator
{
    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!FastCall.IsPossible(ref cpu, vcpu))
        {
            return vcpu.PendingExit;
        }

        bool longMode = (cpu.Msr.Efer & Efer.LMA) != 0;
        vcpu.Rflags &= ~(Rflags.IF | Rflags.VM | Rflags.RF);
        int code = (int)cpu.Msr.SysenterCs & 0xFFFC;
        FlatSegments.Load(ref cpu, vcpu, code, code + 8, cpl: 0, compatibility: !longMode);
        cpu.Gpr[GeneralRegister.Rsp] = longMode ? cpu.Msr.SysenterEsp : (uint)cpu.Msr.SysenterEsp;
        cpu.Rip = longMode ? cpu.Msr.SysenterEip : (uint)cpu.Msr.SysenterEip;
        return BlockExit.Branch;
    }
}

/// <summary>SYSEXIT to 64-bit code, or with a 32-bit operand to compatibility or protected mode.</summary>
internal readonly struct Sysexit<TCompatibility> : ITerminator
    where TCompatibility : struct, IFlag
{
    private const int CodeDistance = 32;
    private const int CompatibilityDistance = 16;

    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!FastCall.IsPossible(ref cpu, vcpu) || (cpu.Cpl != 0 && !vcpu.RaiseGP(FaultRule.Privileged)))
        {
            return vcpu.PendingExit;
        }

        ulong target = cpu.Gpr[GeneralRegister.Rdx], stack = cpu.Gpr[GeneralRegister.Rcx];
        if (TCompatibility.Value)
        {
            target = (uint)target;
            stack = (uint)stack;
        }

        if (!vcpu.IsCanonical(target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        if (!vcpu.IsCanonical(stack))
        {
            vcpu.RaiseGP(FaultRule.NonCanonicalAddress);
            return vcpu.PendingExit;
        }

        int code = (((int)cpu.Msr.SysenterCs & 0xFFFF) + (TCompatibility.Value ? CompatibilityDistance : CodeDistance)) | 3;
        FlatSegments.Load(ref cpu, vcpu, code, code + 8, cpl: 3, TCompatibility.Value);
        cpu.Gpr[GeneralRegister.Rsp] = stack;
        cpu.Rip = target;
        return BlockExit.Branch;
    }
}

/// <summary>RDPMC: there are no counters, so every number of one is refused.</summary>
internal readonly struct ReadPerformanceCounter : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => vcpu.RaiseGP(FaultRule.ReservedOperand);
}
