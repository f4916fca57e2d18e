using System.Runtime.Intrinsics;
using Iced.Intel;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Bits 256 and up of vector registers, of which the oracle knows nothing: a VEX-encoded instruction clears them in what it writes.</summary>
internal static class UpperBits
{
    private static readonly InstructionInfoFactory Information = new();

    /// <summary>The vector registers that an instruction writes, bit i for ZMMi.</summary>
    public static uint Written(in Instruction instruction)
    {
        uint written = 0;
        foreach (UsedRegister used in Information.GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Register.IsVectorRegister() && used.Access is OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite)
            {
                written |= 1u << (used.Register.GetFullRegister() - Register.ZMM0);
            }
        }

        return written;
    }

    /// <summary>
    /// What is wrong after a VEX-encoded instruction that began with <see cref="GuestRegisters.Above"/> in all of them; null if nothing is.
    /// </summary>
    /// <param name="written">The answer of <see cref="Written"/>.</param>
    /// <param name="cpu">The processor that ran it.</param>
    public static string? Check(uint written, Vcpu cpu)
    {
        for (int i = 0; i < 16; i++)
        {
            Vector256<ulong> upper = cpu.State.Vector[i].GetUpper().AsUInt64();
            if (upper != ((written >> i & 1) != 0 ? Vector256<ulong>.Zero : GuestRegisters.Above))
            {
                return $"zmm{i} above bit 255: {upper}";
            }
        }

        return null;
    }
}
