using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds near branches, calls and returns, and the instructions that raise exceptions on purpose.</summary>
internal static unsafe class ControlFlowBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        if (i.IsJccShortOrNear)
        {
            op.Immediate = i.NearBranchTarget;
            return Jcc(i.ConditionCode, ref op);
        }

        switch (i.Mnemonic)
        {
            case Mnemonic.Jmp when i.IsJmpShortOrNear:
                op.Immediate = i.NearBranchTarget;
                return OpBinder<TPort>.Direct<JumpDirect>(ref op);
            case Mnemonic.Jmp or Mnemonic.Call or Mnemonic.Ret:
                return NearSize(i) switch
                {
                    2 => Near<ushort>(i, ref op),
                    4 => Near<uint>(i, ref op),
                    8 => Near<ulong>(i, ref op),
                    _ => BindKind.Unsupported,
                };
            case Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne or Mnemonic.Jrcxz or Mnemonic.Jecxz or Mnemonic.Jcxz:
                return Loop(i, ref op);
            case Mnemonic.Ud2 or Mnemonic.Ud1 or Mnemonic.Ud0:
                op.Immediate = (ulong)FaultRule.ExplicitUndefined;
                return OpBinder<TPort>.Serializing<RaiseUndefined>(ref op);
            default:
                return BindKind.Unsupported;
        }
    }

    /// <summary>The operand size of a near indirect jump, call or return; 0 for another instruction.</summary>
    private static int NearSize(in Instruction i) => i.Code switch
    {
        Code.Call_rel16 or Code.Call_rm16 or Code.Jmp_rm16 or Code.Retnw or Code.Retnw_imm16 => 2,
        Code.Call_rel32_32 or Code.Call_rm32 or Code.Jmp_rm32 or Code.Retnd or Code.Retnd_imm16 => 4,
        Code.Call_rel32_64 or Code.Call_rm64 or Code.Jmp_rm64 or Code.Retnq or Code.Retnq_imm16 => 8,
        _ => 0,
    };

    private static BindKind Near<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T>
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Jmp:
                return i.Op0Kind == OpKind.Register ? OpBinder<TPort>.Indirect<JumpReg<T>>(ref op) : OpBinder<TPort>.Indirect<JumpMem<T>>(ref op);
            case Mnemonic.Ret:
                op.Flags |= OpFlags.ImplicitStack;
                return OpBinder<TPort>.Indirect<Return<T>>(ref op);
            case Mnemonic.Call when i.IsCallNear:
                op.Immediate = i.NearBranchTarget;
                op.Flags |= OpFlags.ImplicitStack;
                return OpBinder<TPort>.Direct<CallDirect<T>>(ref op);
            default:
                op.Flags |= OpFlags.ImplicitStack;
                return i.Op0Kind == OpKind.Register ? OpBinder<TPort>.Indirect<CallReg<T>>(ref op) : OpBinder<TPort>.Indirect<CallMem<T>>(ref op);
        }
    }

    private static BindKind Jcc(ConditionCode condition, ref Op op) => condition switch
    {
        ConditionCode.o => Jcc<Overflow>(ref op),
        ConditionCode.no => Jcc<Negated<Overflow>>(ref op),
        ConditionCode.b => Jcc<Below>(ref op),
        ConditionCode.ae => Jcc<Negated<Below>>(ref op),
        ConditionCode.e => Jcc<Zero>(ref op),
        ConditionCode.ne => Jcc<Negated<Zero>>(ref op),
        ConditionCode.be => Jcc<BelowOrEqual>(ref op),
        ConditionCode.a => Jcc<Negated<BelowOrEqual>>(ref op),
        ConditionCode.s => Jcc<Sign>(ref op),
        ConditionCode.ns => Jcc<Negated<Sign>>(ref op),
        ConditionCode.p => Jcc<Parity>(ref op),
        ConditionCode.np => Jcc<Negated<Parity>>(ref op),
        ConditionCode.l => Jcc<Less>(ref op),
        ConditionCode.ge => Jcc<Negated<Less>>(ref op),
        ConditionCode.le => Jcc<LessOrEqual>(ref op),
        _ => Jcc<Negated<LessOrEqual>>(ref op),
    };

    private static BindKind Jcc<TCondition>(ref Op op)
        where TCondition : struct, ICondition
    {
        op.Handler = TPort.IsSegmented ? &SegmentedBranch<TCondition>.Run : &ConditionalBranch<TCondition>.Run;
        return BindKind.Straight;
    }

    private static BindKind Loop(in Instruction i, ref Op op)
    {
        op.Immediate = i.NearBranchTarget;
        op.Flags |= i.Code switch
        {
            Code.Loop_rel8_64_RCX or Code.Loope_rel8_64_RCX or Code.Loopne_rel8_64_RCX or Code.Jrcxz_rel8_64
                or Code.Loop_rel8_16_RCX or Code.Loope_rel8_16_RCX or Code.Loopne_rel8_16_RCX or Code.Jrcxz_rel8_16 => OpFlags.None,
            Code.Loop_rel8_16_CX or Code.Loope_rel8_16_CX or Code.Loopne_rel8_16_CX or Code.Jcxz_rel8_16
                or Code.Loop_rel8_32_CX or Code.Loope_rel8_32_CX or Code.Loopne_rel8_32_CX or Code.Jcxz_rel8_32 => OpFlags.Address16,
            _ => OpFlags.Address32,
        };
        op.Handler = i.Mnemonic switch
        {
            Mnemonic.Loop => &LoopBranch<LoopAlways>.Run,
            Mnemonic.Loope => &LoopBranch<LoopWhileZero>.Run,
            Mnemonic.Loopne => &LoopBranch<LoopWhileNotZero>.Run,
            _ => &LoopBranch<CountIsZero>.Run,
        };
        return BindKind.Straight;
    }
}

/// <summary>What RIP may hold.</summary>
internal static class BranchTarget
{
    /// <summary>Whether an address is canonical for 48 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsCanonical(ulong address) => ((long)(address << 16) >> 16) == (long)address;

    /// <summary>Whether an address is canonical for 57 bits.</summary>
    public static bool IsCanonical57(ulong address) => ((long)(address << 7) >> 7) == (long)address;

    /// <summary>Whether an address is canonical in the paging mode in force. One that is so for 48 bits costs no look at CR4.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsCanonical(ref CpuState cpu, ulong address) => IsCanonical(address) || IsCanonicalWide(ref cpu, address);

    /// <summary>Whether the instruction pointer may hold a target: a canonical one in 64-bit mode, elsewhere one within CS.limit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsAllowed<TPort>(ref CpuState cpu, ulong target)
        where TPort : struct, IMemoryPort =>
        TPort.IsSegmented ? target <= cpu.Segments[SegmentIndex.Cs].Limit : IsCanonical(ref cpu, target);

    /// <summary>Goes to a target, or records #GP(0).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Go<TPort>(ref CpuState cpu, Vcpu vcpu, ulong target)
        where TPort : struct, IMemoryPort
    {
        if (!IsAllowed<TPort>(ref cpu, target))
        {
            return Refuse(vcpu, target);
        }

        cpu.Rip = target;
        return BlockExit.Branch;
    }

    /// <summary>Records #GP(0) for a target.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static BlockExit Refuse(Vcpu vcpu, ulong target)
    {
        vcpu.Raise(ExceptionVector.GeneralProtection, 0, vcpu.IsCanonical(target) ? FaultRule.CodeLimit : FaultRule.NonCanonicalTarget, target);
        return BlockExit.Fault;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool IsCanonicalWide(ref CpuState cpu, ulong address) => (cpu.Cr4 & Cr4.LA57) != 0 && IsCanonical57(address);
}

/// <summary>JMP to a displacement.</summary>
internal readonly struct JumpDirect : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => BranchTarget.Go<TPort>(ref cpu, vcpu, op.Immediate);
}

/// <summary>JMP to a register.</summary>
internal readonly struct JumpReg<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        BranchTarget.Go<TPort>(ref cpu, vcpu, ulong.CreateTruncating(CpuState.At<T>(ref cpu, op.Dst)));
}

/// <summary>JMP to an address in memory.</summary>
internal readonly struct JumpMem<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out T target)
            ? BranchTarget.Go<TPort>(ref cpu, vcpu, ulong.CreateTruncating(target))
            : vcpu.PendingExit;
}

/// <summary>What calls have in common.</summary>
internal static class Call
{
    /// <summary>Pushes the return address and goes to a target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit To<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong target)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
    {
        if (!BranchTarget.IsAllowed<TPort>(ref cpu, target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        if (!Stack.Push<TPort, T>(ref cpu, vcpu, T.CreateTruncating(op.NextRip)))
        {
            return vcpu.PendingExit;
        }

        cpu.Rip = target;
        return BlockExit.Branch;
    }
}

/// <summary>CALL to a displacement.</summary>
internal readonly struct CallDirect<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => Call.To<TPort, T>(ref cpu, ref op, vcpu, op.Immediate);
}

/// <summary>CALL to a register.</summary>
internal readonly struct CallReg<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => Call.To<TPort, T>(ref cpu, ref op, vcpu, ulong.CreateTruncating(CpuState.At<T>(ref cpu, op.Dst)));
}

/// <summary>CALL to an address in memory.</summary>
internal readonly struct CallMem<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out T target)
            ? Call.To<TPort, T>(ref cpu, ref op, vcpu, ulong.CreateTruncating(target))
            : vcpu.PendingExit;
}

/// <summary>RET, with or without an immediate to add to RSP.</summary>
internal readonly struct Return<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong top = Stack.Pointer<TPort>(ref cpu);
        if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top), out T popped))
        {
            return vcpu.PendingExit;
        }

        ulong target = ulong.CreateTruncating(popped);
        if (!BranchTarget.IsAllowed<TPort>(ref cpu, target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        Stack.SetPointer<TPort>(ref cpu, top + (ulong)sizeof(T) + op.Immediate);
        cpu.Rip = target;
        return BlockExit.Branch;
    }
}

/// <summary>Raises #UD for the rule in the immediate.</summary>
internal readonly struct RaiseUndefined : ITerminator
{
    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        vcpu.Raise(ExceptionVector.InvalidOpcode, null, (FaultRule)op.Immediate);
        return BlockExit.Fault;
    }
}

/// <summary>Raises #GP(0) for an instruction of more than 15 bytes.</summary>
internal readonly struct RaiseTooLong : ITerminator
{
    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        vcpu.RaiseGP(FaultRule.InstructionTooLong);
        return BlockExit.Fault;
    }
}

/// <summary>When LOOP and its kin branch.</summary>
internal interface ILoop
{
    /// <summary>Whether the counter is decremented.</summary>
    static abstract bool Counts { get; }

    /// <summary>Whether the branch is taken, given the counter after the decrement.</summary>
    static abstract bool Taken(ref LazyFlags flags, ulong count);
}

internal readonly struct LoopAlways : ILoop
{
    public static bool Counts => true;

    public static bool Taken(ref LazyFlags flags, ulong count) => count != 0;
}

internal readonly struct LoopWhileZero : ILoop
{
    public static bool Counts => true;

    public static bool Taken(ref LazyFlags flags, ulong count) => count != 0 && flags.ZF;
}

internal readonly struct LoopWhileNotZero : ILoop
{
    public static bool Counts => true;

    public static bool Taken(ref LazyFlags flags, ulong count) => count != 0 && !flags.ZF;
}

internal readonly struct CountIsZero : ILoop
{
    public static bool Counts => false;

    public static bool Taken(ref LazyFlags flags, ulong count) => count == 0;
}

/// <summary>LOOP, LOOPE, LOOPNE, JCXZ, JECXZ and JRCXZ; the address size says whether CX, ECX or RCX counts.</summary>
internal static unsafe class LoopBranch<TLoop>
    where TLoop : struct, ILoop
{
    /// <summary>The handler.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Run(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        ulong count = AnyAddress.Masked(ref *op, cpu->Gpr[GeneralRegister.Rcx] - (TLoop.Counts ? 1UL : 0));
        bool taken = TLoop.Taken(ref cpu->Flags, count);
        if (taken && (op->Flags & OpFlags.Segmented) != 0 && op->Immediate > cpu->Segments[SegmentIndex.Cs].Limit)
        {
            return vcpu.LeaveWith(cpu, op, BranchTarget.Refuse(vcpu, op->Immediate));
        }

        if (TLoop.Counts)
        {
            AnyAddress.Store(ref *cpu, ref *op, GeneralRegister.Rcx, count);
        }

        return taken ? ConditionalBranch.Take(cpu, op, vcpu, op->Immediate) : op[1].Handler(cpu, op + 1, vcpu);
    }
}
