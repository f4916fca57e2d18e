using System.Runtime.InteropServices;
using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>
/// Random states in which a form runs without a fault on the host: address registers point into the scratch memory,
/// counts and bit offsets that reach memory are small, and quotients fit.
/// </summary>
public sealed class FormStates(HostProcessor host, OperandSource source)
{
    private const int MaxRepeat = 9;
    private const int Attempts = 64;
    private const int Middle = HostProcessor.ScratchSize / 2;
    private const int Filled = 0x800;

    /// <summary>Whether the form must run with <see cref="HostProcessor.RunOnStack"/>.</summary>
    public static bool UsesStack(InstructionForm form)
    {
        Instruction instruction = form.Instruction;
        bool names = instruction.IsStackInstruction;
        for (int i = 0; i < instruction.OpCount && !names; i++)
        {
            names = instruction.GetOpKind(i) == OpKind.Register && instruction.GetOpRegister(i).GetFullRegister() == Register.RSP;
        }

        return names;
    }

    /// <summary>Whether the form reads or writes memory: its operand, or the stack.</summary>
    public static bool TouchesMemory(InstructionForm form) => OpcodeShape.Of(form.Instruction).HasMemory || UsesStack(form);

    /// <summary>
    /// A new state, with new contents in the scratch memory round the operand if the form touches memory. False when the form has no safe state:
    /// a division whose quotient never fits, or a bit offset in a register that holds an address.
    /// </summary>
    public bool TryNext(InstructionForm form, out HostState state)
    {
        Instruction instruction = form.Instruction;
        state = default;
        if (ReachesByBitOffset(instruction) && HoldsAddress(instruction, instruction.Op1Register.GetFullRegister()))
        {
            return false;
        }

        bool touchesMemory = TouchesMemory(form);
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            if (touchesMemory)
            {
                FillScratch();
            }

            state = RandomState();
            PlaceFrame(instruction, ref state);
            PlaceString(instruction, ref state);
            BoundBitOffset(instruction, ref state);
            PlaceMemoryOperand(instruction, ref state);
            if (instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv)
            {
                ShrinkDividend(instruction, ref state);
                if (!QuotientFits(instruction, state))
                {
                    continue;
                }
            }

            if (instruction.Mnemonic is Mnemonic.Ldmxcsr or Mnemonic.Vldmxcsr)
            {
                MemoryMarshal.Write(ScratchAt(instruction, state), source.NextMxcsr());
            }

            return true;
        }

        return false;
    }

    private HostState RandomState()
    {
        HostState state = new() { Rflags = source.NextStatusFlags() | 2, Mxcsr = source.NextMxcsr() };
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = source.NextRegister();
            state.Xmm[i] = source.NextXmm();
            state.YmmHigh[i] = source.NextXmm();
        }

        state[Register.RSP] = host.ScratchAddress + Middle;
        return state;
    }

    /// <summary>ENTER copies from an outer frame and LEAVE returns to one.</summary>
    private void PlaceFrame(in Instruction instruction, ref HostState state)
    {
        if (instruction.Mnemonic is Mnemonic.Enter or Mnemonic.Leave)
        {
            state[Register.RBP] = Address(narrow: false) + (ulong)source.NextIndex(64);
        }
    }

    private void FillScratch()
    {
        Span<UInt128> middle = MemoryMarshal.Cast<byte, UInt128>(host.Scratch.Slice(Middle - Filled / 2, Filled));
        for (int i = 0; i < middle.Length; i++)
        {
            middle[i] = source.NextXmm();
        }
    }

    private void PlaceString(in Instruction instruction, ref HostState state)
    {
        if (!instruction.IsStringInstruction && instruction.Mnemonic is not (Mnemonic.Maskmovdqu or Mnemonic.Maskmovq or Mnemonic.Vmaskmovdqu))
        {
            return;
        }

        bool narrow = IsNarrow(instruction.Op0Kind) || IsNarrow(instruction.Op1Kind);
        state[Register.RSI] = Address(narrow) + (ulong)source.NextIndex(64);
        state[Register.RDI] = Address(narrow) + (ulong)source.NextIndex(64);
        state[Register.RCX] = (narrow ? source.NextBits() << 32 : 0) | (uint)source.NextIndex(MaxRepeat);
        state.Rflags |= source.NextBits() & HostState.DirectionFlag;
    }

    private static bool IsNarrow(OpKind kind) => kind is OpKind.MemoryESEDI or OpKind.MemorySegESI or OpKind.MemorySegEDI;

    private ulong Address(bool narrow) => (narrow ? source.NextBits() << 32 : 0) | (host.ScratchAddress + Middle);

    private static bool ReachesByBitOffset(in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc
        && instruction.Op0Kind == OpKind.Memory && instruction.Op1Kind == OpKind.Register;

    private static bool HoldsAddress(in Instruction instruction, Register full) =>
        full == Register.RSP || full == instruction.MemoryBase.GetFullRegister();

    /// <summary>Keeps the signed offset within 128 bytes at every operand size.</summary>
    private static void BoundBitOffset(in Instruction instruction, ref HostState state)
    {
        if (ReachesByBitOffset(instruction))
        {
            ref ulong offset = ref state[instruction.Op1Register];
            offset = (ulong)((long)(offset << 53) >> 53);
        }
    }

    private void PlaceMemoryOperand(in Instruction instruction, ref HostState state)
    {
        if (instruction.MemoryBase == Register.None)
        {
            return;
        }

        bool narrow = instruction.MemoryBase.IsGPR32();
        if (instruction.IsVsib)
        {
            int register = instruction.MemoryIndex.GetFullRegister() - Register.ZMM0;
            state.Xmm[register] = SmallIndices(instruction.IsVsib32);
            state.YmmHigh[register] = SmallIndices(instruction.IsVsib32);
        }
        else if (instruction.MemoryIndex is not (Register.None or Register.AL))
        {
            state[instruction.MemoryIndex] = (narrow ? source.NextBits() << 32 : 0) | (16 * (ulong)source.NextIndex(5));
        }

        state[instruction.MemoryBase] = Address(narrow);
        if (IsAlignedMove(instruction.Mnemonic) && instruction.MemorySize.GetSize() == 32)
        {
            state[instruction.MemoryBase] += (ulong)(Offset(instruction, state) & 31);
        }
    }

    /// <summary>Whether a VEX-encoded instruction asks for an operand on a multiple of its size.</summary>
    public static bool IsAlignedMove(Mnemonic mnemonic) => mnemonic is Mnemonic.Vmovaps or Mnemonic.Vmovapd or Mnemonic.Vmovdqa
        or Mnemonic.Vmovntps or Mnemonic.Vmovntpd or Mnemonic.Vmovntdq or Mnemonic.Vmovntdqa;

    /// <summary>Signed indices of 32 or 64 bits from -32 to 31.</summary>
    private UInt128 SmallIndices(bool narrow)
    {
        UInt128 indices = 0;
        int bits = narrow ? 32 : 64;
        for (int i = 0; i < 128; i += bits)
        {
            indices |= (UInt128)((ulong)(source.NextIndex(64) - 32) & (ulong.MaxValue >> (64 - bits))) << i;
        }

        return indices;
    }

    /// <summary>Three times in four, a high half near the sign of the low one; random halves rarely divide.</summary>
    private void ShrinkDividend(in Instruction instruction, ref HostState state)
    {
        int bits = DivisorBits(instruction);
        if (source.NextIndex(4) == 0 || instruction.Op0Register.GetFullRegister() == Register.RDX)
        {
            return;
        }

        ulong low = state[Register.RAX];
        bool negative = instruction.Mnemonic == Mnemonic.Idiv && source.NextIndex(2) == 0;
        ulong high = (negative ? ulong.MaxValue : 0) ^ (ulong)source.NextIndex(3);
        if (bits == 8)
        {
            state[Register.RAX] = (low & ~0xFF00ul) | ((high & 0xFF) << 8);
        }
        else
        {
            state[Register.RDX] = high;
        }
    }

    private bool QuotientFits(in Instruction instruction, HostState state)
    {
        int bits = DivisorBits(instruction);
        ulong mask = ulong.MaxValue >> (64 - bits);
        ulong divisor = Operand(instruction, state) & mask;
        ulong high = (bits == 8 ? state[Register.RAX] >> 8 : state[Register.RDX]) & mask;
        if (divisor == 0)
        {
            return false;
        }

        if (instruction.Mnemonic == Mnemonic.Div)
        {
            return high < divisor;
        }

        int unused = 128 - 2 * bits;
        Int128 dividend = (Int128)((((UInt128)high << bits) | (state[Register.RAX] & mask)) << unused) >> unused;
        Int128 signed = (Int128)((UInt128)divisor << (128 - bits)) >> (128 - bits);
        if (signed == -1)
        {
            Int128 limit = (Int128)1 << (bits - 1);
            return dividend > -limit && dividend <= limit;
        }

        Int128 quotient = dividend / signed;
        return quotient == (quotient << (128 - bits)) >> (128 - bits);
    }

    private ulong Operand(in Instruction instruction, HostState state)
    {
        if (instruction.Op0Kind == OpKind.Memory)
        {
            return MemoryMarshal.Read<ulong>(ScratchAt(instruction, state));
        }

        Register register = instruction.Op0Register;
        ulong value = state[register];
        return register is Register.AH or Register.CH or Register.DH or Register.BH ? value >> 8 : value;
    }

    private static int DivisorBits(in Instruction instruction) => 8 * (instruction.Op0Kind == OpKind.Memory
        ? instruction.MemorySize.GetSize()
        : instruction.Op0Register.GetSize());

    private Span<byte> ScratchAt(in Instruction instruction, HostState state) => host.Scratch[Offset(instruction, state)..];

    /// <summary>The offset of the memory operand in the scratch memory.</summary>
    private int Offset(in Instruction instruction, HostState state)
    {
        int operand = 0;
        while (instruction.GetOpKind(operand) != OpKind.Memory)
        {
            operand++;
        }

        ulong address = instruction.GetVirtualAddress(operand, 0, (register, _, _) =>
            register.IsSegmentRegister() ? 0 : register.IsGPR32() ? (uint)state[register] : state[register]);
        return checked((int)(address - host.ScratchAddress));
    }
}
