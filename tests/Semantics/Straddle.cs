using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>Moves operands so that they lie across the end of a page of the oracle's scratch memory.</summary>
internal static class Straddle
{
    private const int Boundary = 0x2000;

    /// <summary>
    /// Moves the memory operand of a state, with its bytes, to begin <paramref name="before"/> bytes below a page's end. False where the
    /// form has none that can be moved or that may cross a page; the state is to be dropped then.
    /// </summary>
    public static bool TryMove(HostProcessor host, InstructionForm form, int before, ref HostState state)
    {
        Instruction instruction = form.Instruction;
        if (instruction.IsStringInstruction)
        {
            state[Register.RSI] += Distance(host, state[Register.RSI], before);
            state[Register.RDI] += Distance(host, state[Register.RDI], before);
            return true;
        }

        bool moves = instruction.MemoryBase != Register.None && instruction.MemorySize.GetSize() > before
            && !instruction.IsVsib
            && instruction.Mnemonic is not (Mnemonic.Ldmxcsr or Mnemonic.Vldmxcsr or Mnemonic.Cmpxchg16b or Mnemonic.Lea or Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Xlatb)
            && !(instruction.MemoryBase.GetFullRegister() == Register.RSP && instruction.IsStackInstruction);
        if (!moves)
        {
            return false;
        }

        ref ulong register = ref state[instruction.MemoryBase];
        register += Distance(host, Address(instruction, state), before);
        return Address(instruction, state) == host.ScratchAddress + Boundary - (ulong)before;
    }

    private static ulong Distance(HostProcessor host, ulong address, int before) =>
        host.ScratchAddress + Boundary - (ulong)before - (uint)address;

    private static ulong Address(in Instruction instruction, HostState state)
    {
        int operand = 0;
        while (instruction.GetOpKind(operand) != OpKind.Memory)
        {
            operand++;
        }

        return instruction.GetVirtualAddress(operand, 0, (register, _, _) =>
            register.IsSegmentRegister() ? 0 : register.IsGPR32() ? (uint)state[register] : state[register]);
    }
}
