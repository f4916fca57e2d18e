using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>Which instructions the test process may run on its own processor and go on living.</summary>
internal static class StubRules
{
    /// <exception cref="ArgumentException">
    /// The instruction is not exactly these bytes, leaves the stub, or writes state the stub does not save.
    /// </exception>
    public static byte[] CheckFallsThrough(ReadOnlySpan<byte> bytes)
    {
        Instruction instruction = Decode(bytes, out _);
        OpCodeInfo opCode = instruction.OpCode;
        bool refused = instruction.FlowControl != FlowControl.Next
            || opCode.IsPrivileged
            || instruction.IsIPRelativeMemoryOperand
            || instruction.Mnemonic is Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Popfq;
        for (int i = 0; i < instruction.OpCount && !refused; i++)
        {
            Register register = instruction.GetOpKind(i) == OpKind.Register ? instruction.GetOpRegister(i) : Register.None;
            refused = register != Register.None && !register.IsGPR() && !register.IsXMM() && !register.IsYMM() && !register.IsMM() && !register.IsST();
        }

        if (refused)
        {
            throw new ArgumentException($"{instruction} cannot run inside a stub");
        }

        return bytes.ToArray();
    }

    /// <summary>The same relative jump with its target <paramref name="distance"/> bytes after its end.</summary>
    /// <exception cref="ArgumentException">The instruction is not exactly these bytes, or not a relative jump.</exception>
    public static byte[] Retarget(ReadOnlySpan<byte> bytes, int distance)
    {
        Instruction instruction = Decode(bytes, out ConstantOffsets offsets);
        if (instruction.FlowControl is not (FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)
            || instruction.Op0Kind != OpKind.NearBranch64)
        {
            throw new ArgumentException($"{instruction} is not a relative jump");
        }

        return WithDisplacement(bytes, offsets, distance);
    }

    /// <summary>A near transfer; a relative CALL with its target <paramref name="distance"/> bytes after its end.</summary>
    /// <exception cref="ArgumentException">The instruction is not exactly these bytes, or no near CALL, RET or indirect JMP of 64 bits.</exception>
    public static byte[] CheckNear(ReadOnlySpan<byte> bytes, int distance)
    {
        Instruction instruction = Decode(bytes, out ConstantOffsets offsets);
        if (instruction.Code is not (Code.Call_rel32_64 or Code.Call_rm64 or Code.Jmp_rm64 or Code.Retnq or Code.Retnq_imm16)
            || instruction.IsIPRelativeMemoryOperand)
        {
            throw new ArgumentException($"{instruction} is not a near transfer that a stub can hold");
        }

        return instruction.Code == Code.Call_rel32_64 ? WithDisplacement(bytes, offsets, distance) : bytes.ToArray();
    }

    private static byte[] WithDisplacement(ReadOnlySpan<byte> bytes, in ConstantOffsets offsets, int distance)
    {
        byte[] jump = bytes.ToArray();
        Span<byte> displacement = jump.AsSpan(offsets.ImmediateOffset, offsets.ImmediateSize);
        displacement.Clear();
        displacement[0] = checked((byte)distance);
        return jump;
    }

    private static Instruction Decode(ReadOnlySpan<byte> bytes, out ConstantOffsets offsets)
    {
        Decoder decoder = Decoder.Create(64, bytes.ToArray());
        decoder.Decode(out Instruction instruction);
        if (instruction.IsInvalid || instruction.Length != bytes.Length)
        {
            throw new ArgumentException($"{Convert.ToHexString(bytes)} is not exactly one instruction");
        }

        offsets = decoder.GetConstantOffsets(instruction);
        return instruction;
    }
}
