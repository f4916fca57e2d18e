using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>The state of the x87 unit (SDM Vol. 1, 8.1).</summary>
[StructLayout(LayoutKind.Sequential)]
[SuppressMessage("Design", "CA1051:Do not declare visible instance fields", Justification = "A record of machine words.")]
public struct X87State
{
    /// <summary>The distance of one register from the next.</summary>
    internal const int RegisterBytes = 16;

    /// <summary>R0 to R7 as they are numbered physically: ST(i) is R((TOP + i) mod 8), MMi is the significand of Ri.</summary>
    public X87Registers Registers;

    /// <summary>The control word.</summary>
    public ushort Control;

    /// <summary>The status word but for TOP, whose bits are 0 here.</summary>
    public ushort Status;

    /// <summary>The last opcode, 11 bits.</summary>
    public ushort Opcode;

    /// <summary>Which physical registers are in use, bit i for Ri, as FXSAVE writes it.</summary>
    public byte Tags;

    /// <summary>TOP, 0 to 7.</summary>
    public byte Top;

    /// <summary>The address of the last instruction that was no control instruction.</summary>
    public ulong InstructionPointer;

    /// <summary>The address of its memory operand.</summary>
    public ulong DataPointer;

    /// <summary>CS at that instruction.</summary>
    public ushort InstructionSelector;

    /// <summary>The segment of its memory operand.</summary>
    public ushort DataSelector;
}

/// <summary>R0 to R7.</summary>
[InlineArray(8)]
public struct X87Registers
{
    private X87Register first;
}

/// <summary>An 80-bit register.</summary>
[StructLayout(LayoutKind.Sequential, Size = X87State.RegisterBytes)]
[SuppressMessage("Design", "CA1051:Do not declare visible instance fields", Justification = "A record of machine words.")]
public struct X87Register
{
    /// <summary>The significand, its integer bit explicit; an MMX register.</summary>
    public ulong Significand;

    /// <summary>The sign in bit 15 and the biased exponent.</summary>
    public ushort SignExponent;

    internal X87Register(uint signExponent, ulong significand)
    {
        Significand = significand;
        SignExponent = (ushort)signExponent;
    }
}
