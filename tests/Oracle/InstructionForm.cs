using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>One encoded instruction in 64-bit mode.</summary>
/// <param name="Instruction">What was encoded; its operands say which registers hold addresses.</param>
/// <param name="Bytes">1 to 15 bytes.</param>
public sealed record InstructionForm(Instruction Instruction, byte[] Bytes);
