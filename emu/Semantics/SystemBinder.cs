using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds the instructions of operating systems: control registers, tables, segments, interrupts, ports.</summary>
internal static class SystemBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, BlockMode mode)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov:
                return Move(i, ref op);
            case Mnemonic.Clts:
                return Mode<ClearTaskSwitched>(ref op);
            case Mnemonic.Lmsw:
                op.Src = op.Dst;
                return i.Op0Kind == OpKind.Register ? Mode<LoadStatusWord<WordFromRegister>>(ref op) : Mode<LoadStatusWord<WordFromMemory>>(ref op);
            case Mnemonic.Rdmsr:
                return OpBinder<TPort>.Straight<Privileged<ReadMsr>>(ref op);
            case Mnemonic.Wrmsr:
                return Mode<WriteMsr>(ref op);
            case Mnemonic.Swapgs:
                return OpBinder<TPort>.Straight<Privileged<SwapGs>>(ref op);
            case Mnemonic.Invlpg:
                return Mode<InvalidatePage>(ref op);
            case Mnemonic.Invd or Mnemonic.Wbinvd or Mnemonic.Wbnoinvd:
                return OpBinder<TPort>.Straight<Privileged<Nop>>(ref op);
            case Mnemonic.Clflush:
                return OpBinder<TPort>.Straight<FlushLine>(ref op);
            case Mnemonic.Clac:
                return OpBinder<TPort>.Serializing<Serialized<ChangeAlignmentCheck<False>>>(ref op);
            case Mnemonic.Stac:
                return OpBinder<TPort>.Serializing<Serialized<ChangeAlignmentCheck<True>>>(ref op);
            case Mnemonic.Cpuid:
                return OpBinder<TPort>.Straight<CpuidInstruction>(ref op);
            case Mnemonic.Rdtsc:
                return OpBinder<TPort>.Straight<ReadTimeStamp<False>>(ref op);
            case Mnemonic.Rdtscp:
                return OpBinder<TPort>.Straight<ReadTimeStamp<True>>(ref op);
            case Mnemonic.Syscall:
                return OpBinder<TPort>.Serializing<Syscall>(ref op);
            case Mnemonic.Sysret:
                return OpBinder<TPort>.Serializing<SysretToCompatibility>(ref op);
            case Mnemonic.Sysretq:
                return OpBinder<TPort>.Serializing<Sysret>(ref op);
            case Mnemonic.Pop or Mnemonic.Les or Mnemonic.Lds or Mnemonic.Lfs or Mnemonic.Lgs or Mnemonic.Lss:
                return SegmentBinder<TPort>.Bind(i, ref op);
            case Mnemonic.Lgdt or Mnemonic.Lidt or Mnemonic.Sgdt or Mnemonic.Sidt or Mnemonic.Lldt or Mnemonic.Ltr
                or Mnemonic.Sldt or Mnemonic.Str or Mnemonic.Smsw or Mnemonic.Lar or Mnemonic.Lsl or Mnemonic.Verr or Mnemonic.Verw or Mnemonic.Arpl:
                return TableBinder<TPort>.Bind(i, ref op, mode);
            default:
                return InterruptBinder<TPort>.Bind(i, ref op);
        }
    }

    private static BindKind Mode<TInstruction>(ref Op op)
        where TInstruction : struct, IInstruction => OpBinder<TPort>.Serializing<Serialized<Privileged<TInstruction>>>(ref op);

    private static BindKind Move(in Instruction i, ref Op op)
    {
        Register to = i.Op0Kind == OpKind.Register ? i.Op0Register : Register.None;
        Register from = i.Op1Kind == OpKind.Register ? i.Op1Register : Register.None;
        if (to.IsCR())
        {
            op.Dst = (ushort)(to - Register.CR0);
            return (to - Register.CR0) switch
            {
                0 => Mode<WriteCr0>(ref op),
                2 => Mode<WriteCr2>(ref op),
                3 => Mode<WriteCr3>(ref op),
                4 => Mode<WriteCr4>(ref op),
                8 => Mode<WriteCr8>(ref op),
                _ => BindKind.Unsupported,
            };
        }

        if (from.IsCR())
        {
            op.Src = (ushort)(from - Register.CR0);
            return (from - Register.CR0) is 0 or 2 or 3 or 4 or 8
                ? OpBinder<TPort>.Straight<Privileged<ReadControlRegister>>(ref op)
                : BindKind.Unsupported;
        }

        if (to.IsDR())
        {
            op.Dst = (ushort)(to - Register.DR0);
            return op.Dst < 8 ? OpBinder<TPort>.Serializing<Serialized<WriteDebugRegister>>(ref op) : BindKind.Unsupported;
        }

        if (from.IsDR())
        {
            op.Src = (ushort)(from - Register.DR0);
            return op.Src < 8 ? OpBinder<TPort>.Straight<ReadDebugRegister>(ref op) : BindKind.Unsupported;
        }

        return SegmentBinder<TPort>.Bind(i, ref op);
    }
}
