using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>
/// A decoded instruction, one cache line: the handler that runs it and its operands, with registers as byte offsets into
/// <see cref="CpuState"/>. The next one of the block follows it in memory.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
internal unsafe struct Op
{
    /// <summary>Runs this operation and, by tail call, the rest of its block.</summary>
    public delegate*<CpuState*, Op*, Vcpu, BlockExit> Handler;

    /// <summary>The displacement of the memory operand; for a RIP-relative one the whole address.</summary>
    public ulong Displacement;

    /// <summary>
    /// The immediate, sign-extended; the target of a direct branch. A fused branch has both: the immediate in the low half, and in the
    /// high half the target, counted from <see cref="Rip"/>.
    /// </summary>
    public ulong Immediate;

    /// <summary>The instruction pointer at the instruction; outside 64-bit mode an offset in CS.</summary>
    public ulong Rip;

    /// <summary>Where a direct branch led last time; never null.</summary>
    public Block* Link;

    /// <summary>What leaving the block after this operation adds to <see cref="CpuState.Meter"/>: accesses made, less instructions retired.</summary>
    public ulong Toll;

    /// <summary>The destination register.</summary>
    public ushort Dst;

    /// <summary>The source register.</summary>
    public ushort Src;

    /// <summary>The base register, or the zero register.</summary>
    public ushort Base;

    /// <summary>The index register, or the zero register.</summary>
    public ushort Index;

    /// <summary>log2 of the index's scale.</summary>
    public byte Scale;

    /// <summary>The segment of the memory operand, an index into <see cref="SegmentRegisters"/>.</summary>
    public byte Segment;

    /// <summary>The instruction's length in bytes.</summary>
    public byte Length;

    /// <summary>Prefixes and properties that the handler looks at.</summary>
    public OpFlags Flags;

    /// <summary>Instructions of the block that come before this one.</summary>
    public byte Before;

    /// <summary>Data accesses of the block up to and including this operation's.</summary>
    public byte Accesses;

    /// <summary>The third register: the second source of a VEX-encoded instruction, or a mask.</summary>
    public ushort Third;

    /// <summary>The instruction pointer at the following instruction.</summary>
    public readonly ulong NextRip => Rip + Length;
}

/// <summary>Prefixes and properties of an operation.</summary>
[Flags]
internal enum OpFlags : byte
{
    /// <summary>Nothing special.</summary>
    None = 0,

    /// <summary>The address size is 32 bits.</summary>
    Address32 = 1 << 0,

    /// <summary>REP or REPE.</summary>
    Rep = 1 << 1,

    /// <summary>REPNE.</summary>
    Repne = 1 << 2,

    /// <summary>A non-canonical address raises #SS rather than #GP.</summary>
    Stack = 1 << 3,

    /// <summary>The instruction pushes or pops beside its operand: near RSP, a non-canonical address raises #SS.</summary>
    ImplicitStack = 1 << 4,

    /// <summary>The instruction is not of 64-bit mode: its addresses are <see cref="SegmentedAddress"/>es.</summary>
    Segmented = 1 << 5,

    /// <summary>The address size is 16 bits.</summary>
    Address16 = 1 << 6,

    /// <summary>A branch that is always taken.</summary>
    Branch = 1 << 7,
}
