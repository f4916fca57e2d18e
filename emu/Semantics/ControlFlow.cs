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
            case Mnemonic.Call when i.IsCallNear:
                op.Immediate = i.NearBranchTarget;
                op.Flags |= OpFlags.ImplicitStack;
                return OpBinder<TPort>.Direct<CallDirect>(ref op);
            case Mnemonic.Jmp when i.IsJmpNearIndirect && i.Op0Kind == OpKind.Register:
                return OpBinder<TPort>.Indirect<JumpReg>(ref op);
            case Mnemonic.Jmp when i.IsJmpNearIndirect:
                return OpBinder<TPort>.Indirect<JumpMem>(ref op);
            case Mnemonic.Call when i.IsCallNearIndirect:
                op.Flags |= OpFlags.ImplicitStack;
                return i.Op0Kind == OpKind.Register ? OpBinder<TPort>.Indirect<CallReg>(ref op) : OpBinder<TPort>.Indirect<CallMem>(ref op);
            case Mnemonic.Ret:
                op.Flags |= OpFlags.ImplicitStack;
                return OpBinder<TPort>.Indirect<Return>(ref op);
            case Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne or Mnemonic.Jrcxz or Mnemonic.Jecxz:
                return Loop(i, ref op);
            case Mnemonic.Ud2 or Mnemonic.Ud1 or Mnemonic.Ud0:
                op.Immediate = (ulong)FaultRule.ExplicitUndefined;
                return OpBinder<TPort>.Serializing<RaiseUndefined>(ref op);
            default:
                return BindKind.Unsupported;
        }
    }

    private static BindKind Jcc(ConditionCode condition, ref Op op)
    {
        op.Handler = condition switch
        {
            ConditionCode.o => &ConditionalBranch<Overflow>.Run,
            ConditionCode.no => &ConditionalBranch<Negated<Overflow>>.Run,
            ConditionCode.b => &ConditionalBranch<Below>.Run,
            ConditionCode.ae => &ConditionalBranch<Negated<Below>>.Run,
            ConditionCode.e => &ConditionalBranch<Zero>.Run,
            ConditionCode.ne => &ConditionalBranch<Negated<Zero>>.Run,
            ConditionCode.be => &ConditionalBranch<BelowOrEqual>.Run,
            ConditionCode.a => &ConditionalBranch<Negated<BelowOrEqual>>.Run,
            ConditionCode.s => &ConditionalBranch<Sign>.Run,
            ConditionCode.ns => &ConditionalBranch<Negated<Sign>>.Run,
            ConditionCode.p => &ConditionalBranch<Parity>.Run,
            ConditionCode.np => &ConditionalBranch<Negated<Parity>>.Run,
            ConditionCode.l => &ConditionalBranch<Less>.Run,
            ConditionCode.ge => &ConditionalBranch<Negated<Less>>.Run,
            ConditionCode.le => &ConditionalBranch<LessOrEqual>.Run,
            _ => &ConditionalBranch<Negated<LessOrEqual>>.Run,
        };
        return BindKind.Straight;
    }

    private static BindKind Loop(in Instruction i, ref Op op)
    {
        op.Immediate = i.NearBranchTarget;
        op.Flags |= i.Code is Code.Loop_rel8_64_ECX or Code.Loope_rel8_64_ECX or Code.Loopne_rel8_64_ECX or Code.Jecxz_rel8_64 ? OpFlags.Address32 : 0;
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

    /// <summary>Goes to a target, or records #GP(0).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Go(ref CpuState cpu, Vcpu vcpu, ulong target)
    {
        if (!IsCanonical(target))
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
        vcpu.Raise(ExceptionVector.GeneralProtection, 0, FaultRule.NonCanonicalTarget, target);
        return BlockExit.Fault;
    }
}

/// <summary>JMP to a displacement.</summary>
internal readonly struct JumpDirect : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => BranchTarget.Go(ref cpu, vcpu, op.Immediate);
}

/// <summary>JMP to a register.</summary>
internal readonly struct JumpReg : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => BranchTarget.Go(ref cpu, vcpu, CpuState.At<ulong>(ref cpu, op.Dst));
}

/// <summary>JMP to an address in memory.</summary>
internal readonly struct JumpMem : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out ulong target) ? BranchTarget.Go(ref cpu, vcpu, target) : vcpu.PendingExit;
}

/// <summary>What calls have in common.</summary>
internal static class Call
{
    /// <summary>Pushes the return address and goes to a target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit To<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong target)
        where TPort : struct, IMemoryPort
    {
        if (!BranchTarget.IsCanonical(target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        ulong stack = cpu.Gpr[GeneralRegister.Rsp] - sizeof(ulong);
        if (!TPort.Write(ref cpu, vcpu, stack, op.NextRip))
        {
            return vcpu.PendingExit;
        }

        cpu.Gpr[GeneralRegister.Rsp] = stack;
        cpu.Rip = target;
        return BlockExit.Branch;
    }
}

/// <summary>CALL to a displacement.</summary>
internal readonly struct CallDirect : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => Call.To<TPort>(ref cpu, ref op, vcpu, op.Immediate);
}

/// <summary>CALL to a register.</summary>
internal readonly struct CallReg : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => Call.To<TPort>(ref cpu, ref op, vcpu, CpuState.At<ulong>(ref cpu, op.Dst));
}

/// <summary>CALL to an address in memory.</summary>
internal readonly struct CallMem : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out ulong target) ? Call.To<TPort>(ref cpu, ref op, vcpu, target) : vcpu.PendingExit;
}

/// <summary>RET, with or without an immediate to add to RSP.</summary>
internal readonly struct Return : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, cpu.Gpr[GeneralRegister.Rsp], out ulong target))
        {
            return vcpu.PendingExit;
        }

        if (!BranchTarget.IsCanonical(target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        cpu.Gpr[GeneralRegister.Rsp] += sizeof(ulong) + op.Immediate;
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

/// <summary>LOOP, LOOPE, LOOPNE, JECXZ and JRCXZ; the address size says whether ECX or RCX counts.</summary>
internal static unsafe class LoopBranch<TLoop>
    where TLoop : struct, ILoop
{
    /// <summary>The handler.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Run(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        bool narrow = (op->Flags & OpFlags.Address32) != 0;
        ulong count = cpu->Gpr[GeneralRegister.Rcx];
        if (TLoop.Counts)
        {
            count = narrow ? (uint)(count - 1) : count - 1;
            cpu->Gpr[GeneralRegister.Rcx] = count;
        }

        if (!TLoop.Taken(ref cpu->Flags, narrow ? (uint)count : count))
        {
            return op[1].Handler(cpu, op + 1, vcpu);
        }

        return ConditionalBranch.Take(cpu, op, vcpu, op->Immediate);
    }
}
