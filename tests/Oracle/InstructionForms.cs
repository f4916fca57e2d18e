using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>
/// Enumerates encodable instructions of an opcode: its register and memory operands apart, with sampled registers
/// (high bytes, R8 to R15, source equal to destination), boundary immediates, several addressing shapes, 32-bit
/// addresses, and the LOCK and repeat prefixes where they are legal.
/// <para>
/// For a memory operand to stay in bounds the base register holds an address at least 512 bytes inside the
/// memory, a multiple of 16, and the index register a small multiple of 16 (for XLATB the index is AL). A bit test of
/// memory with a register offset reaches beyond its operand, so that register must be small too.
/// </para>
/// </summary>
public static class InstructionForms
{
    private static readonly int[] Strides = [0, 1, 5];

    /// <summary>Strides for VEX: with eight registers to choose from, the last one makes the outer two of three operands equal.</summary>
    private static readonly int[] VexStrides = [0, 1, 5, 4];

    /// <summary>The forms of every opcode of a family, without duplicates.</summary>
    public static IEnumerable<InstructionForm> Of(InstructionFamily family, FormOptions options) =>
        family.Codes.SelectMany(code => Of(code, options));

    /// <summary>The forms of one opcode, without duplicates.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The opcode has an operand kind that is not covered.</exception>
    public static IEnumerable<InstructionForm> Of(Code code, FormOptions options)
    {
        OpCodeInfo info = code.ToOpCode();
        var choices = new (OperandSetter[] Direct, OperandSetter[] Memory)[info.OpCount];
        for (int i = 0; i < info.OpCount; i++)
        {
            choices[i] = OperandChoices.For(info.GetOpKind(i), options);
        }

        HashSet<string> seen = [];
        OperandSetter[][] direct = Array.ConvertAll(choices, choice => choice.Direct);
        OperandSetter[][] memory = Array.ConvertAll(choices, choice => choice.Memory.Length != 0 ? choice.Memory : choice.Direct);
        bool hasMemory = choices.Any(choice => choice.Memory.Length != 0);
        IEnumerable<Instruction> all = Combine(code, direct).Concat(hasMemory ? Combine(code, memory) : []);
        foreach (Instruction instruction in all.SelectMany(instruction => WithPrefixes(instruction, info)))
        {
            if (TryEncode(instruction, out byte[] bytes) && seen.Add(Convert.ToHexString(bytes)))
            {
                yield return new InstructionForm(instruction with { Length = bytes.Length }, bytes);
            }
        }
    }

    private static IEnumerable<Instruction> Combine(Code code, OperandSetter[][] operands)
    {
        if (operands.Any(choices => choices.Length == 0))
        {
            yield break;
        }

        int rounds = operands.Length == 0 ? 1 : operands.Max(choices => choices.Length);
        int[] strides = IsVexVector(code) ? VexStrides : Strides;
        foreach (int stride in operands.Count(choices => choices.Length > 1) > 1 ? strides : [0])
        {
            for (int round = 0; round < rounds; round++)
            {
                Instruction instruction = new() { Code = code, CodeSize = CodeSize.Code64 };
                for (int i = 0; i < operands.Length; i++)
                {
                    operands[i][(round + i * stride) % operands[i].Length](ref instruction, i);
                }

                if (!IsNopInDisguise(instruction) && HasOneAddressSize(instruction) && !IsUndefinedGather(instruction))
                {
                    yield return instruction;
                }
            }
        }
    }

    private static IEnumerable<Instruction> WithPrefixes(Instruction instruction, OpCodeInfo info)
    {
        yield return instruction;
        if (info.CanUseLockPrefix && instruction.Op0Kind == OpKind.Memory)
        {
            Instruction locked = instruction;
            locked.HasLockPrefix = true;
            yield return locked;
        }

        if (instruction.IsStringInstruction)
        {
            Instruction repeated = instruction;
            repeated.HasRepPrefix = true;
            yield return repeated;
        }

        if (IsComparingString(instruction))
        {
            Instruction repeated = instruction;
            repeated.HasRepnePrefix = true;
            yield return repeated;
        }
    }

    private static bool IsComparingString(in Instruction instruction) =>
        instruction.IsStringInstruction && instruction.Mnemonic is Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Scasq
            or Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Cmpsq;

    /// <summary>XCHG of the accumulator with itself in its one-byte form is NOP.</summary>
    private static bool IsNopInDisguise(in Instruction instruction) =>
        instruction.Code is Code.Xchg_r16_AX or Code.Xchg_r32_EAX or Code.Xchg_r64_RAX && instruction.Op0Register == instruction.Op1Register;

    /// <summary>Both implicit operands of MOVS and CMPS use the same address size.</summary>
    private static bool HasOneAddressSize(in Instruction instruction) => (instruction.Op0Kind, instruction.Op1Kind) is not
        ((OpKind.MemoryESRDI, OpKind.MemorySegESI) or (OpKind.MemoryESEDI, OpKind.MemorySegRSI)
        or (OpKind.MemorySegRSI, OpKind.MemoryESEDI) or (OpKind.MemorySegESI, OpKind.MemoryESRDI));

    /// <summary>Whether some of a gather's destination, indices and mask are the same register, which is #UD.</summary>
    private static bool IsUndefinedGather(in Instruction instruction) =>
        instruction.IsVsib && (Number(instruction.Op0Register) == Number(instruction.Op2Register)
            || Number(instruction.Op0Register) == Number(instruction.MemoryIndex) || Number(instruction.Op2Register) == Number(instruction.MemoryIndex));

    private static int Number(Register register) => register.GetFullRegister() - Register.ZMM0;

    private static bool IsVexVector(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        return info.Encoding == EncodingKind.VEX && info.OpCount > 0 && info.GetOpKind(0) is OpCodeOperandKind.xmm_reg or OpCodeOperandKind.ymm_reg;
    }

    /// <summary>Fails only where the architecture has no encoding: AH, CH, DH or BH together with a REX prefix.</summary>
    private static bool TryEncode(in Instruction instruction, out byte[] bytes)
    {
        MemoryStream stream = new();
        Encoder encoder = Encoder.Create(64, new StreamCodeWriter(stream));
        bool encoded = encoder.TryEncode(instruction, 0, out _, out string? error);
        if (!encoded && !UsesHighByte(instruction))
        {
            throw new InvalidOperationException($"{instruction.Code}: {error}");
        }

        bytes = stream.ToArray();
        return encoded;
    }

    private static bool UsesHighByte(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register
                && instruction.GetOpRegister(i) is Register.AH or Register.CH or Register.DH or Register.BH)
            {
                return true;
            }
        }

        return false;
    }
}
