using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Where an instruction's operands lie in <see cref="CpuState"/>, and what an operation keeps of them.</summary>
internal static unsafe class OperandLayout
{
    /// <summary>The offset of the general registers; that of RAX.</summary>
    public static readonly ushort Gpr = OffsetOfGpr();

    /// <summary>The offset of the vector registers.</summary>
    public static readonly ushort Vector = OffsetOfVector();

    /// <summary>The offset of the x87 registers; that of R0, which MM0 aliases.</summary>
    public static readonly ushort X87 = OffsetOfX87();

    /// <summary>The offset of the word that always holds 0.</summary>
    public static readonly ushort Zero = (ushort)(Gpr + (GeneralRegister.Count * sizeof(ulong)));

    private const int VectorStride = 64;

    /// <summary>Writes registers, memory operand, immediate and prefixes into the operation.</summary>
    public static void Fill(in Instruction instruction, ref Op op)
    {
        op.Base = op.Index = Zero;
        op.Flags |= instruction.CodeSize is CodeSize.Code16 or CodeSize.Code32 ? OpFlags.Segmented : 0;
        op.Flags |= instruction.HasRepPrefix ? OpFlags.Rep : 0;
        op.Flags |= instruction.HasRepnePrefix ? OpFlags.Repne : 0;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            OpKind kind = instruction.GetOpKind(i);
            if (kind == OpKind.Register)
            {
                ushort offset = OffsetOf(instruction.GetOpRegister(i));
                if (i == 0)
                {
                    op.Dst = offset;
                }
                else if (i == 1)
                {
                    op.Src = offset;
                }
                else if (i == 2)
                {
                    op.Third = offset;
                }
            }
            else if (kind == OpKind.Memory)
            {
                FillMemory(instruction, ref op);
            }
            else if (IsImmediate(kind))
            {
                op.Immediate = instruction.GetImmediate(i);
            }
        }
    }

    /// <summary>The byte offset of a register; general, high-byte, vector and MMX registers have one.</summary>
    public static ushort OffsetOf(Register register)
    {
        if (register is >= Register.AH and <= Register.BH)
        {
            return (ushort)(Gpr + ((register - Register.AH) * sizeof(ulong)) + 1);
        }

        if (register.IsGPR())
        {
            return (ushort)(Gpr + ((register.GetFullRegister() - Register.RAX) * sizeof(ulong)));
        }

        if (register.IsMM())
        {
            return (ushort)(X87 + ((register - Register.MM0) * X87State.RegisterBytes));
        }

        return register.IsVectorRegister() ? (ushort)(Vector + ((register.GetFullRegister() - Register.ZMM0) * VectorStride)) : Zero;
    }

    /// <summary>Whether LOCK is allowed on this instruction in this form (SDM Vol. 2A, "LOCK").</summary>
    public static bool TakesLock(in Instruction instruction) =>
        instruction.Op0Kind == OpKind.Memory && instruction.Mnemonic is
            Mnemonic.Add or Mnemonic.Adc or Mnemonic.And or Mnemonic.Btc or Mnemonic.Btr or Mnemonic.Bts or Mnemonic.Cmpxchg
            or Mnemonic.Cmpxchg8b or Mnemonic.Cmpxchg16b or Mnemonic.Dec or Mnemonic.Inc or Mnemonic.Neg or Mnemonic.Not
            or Mnemonic.Or or Mnemonic.Sbb or Mnemonic.Sub or Mnemonic.Xor or Mnemonic.Xadd or Mnemonic.Xchg;

    /// <summary>Whether an operand kind is an immediate.</summary>
    public static bool IsImmediate(OpKind kind) => kind is >= OpKind.Immediate8 and <= OpKind.Immediate32to64;

    private static void FillMemory(in Instruction instruction, ref Op op)
    {
        op.Displacement = instruction.MemoryDisplacement64;
        Register index = instruction.MemoryIndex;
        if (!instruction.IsIPRelativeMemoryOperand)
        {
            op.Base = instruction.MemoryBase == Register.None ? Zero : OffsetOf(instruction.MemoryBase);
        }

        op.Index = index == Register.None ? Zero : OffsetOf(index);
        op.Scale = (byte)int.Log2(instruction.MemoryIndexScale);
        op.Segment = (byte)(instruction.MemorySegment - Register.ES);
        op.Flags |= op.Segment == SegmentIndex.Ss ? OpFlags.Stack : 0;
        bool word = instruction.MemoryBase.IsGPR16() || index.IsGPR16()
            || (instruction.MemoryBase == Register.None && index == Register.None && instruction.MemoryDisplSize == 2);
        bool narrow = instruction.MemoryBase is Register.EIP || instruction.MemoryBase.IsGPR32() || index.IsGPR32()
            || (instruction.MemoryBase == Register.None && index == Register.None && instruction.MemoryDisplSize == 4 && HasAddressSizePrefix(instruction))
            || (instruction.MemoryBase == Register.None && index.IsVectorRegister() && instruction.MemoryDisplSize == 4);
        op.Flags |= word ? OpFlags.Address16 : narrow || instruction.CodeSize is CodeSize.Code16 or CodeSize.Code32 ? OpFlags.Address32 : 0;
    }

    // Without base and index, a 32-bit displacement with the prefix is zero-extended: Iced then gives a value below 2^32.
    private static bool HasAddressSizePrefix(in Instruction instruction) => instruction.MemoryDisplacement64 <= uint.MaxValue;

    private static ushort OffsetOfGpr()
    {
        CpuState state;
        return (ushort)((byte*)&state.Gpr - (byte*)&state);
    }

    private static ushort OffsetOfX87()
    {
        CpuState state;
        return (ushort)((byte*)&state.X87 - (byte*)&state);
    }

    private static ushort OffsetOfVector()
    {
        CpuState state;
        return (ushort)((byte*)&state.Vector - (byte*)&state);
    }
}
