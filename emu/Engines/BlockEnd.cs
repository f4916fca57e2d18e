using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>The last operation of every block: leads on to the instruction that follows it.</summary>
internal readonly struct BlockEnd : ITerminator
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        cpu.Rip = op.Immediate;
        return BlockExit.Branch;
    }

    /// <summary>Takes the place of every handler of a block whose bytes were overwritten: even the block that did it notices at its next operation.</summary>
    public static unsafe BlockExit Stale(CpuState* cpu, Op* op, Vcpu vcpu) => vcpu.LeaveWith(cpu, op, BlockExit.Restart);
}
