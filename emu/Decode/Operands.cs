using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>How much of address computation a memory operand needs.</summary>
internal enum AddressShape
{
    /// <summary><see cref="Emulation.BaseDisplacement"/>.</summary>
    BaseDisplacement,

    /// <summary><see cref="Emulation.BaseIndex"/>.</summary>
    BaseIndex,

    /// <summary><see cref="AnyAddress"/>.</summary>
    Any,
}

/// <summary>Questions that binders ask of operands.</summary>
internal static class Operands
{
    /// <summary>The shape of the memory operand.</summary>
    public static AddressShape Shape(in Op op)
    {
        if ((op.Flags & (OpFlags.Address32 | OpFlags.Segmented)) != 0 || op.Segment >= SegmentIndex.Fs)
        {
            return AddressShape.Any;
        }

        return op.Index == OperandLayout.Zero ? AddressShape.BaseDisplacement : AddressShape.BaseIndex;
    }

    /// <summary>The width in bytes of the first operand.</summary>
    public static int Width(in Instruction instruction) => Width(instruction, 0);

    /// <summary>The width in bytes of an operand that is a register or memory.</summary>
    public static int Width(in Instruction instruction, int operand) =>
        instruction.GetOpKind(operand) == OpKind.Register
            ? instruction.GetOpRegister(operand).GetSize()
            : instruction.MemorySize.GetSize();
}
