using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>What became of an instruction that was to be bound.</summary>
internal enum BindKind
{
    /// <summary>No handler: it raises #UD.</summary>
    Unsupported,

    /// <summary>Execution goes on to the next operation.</summary>
    Straight,

    /// <summary>The block ends here.</summary>
    Ends,
}

/// <summary>Turns a decoded instruction into an operation: operands as offsets, and the handler compiled for one memory port.</summary>
internal static unsafe class OpBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Fills in the operation; an instruction that this processor does not have is bound to #UD.</summary>
    public static BindKind Bind(in Instruction instruction, ref Op op, BlockMode mode, CpuFeatures features)
    {
        BindKind kind = BindChecked(instruction, ref op, mode, features);
        if (kind == BindKind.Unsupported)
        {
            op.Immediate = (ulong)FaultRule.UndefinedOpcode;
            return Serializing<RaiseUndefined>(ref op);
        }

        return kind;
    }

    /// <summary>Binds an instruction that goes on to the next.</summary>
    public static BindKind Straight<TInstruction>(ref Op op)
        where TInstruction : struct, IInstruction
    {
        op.Handler = TPort.Watches ? &WatchedChain<TInstruction, TPort>.Run
            : TInstruction.IsApart ? &Chain<Apart<TInstruction>, TPort>.Run
            : &Chain<TInstruction, TPort>.Run;
        return BindKind.Straight;
    }

    /// <summary>Binds a branch whose target is always the same.</summary>
    public static BindKind Direct<TInstruction>(ref Op op)
        where TInstruction : struct, ITerminator
    {
        op.Handler = TPort.Watches ? &WatchedTerminate<TInstruction, TPort>.Branch : &Terminate<TInstruction, TPort>.Direct;
        return BindKind.Ends;
    }

    /// <summary>Binds a branch whose target varies.</summary>
    public static BindKind Indirect<TInstruction>(ref Op op)
        where TInstruction : struct, ITerminator
    {
        op.Handler = TPort.Watches ? &WatchedTerminate<TInstruction, TPort>.Branch : &Terminate<TInstruction, TPort>.Indirect;
        return BindKind.Ends;
    }

    /// <summary>Binds what changes mode, translation or the machine's course.</summary>
    public static BindKind Serializing<TInstruction>(ref Op op)
        where TInstruction : struct, ITerminator
    {
        op.Handler = TPort.Watches ? &WatchedTerminate<TInstruction, TPort>.Serializing : &Terminate<TInstruction, TPort>.Serializing;
        return BindKind.Ends;
    }

    private static BindKind BindChecked(in Instruction instruction, ref Op op, BlockMode mode, CpuFeatures features)
    {
        if (instruction.IsInvalid)
        {
            if (instruction.Length < 15)
            {
                return BindKind.Unsupported;
            }

            op.Immediate = (ulong)FaultRule.InstructionTooLong;
            return Serializing<RaiseTooLong>(ref op);
        }

        OperandLayout.Fill(instruction, ref op);
        if (instruction.HasLockPrefix && !OperandLayout.TakesLock(instruction))
        {
            op.Immediate = (ulong)FaultRule.LockNotAllowed;
            return Serializing<RaiseUndefined>(ref op);
        }

        bool prefixed = instruction.Encoding != EncodingKind.Legacy;
        if (!features.Gate.Allows(instruction.Code) || (prefixed && (mode & BlockMode.Real) != 0))
        {
            return BindKind.Unsupported;
        }

        BindKind kind = BitManipulationBinder<TPort>.Bind(instruction, ref op, features);
        kind = kind == BindKind.Unsupported ? IntegerBinder<TPort>.Bind(instruction, ref op) : kind;
        kind = kind == BindKind.Unsupported ? ControlFlowBinder<TPort>.Bind(instruction, ref op) : kind;
        kind = kind == BindKind.Unsupported && TPort.IsSegmented ? LegacyBinder<TPort>.Bind(instruction, ref op) : kind;
        kind = kind == BindKind.Unsupported ? StringBinder<TPort>.Bind(instruction, ref op) : kind;
        kind = kind == BindKind.Unsupported ? SystemBinder<TPort>.Bind(instruction, ref op, mode) : kind;
        kind = kind == BindKind.Unsupported ? SseBinder<TPort>.Bind(instruction, ref op, mode) : kind;
        kind = kind == BindKind.Unsupported ? X87Binder<TPort>.Bind(instruction, ref op, mode) : kind;
        kind = kind == BindKind.Unsupported ? MmxBinder<TPort>.Bind(instruction, ref op, mode) : kind;
        kind = kind == BindKind.Unsupported ? SseLaterBinder<TPort>.Bind(instruction, ref op, mode) : kind;
        kind = kind == BindKind.Unsupported ? AvxBinder<TPort>.Bind(instruction, ref op, mode) : kind;
        return kind == BindKind.Unsupported ? ExtendedStateBinder<TPort>.Bind(instruction, ref op) : kind;
    }
}
