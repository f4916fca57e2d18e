using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>
/// Threads operations into a chain: each handler ends in a jump to the next one's, so that a block runs without returning to the
/// loop, and each indirect jump has its own place in the host's branch predictor.
/// </summary>
/// <remarks>
/// The jumps are tail calls that the JIT makes of calls in return position. Handlers are compiled optimized from the start, since an
/// unoptimized one would be a call; even then the slice of the meter bounds how deep they could nest.
/// <para>
/// What keeps a handler fast is invisible here. The JIT makes the call a jump only where no local of the handler has its address taken:
/// what an instruction passes by reference to a method that is not inlined must lie in <see cref="CpuState"/>, or the whole instruction
/// must not be inlined. And it sets up a frame pointer in every method of more than 100 bytes of IL, which is why the ports that watch have
/// handlers of their own (<see cref="WatchedChain{TInstruction, TPort}"/>).
/// </para>
/// </remarks>
internal static unsafe class Chain<TInstruction, TPort>
    where TInstruction : struct, IInstruction
    where TPort : struct, IMemoryPort
{
    // SAFETY: op lies in a block, whose last operation never goes on to the next.

    /// <summary>The handler of an instruction that goes on to the next.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Run(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        if (!TInstruction.Execute<TPort>(ref *cpu, ref *op, vcpu))
        {
            return vcpu.LeaveBefore(cpu, op);
        }

        return op[1].Handler(cpu, op + 1, vcpu);
    }
}

/// <summary>Handlers of instructions that set RIP themselves.</summary>
internal static unsafe class Terminate<TInstruction, TPort>
    where TInstruction : struct, ITerminator
    where TPort : struct, IMemoryPort
{
    /// <summary>Executes and follows the block table where it knows the target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Indirect(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        BlockExit exit = TInstruction.Execute<TPort>(ref *cpu, ref *op, vcpu);
        if (exit != BlockExit.Branch)
        {
            return vcpu.LeaveWith(cpu, op, exit);
        }

        ulong meter = cpu->Meter += op->Toll;
        Block* next = cpu->BlockTable[CodeCache.Slot(cpu->Rip)];
        if (next->Rip == cpu->Rip && next->Epoch == cpu->Epoch && next->Mode == cpu->Mode && (int)meter >= next->Count)
        {
            Op* first = Block.Ops(next);
            return first->Handler(cpu, first, vcpu);
        }

        return BlockExit.Branch;
    }

    /// <summary>Executes and follows the link; the target is always the same.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Direct(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        BlockExit exit = TInstruction.Execute<TPort>(ref *cpu, ref *op, vcpu);
        if (exit != BlockExit.Branch)
        {
            return vcpu.LeaveWith(cpu, op, exit);
        }

        ulong meter = cpu->Meter += op->Toll;
        Block* next = op->Link;
        if (next->Epoch == cpu->Epoch && (int)meter >= next->Count)
        {
            Op* first = Block.Ops(next);
            return first->Handler(cpu, first, vcpu);
        }

        cpu->Current = op;
        return BlockExit.Branch;
    }

    /// <summary>Executes what changes the mode or the translation: back to the loop, which looks at everything again.</summary>
    public static BlockExit Serializing(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        BlockExit exit = TInstruction.Execute<TPort>(ref *cpu, ref *op, vcpu);
        if (exit != BlockExit.Branch)
        {
            return vcpu.LeaveWith(cpu, op, exit);
        }

        cpu->Meter += op->Toll;
        return BlockExit.Branch;
    }
}
