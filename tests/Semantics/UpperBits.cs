using System.Runtime.Intrinsics;
using Iced.Intel;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Bits 256 and up of vector registers, of which the oracle knows nothing: a VEX-encoded instruction clears them in what it writes.</summary>
internal static class UpperBits
{
    private static readonly InstructionInfoFactory Information = new();

    /// <summary>What is wrong after an instruction that began with <see cref="GuestRegisters.Above"/> in all of them; null if nothing is.</summary>
    public static string? Check(in Instruction instruction, Vcpu cpu)
    {
        HashSet<Register> written = [];
        foreach (UsedRegister used in Information.GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Register.IsVectorRegister() && used.Access is OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite)
            {
                written.Add(used.Register.GetFullRegister());
            }
        }

        for (int i = 0; i < 16; i++)
        {
            Vector256<ulong> upper = cpu.State.Vector[i].GetUpper().AsUInt64();
            if (upper != (written.Contains(Register.ZMM0 + i) ? Vector256<ulong>.Zero : GuestRegisters.Above))
            {
                return $"zmm{i} above bit 255: {upper}";
            }
        }

        return null;
    }
}
