using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>What the SDM leaves undefined after an instruction, given the state it ran on.</summary>
internal static class UndefinedState
{
    /// <summary>The undefined status flags, as bits of RFLAGS.</summary>
    public static ulong Flags(in Instruction instruction, in HostState before) => instruction.Mnemonic switch
    {
        Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr => Shift(instruction, before, losesCarry: true),
        Mnemonic.Sar => Shift(instruction, before, losesCarry: false),
        Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr => Count(instruction, before) > 1 ? Bit(RflagsBits.OF) : 0,
        Mnemonic.Shld or Mnemonic.Shrd => DoubleShift(instruction, before),
        _ => Bits(instruction.RflagsUndefined),
    };

    /// <summary>Whether the SDM leaves the destination itself undefined.</summary>
    public static bool Destination(in Instruction instruction, in HostState before, in HostState after) => instruction.Mnemonic switch
    {
        Mnemonic.Shld or Mnemonic.Shrd => Count(instruction, before) > Width(instruction),
        Mnemonic.Bsf or Mnemonic.Bsr => (after.Rflags & Bit(RflagsBits.ZF)) != 0,
        Mnemonic.Bswap => Width(instruction) == 16,
        _ => false,
    };

    private static ulong Shift(in Instruction instruction, in HostState before, bool losesCarry)
    {
        int count = Count(instruction, before);
        if (count == 0)
        {
            return 0;
        }

        return Bit(RflagsBits.AF) | (count > 1 ? Bit(RflagsBits.OF) : 0) | (losesCarry && count >= Width(instruction) ? Bit(RflagsBits.CF) : 0);
    }

    private static ulong DoubleShift(in Instruction instruction, in HostState before)
    {
        int count = Count(instruction, before);
        return count == 0 ? 0
            : count > Width(instruction) ? HostState.StatusFlags
            : Bit(RflagsBits.AF) | (count > 1 ? Bit(RflagsBits.OF) : 0);
    }

    private static int Count(in Instruction instruction, in HostState before)
    {
        int operand = instruction.OpCount - 1;
        ulong count = instruction.GetOpKind(operand) == OpKind.Register ? before.Gpr[1] : instruction.GetImmediate(operand);
        return (int)count & (Width(instruction) == 64 ? 63 : 31);
    }

    private static int Width(in Instruction instruction) => 8 * (instruction.Op0Kind == OpKind.Memory
        ? instruction.MemorySize.GetSize()
        : instruction.Op0Register.GetSize());

    private static ulong Bit(RflagsBits flag) => Bits(flag);

    private static ulong Bits(RflagsBits flags) =>
        ((flags & RflagsBits.CF) != 0 ? 1ul << 0 : 0) | ((flags & RflagsBits.PF) != 0 ? 1ul << 2 : 0)
        | ((flags & RflagsBits.AF) != 0 ? 1ul << 4 : 0) | ((flags & RflagsBits.ZF) != 0 ? 1ul << 6 : 0)
        | ((flags & RflagsBits.SF) != 0 ? 1ul << 7 : 0) | ((flags & RflagsBits.OF) != 0 ? 1ul << 11 : 0);
}
