using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds interrupts and returns from them, far transfers, and ports.</summary>
internal static class InterruptBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Hlt:
                return OpBinder<TPort>.Serializing<Halt>(ref op);
            case Mnemonic.Cli:
                return OpBinder<TPort>.Straight<ChangeInterruptFlag<False>>(ref op);
            case Mnemonic.Sti:
                return OpBinder<TPort>.Serializing<Serialized<ChangeInterruptFlag<True>>>(ref op);
            case Mnemonic.Int:
                op.Scale = SoftwareInterrupt.NeedsIopl;
                return OpBinder<TPort>.Serializing<SoftwareInterrupt>(ref op);
            case Mnemonic.Int3:
                op.Immediate = (ulong)ExceptionVector.Breakpoint;
                return OpBinder<TPort>.Serializing<SoftwareInterrupt>(ref op);
            case Mnemonic.Int1:
                return OpBinder<TPort>.Serializing<DebugTrap>(ref op);
            case Mnemonic.Iretq:
                op.Flags |= OpFlags.Stack;
                return OpBinder<TPort>.Serializing<InterruptReturn<ulong>>(ref op);
            case Mnemonic.Iretd:
                op.Flags |= OpFlags.Stack;
                return OpBinder<TPort>.Serializing<InterruptReturn<uint>>(ref op);
            case Mnemonic.Iret:
                op.Flags |= OpFlags.Stack;
                return OpBinder<TPort>.Serializing<InterruptReturn<ushort>>(ref op);
            case Mnemonic.Retf:
                return FarReturn(i, ref op);
            case Mnemonic.Into:
                op.Immediate = (ulong)ExceptionVector.Overflow;
                return OpBinder<TPort>.Serializing<InterruptOnOverflow>(ref op);
            case Mnemonic.Jmp when i.IsJmpFarIndirect || i.IsJmpFar:
                return Far<False>(i, ref op);
            case Mnemonic.Call when i.IsCallFarIndirect || i.IsCallFar:
                return Far<True>(i, ref op);
            case Mnemonic.In or Mnemonic.Out:
                return PortBinder<TPort>.Bind(i, ref op);
            default:
                return BindKind.Unsupported;
        }
    }

    private static BindKind FarReturn(in Instruction i, ref Op op)
    {
        op.Flags |= OpFlags.Stack;
        return i.Code switch
        {
            Code.Retfw or Code.Retfw_imm16 => OpBinder<TPort>.Serializing<FarReturn<ushort>>(ref op),
            Code.Retfd or Code.Retfd_imm16 => OpBinder<TPort>.Serializing<FarReturn<uint>>(ref op),
            _ => OpBinder<TPort>.Serializing<FarReturn<ulong>>(ref op),
        };
    }

    private static BindKind Far<TCall>(in Instruction i, ref Op op)
        where TCall : struct, IFlag
    {
        op.Flags |= TCall.Value ? OpFlags.ImplicitStack : 0;
        op.Immediate = i.Op0Kind switch
        {
            OpKind.FarBranch16 => ((ulong)i.FarBranchSelector << 32) | i.FarBranch16,
            OpKind.FarBranch32 => ((ulong)i.FarBranchSelector << 32) | i.FarBranch32,
            _ => 0,
        };
        return i.Code switch
        {
            Code.Jmp_ptr1616 or Code.Call_ptr1616 => OpBinder<TPort>.Serializing<FarDirect<ushort, TCall>>(ref op),
            Code.Jmp_ptr1632 or Code.Call_ptr1632 => OpBinder<TPort>.Serializing<FarDirect<uint, TCall>>(ref op),
            Code.Jmp_m1616 or Code.Call_m1616 => OpBinder<TPort>.Serializing<FarBranch<ushort, TCall>>(ref op),
            Code.Jmp_m1632 or Code.Call_m1632 => OpBinder<TPort>.Serializing<FarBranch<uint, TCall>>(ref op),
            _ => OpBinder<TPort>.Serializing<FarBranch<ulong, TCall>>(ref op),
        };
    }
}

/// <summary>HLT.</summary>
internal readonly struct Halt : ITerminator
{
    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (cpu.Cpl == 0)
        {
            return BlockExit.Halt;
        }

        vcpu.RaiseGP(FaultRule.Privileged);
        return BlockExit.Fault;
    }
}

/// <summary>CLI and STI; with CR4.PVI they change VIF at CPL 3 where IOPL does not let them change IF.</summary>
internal readonly struct ChangeInterruptFlag<TValue> : IInstruction
    where TValue : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!SystemOperand.IsIoAllowed(ref cpu))
        {
            return ChangeVirtual(ref cpu, vcpu);
        }

        if (TValue.Value && (cpu.SystemFlags & Rflags.IF) == 0)
        {
            vcpu.Shadow = InterruptShadow.Sti;
        }

        cpu.SystemFlags = TValue.Value ? cpu.SystemFlags | Rflags.IF : cpu.SystemFlags & ~Rflags.IF;
        return true;
    }

    private static bool ChangeVirtual(ref CpuState cpu, Vcpu vcpu)
    {
        bool virtualized = cpu.Cpl == 3 && (cpu.Cr4 & Cr4.PVI) != 0 && (cpu.SystemFlags & Rflags.VM) == 0;
        if (!virtualized || (TValue.Value && (cpu.SystemFlags & Rflags.VIP) != 0))
        {
            return vcpu.RaiseGP(FaultRule.Privileged);
        }

        cpu.SystemFlags = TValue.Value ? cpu.SystemFlags | Rflags.VIF : cpu.SystemFlags & ~Rflags.VIF;
        return true;
    }
}

/// <summary>INT n and INT3; the vector is the immediate.</summary>
internal readonly struct SoftwareInterrupt : ITerminator
{
    /// <summary>In <see cref="Op.Scale"/>: in virtual-8086 mode IOPL must be 3, as INT3 does not ask.</summary>
    public const byte NeedsIopl = 1;

    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (op.Scale == NeedsIopl && !FlagsOnStack.Allowed(ref cpu, vcpu))
        {
            return BlockExit.Fault;
        }

        return vcpu.Trap(ref op, (ExceptionVector)(byte)op.Immediate, TrapKind.Software);
    }
}

/// <summary>INTO.</summary>
internal readonly struct InterruptOnOverflow : ITerminator
{
    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (cpu.Flags.OF)
        {
            return vcpu.Trap(ref op, ExceptionVector.Overflow, TrapKind.Software);
        }

        cpu.Rip = op.NextRip;
        return BlockExit.Branch;
    }
}

/// <summary>INT1.</summary>
internal readonly struct DebugTrap : ITerminator
{
    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => vcpu.Trap(ref op, ExceptionVector.Debug, TrapKind.Privileged);
}
