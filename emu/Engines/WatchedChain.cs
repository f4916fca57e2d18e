using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>Handlers for ports that look for data breakpoints: an instruction whose accesses met one is the last of its chain.</summary>
internal static unsafe class WatchedChain<TInstruction, TPort>
    where TInstruction : struct, IInstruction
    where TPort : struct, IMemoryPort
{
    /// <summary>The handler of an instruction that goes on to the next.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Run(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        vcpu.Debug.Begin();
        if (!TInstruction.Execute<TPort>(ref *cpu, ref *op, vcpu))
        {
            return vcpu.LeaveBefore(cpu, op);
        }

        if (vcpu.Debug.IsHit)
        {
            cpu->Meter += op->Toll;
            cpu->Rip = op->NextRip;
            return BlockExit.Branch;
        }

        return op[1].Handler(cpu, op + 1, vcpu);
    }
}

/// <summary>Handlers of instructions that set RIP themselves, for ports that look for data breakpoints.</summary>
internal static unsafe class WatchedTerminate<TInstruction, TPort>
    where TInstruction : struct, ITerminator
    where TPort : struct, IMemoryPort
{
    /// <summary>Executes a branch and follows the block table where it knows the target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BlockExit Branch(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        BlockExit exit = Serializing(cpu, op, vcpu);
        if (exit != BlockExit.Branch || vcpu.Debug.IsHit)
        {
            return exit;
        }

        Block* next = cpu->BlockTable[CodeCache.Slot(cpu->Rip)];
        if (next->Rip == cpu->Rip && next->Epoch == cpu->Epoch && next->Mode == cpu->Mode && cpu->Remaining >= next->Count)
        {
            Op* first = Block.Ops(next);
            return first->Handler(cpu, first, vcpu);
        }

        return BlockExit.Branch;
    }

    /// <summary>Executes and goes back to the loop.</summary>
    public static BlockExit Serializing(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        vcpu.Debug.Begin();
        BlockExit exit = TInstruction.Execute<TPort>(ref *cpu, ref *op, vcpu);
        if (exit != BlockExit.Branch)
        {
            return vcpu.LeaveWith(cpu, op, exit);
        }

        cpu->Meter += op->Toll;
        return BlockExit.Branch;
    }
}
