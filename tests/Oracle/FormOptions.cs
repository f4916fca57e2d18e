namespace Quadwalk.Tests;

/// <summary>What <see cref="InstructionForms"/> may use in operands.</summary>
/// <param name="StackPointer">SP, ESP and RSP (and SPL) among the register operands.</param>
/// <param name="AbsoluteAddress">
/// The address for operands that carry one in the instruction (MOV moffs), which are left out when it is null.
/// </param>
public sealed record FormOptions(bool StackPointer = false, ulong? AbsoluteAddress = null);
