using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>Handlers of conditional branches: not taken, the block goes on; taken, the link is followed.</summary>
internal static unsafe class ConditionalBranch
{
    /// <summary>Leaves the block for a direct target, with the meter paid.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Take(CpuState* cpu, Op* op, Vcpu vcpu, ulong target)
    {
        ulong meter = cpu->Meter += op->Toll;
        Block* next = op->Link;
        if (next->Epoch == cpu->Epoch && (int)meter >= next->Count)
        {
            Op* first = Block.Ops(next);
            return first->Handler(cpu, first, vcpu);
        }

        cpu->Rip = target;
        cpu->Current = op;
        return BlockExit.Branch;
    }
}

/// <summary>Jcc.</summary>
internal static unsafe class ConditionalBranch<TCondition>
    where TCondition : struct, ICondition
{
    /// <summary>The handler.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Run(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        if (!TCondition.Test(ref cpu->Flags))
        {
            return op[1].Handler(cpu, op + 1, vcpu);
        }

        return ConditionalBranch.Take(cpu, op, vcpu, op->Immediate);
    }
}

/// <summary>Jcc outside 64-bit mode, whose target must lie within CS.limit.</summary>
internal static unsafe class SegmentedBranch<TCondition>
    where TCondition : struct, ICondition
{
    /// <summary>The handler.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Run(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        if (!TCondition.Test(ref cpu->Flags))
        {
            return op[1].Handler(cpu, op + 1, vcpu);
        }

        return op->Immediate <= cpu->Segments[SegmentIndex.Cs].Limit
            ? ConditionalBranch.Take(cpu, op, vcpu, op->Immediate)
            : vcpu.LeaveWith(cpu, op, BranchTarget.Refuse(vcpu, op->Immediate));
    }
}

/// <summary>An arithmetic instruction and the Jcc after it, as one operation.</summary>
internal static unsafe class FusedBranch<TOperation, TForm, T, TCondition>
    where TOperation : struct, IBinaryOperation
    where TForm : struct, IFusedForm
    where T : unmanaged, IBinaryInteger<T>
    where TCondition : struct, ICondition
{
    /// <summary>The handler.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Run(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        if (!TForm.Operands(ref *cpu, ref *op, vcpu, out T a, out T b))
        {
            return vcpu.LeaveBefore(cpu, op);
        }

        T result = TOperation.Apply(ref cpu->Flags, a, b);
        if (TOperation.Writes)
        {
            CpuState.Set(ref *cpu, op->Dst, result);
        }

        bool taken = typeof(TOperation) == typeof(Cmp) ? TCondition.AfterCompare(a, b)
            : typeof(TOperation) == typeof(Test) || typeof(TOperation) == typeof(And) ? TCondition.AfterLogic(result)
            : TCondition.Test(ref cpu->Flags);
        if (!taken)
        {
            return op[1].Handler(cpu, op + 1, vcpu);
        }

        return ConditionalBranch.Take(cpu, op, vcpu, op->Rip + (ulong)((long)op->Immediate >> 32));
    }
}

/// <summary>Where the operands of a fused branch come from.</summary>
internal interface IFusedForm
{
    /// <summary>Reads both.</summary>
    static abstract bool Operands<T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T a, out T b)
        where T : unmanaged, IBinaryInteger<T>;
}

internal readonly struct FusedRegReg : IFusedForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Operands<T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T a, out T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        a = CpuState.At<T>(ref cpu, op.Dst);
        b = CpuState.At<T>(ref cpu, op.Src);
        return true;
    }
}

internal readonly struct FusedRegImm : IFusedForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Operands<T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T a, out T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        a = CpuState.At<T>(ref cpu, op.Dst);
        b = T.CreateTruncating((int)op.Immediate);
        return true;
    }
}

internal readonly struct FusedRegMem : IFusedForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Operands<T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T a, out T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        a = CpuState.At<T>(ref cpu, op.Dst);
        return ProcessorPort.Read(ref cpu, vcpu, BaseIndex.Of(ref cpu, ref op), out b);
    }
}

internal readonly struct FusedMemReg : IFusedForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Operands<T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T a, out T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        b = CpuState.At<T>(ref cpu, op.Src);
        return ProcessorPort.Read(ref cpu, vcpu, BaseIndex.Of(ref cpu, ref op), out a);
    }
}

internal readonly struct FusedMemImm : IFusedForm
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Operands<T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T a, out T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        b = T.CreateTruncating((int)op.Immediate);
        return ProcessorPort.Read(ref cpu, vcpu, BaseIndex.Of(ref cpu, ref op), out a);
    }
}
