namespace Quadwalk.Emulation;

/// <summary>The flat segments that SYSCALL and SYSRET load without reading a descriptor (SDM Vol. 2B).</summary>
internal static class FlatSegments
{
    private const uint Common = DescriptorBits.CodeOrData | DescriptorBits.Present | DescriptorBits.Granularity
        | DescriptorBits.Accessed | DescriptorBits.WritableOrReadable;

    /// <summary>Loads CS for 64-bit or 32-bit code, SS, and CPL.</summary>
    public static void Load(ref CpuState cpu, Vcpu vcpu, int code, int stack, int cpl, bool compatibility = false)
    {
        uint privilege = (uint)cpl << DescriptorBits.DplShift;
        cpu.Segments[SegmentIndex.Cs] = new SegmentRegister
        {
            Selector = (ushort)code,
            Limit = uint.MaxValue,
            Attributes = Common | DescriptorBits.Code | (compatibility ? DescriptorBits.Default32 : DescriptorBits.Code64) | privilege,
        };
        cpu.Segments[SegmentIndex.Ss] = new SegmentRegister
        {
            Selector = (ushort)stack,
            Limit = uint.MaxValue,
            Attributes = Common | DescriptorBits.Default32 | privilege,
        };
        cpu.Cpl = (byte)cpl;
        vcpu.ContextChanged();
    }
}

/// <summary>SYSCALL.</summary>
internal readonly struct Syscall : ITerminator
{
    private const int SelectorShift = 32;

    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Msr.Efer & Efer.SCE) == 0 || TPort.IsSegmented)
        {
            vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.UndefinedOpcode);
            return BlockExit.Fault;
        }

        ulong flags = vcpu.Rflags;
        cpu.Gpr[GeneralRegister.Rcx] = op.NextRip;
        cpu.Gpr[GeneralRegister.R11] = flags & ~Rflags.RF;
        vcpu.Rflags = flags & ~(cpu.Msr.Fmask | Rflags.RF);
        vcpu.Debug.Stepping = (cpu.SystemFlags & Rflags.TF) != 0;
        int selectors = (int)(cpu.Msr.Star >> SelectorShift) & 0xFFFF;
        FlatSegments.Load(ref cpu, vcpu, selectors & ~3, selectors + 8, cpl: 0);
        cpu.Rip = cpu.Msr.Lstar;
        return BlockExit.Branch;
    }
}

/// <summary>What SYSRET checks first.</summary>
internal static class SysretCheck
{
    /// <summary>SCE and CPL; false with the reason recorded.</summary>
    public static bool IsAllowed(ref CpuState cpu, Vcpu vcpu)
    {
        if ((cpu.Msr.Efer & Efer.SCE) == 0 || !vcpu.Is64BitMode)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.UndefinedOpcode);
        }

        return cpu.Cpl == 0 || vcpu.RaiseGP(FaultRule.Privileged);
    }
}

/// <summary>SYSRET to 64-bit code.</summary>
internal readonly struct Sysret : ITerminator
{
    private const int SelectorShift = 48;

    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!SysretCheck.IsAllowed(ref cpu, vcpu))
        {
            return vcpu.PendingExit;
        }

        ulong target = cpu.Gpr[GeneralRegister.Rcx];
        if (!vcpu.IsCanonical(target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        vcpu.Rflags = cpu.Gpr[GeneralRegister.R11] & ~(Rflags.RF | Rflags.VM);
        vcpu.Debug.Stepping = (cpu.SystemFlags & Rflags.TF) != 0;
        int selectors = (int)(cpu.Msr.Star >> SelectorShift);
        FlatSegments.Load(ref cpu, vcpu, (selectors + 16) | 3, (selectors + 8) | 3, cpl: 3);
        cpu.Rip = target;
        return BlockExit.Branch;
    }
}

/// <summary>SYSRET with a 32-bit operand: to compatibility mode.</summary>
internal readonly struct SysretToCompatibility : ITerminator
{
    private const int SelectorShift = 48;

    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!SysretCheck.IsAllowed(ref cpu, vcpu))
        {
            return vcpu.PendingExit;
        }

        vcpu.Rflags = cpu.Gpr[GeneralRegister.R11] & ~(Rflags.RF | Rflags.VM);
        vcpu.Debug.Stepping = (cpu.SystemFlags & Rflags.TF) != 0;
        int selectors = (int)(cpu.Msr.Star >> SelectorShift);
        FlatSegments.Load(ref cpu, vcpu, selectors | 3, (selectors + 8) | 3, cpl: 3, compatibility: true);
        cpu.Rip = (uint)cpu.Gpr[GeneralRegister.Rcx];
        return BlockExit.Branch;
    }
}
