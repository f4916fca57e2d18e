using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>
/// A run of decoded instructions with one entry: through conditional branches not taken and direct jumps within the page, up to
/// one that leads elsewhere. Its operations follow it in memory; the last leads on to the next instruction.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
internal unsafe struct Block
{
    /// <summary>Not a frame.</summary>
    public const ulong NoFrame = ulong.MaxValue;

    /// <summary>The instruction pointer at the first instruction.</summary>
    public ulong Rip;

    /// <summary>The TLB epoch at which the translation of <see cref="Rip"/> was last confirmed; 0 once the block is invalid.</summary>
    public ulong Epoch;

    /// <summary>The host address of the 4 KiB frame the bytes came from.</summary>
    public ulong Frame;

    /// <summary>The frame of the bytes beyond the page, where the only instruction crosses into it; else <see cref="NoFrame"/>.</summary>
    public ulong SecondFrame;

    /// <summary>The 64-byte lines of <see cref="Frame"/> that the instructions touch, a bit each.</summary>
    public ulong Lines;

    /// <summary>The mode it was decoded for.</summary>
    public BlockMode Mode;

    /// <summary>How many instructions it has.</summary>
    public int Count;

    /// <summary>How many operations it has, the last one included.</summary>
    public int OpCount;

    /// <summary>Less the instruction pointer, the linear address: the base of CS outside 64-bit mode, else 0.</summary>
    public ulong CodeBase;

    /// <summary>The first operation of a block.</summary>
    public static Op* Ops(Block* block) => (Op*)(block + 1);
}
