using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>An opcode, and whether an operand of it lies in memory.</summary>
internal readonly record struct OpcodeShape(Code Code, bool HasMemory)
{
    /// <summary>The shape of an instruction.</summary>
    public static OpcodeShape Of(in Instruction instruction)
    {
        bool memory = false;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            memory |= instruction.GetOpKind(i) is OpKind.Memory or (>= OpKind.MemorySegSI and <= OpKind.MemoryESRDI);
        }

        return new OpcodeShape(instruction.Code, memory);
    }
}
