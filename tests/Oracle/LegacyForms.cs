using System.Runtime.InteropServices;
using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>
/// Random encodings of 16-bit and 32-bit code, and states in which they run without a fault in ring 3: every opcode of the one-byte and
/// two-byte maps up to the 486 and CMOV that falls through and leaves system state alone.
/// </summary>
internal sealed class LegacyForms(HostProcessor32 host, OperandSource source)
{
    private const int Middle = HostProcessor.ScratchSize / 2;
    private const int Filled = 0x800;
    private const int MaxRepeat = 9;

    /// <summary>An instruction that begins with an opcode; null where it has no form that may run.</summary>
    /// <param name="prefixes">Prefixes.</param>
    /// <param name="opcode">One byte, or two of which the first is 0FH.</param>
    public InstructionForm? TryForm(ReadOnlySpan<byte> prefixes, ReadOnlySpan<byte> opcode)
    {
        byte[] bytes = new byte[15];
        prefixes.CopyTo(bytes);
        opcode.CopyTo(bytes.AsSpan(prefixes.Length));
        for (int i = prefixes.Length + opcode.Length; i < bytes.Length; i++)
        {
            bytes[i] = (byte)source.NextBits();
        }

        Decoder decoder = Decoder.Create(host.Bits, bytes);
        decoder.Decode(out Instruction instruction);
        if (instruction.IsInvalid || !IsHarmless(instruction))
        {
            return null;
        }

        bytes = bytes[..instruction.Length];
        if (Addresses(instruction) && instruction.MemoryBase == Register.None && instruction.MemoryDisplSize != 0)
        {
            ConstantOffsets offsets = decoder.GetConstantOffsets(instruction);
            uint displacement = (uint)Middle + (uint)source.NextIndex(64);
            displacement += instruction.MemorySegment == Register.SS ? (uint)host.ScratchAddress : 0;
            BitConverter.GetBytes(displacement).AsSpan(0, offsets.DisplacementSize).CopyTo(bytes.AsSpan(offsets.DisplacementOffset));
            decoder = Decoder.Create(host.Bits, bytes);
            decoder.Decode(out instruction);
        }

        return new InstructionForm(instruction, bytes);
    }

    /// <summary>A state for a form, with new memory; false where registers would have to hold two things.</summary>
    public bool TryState(InstructionForm form, out HostState state)
    {
        Instruction instruction = form.Instruction;
        Fill();
        state = new HostState { Rflags = source.NextStatusFlags() | 2 };
        for (int i = 0; i < 8; i++)
        {
            state.Gpr[i] = (uint)source.NextRegister();
        }

        state[Register.RSP] = host.ScratchAddress + Middle + (2 * (ulong)source.NextIndex(8));
        if (instruction.Mnemonic is Mnemonic.Enter or Mnemonic.Leave)
        {
            state[Register.RBP] = host.ScratchAddress + Middle + 0x200;
        }

        if (instruction.Mnemonic is Mnemonic.Popf or Mnemonic.Popfd)
        {
            At(state[Register.RSP] - host.ScratchAddress, (uint)(source.NextStatusFlags() | (source.NextBits() & HostState.DirectionFlag) | 2));
        }

        if (instruction.IsStringInstruction)
        {
            PlaceString(instruction, ref state);
            return true;
        }

        return !Addresses(instruction) || TryPlaceOperand(instruction, ref state);
    }

    private static bool Addresses(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory)
            {
                return instruction.Mnemonic is not (Mnemonic.Lea or Mnemonic.Nop);
            }
        }

        return false;
    }

    private bool IsHarmless(in Instruction instruction)
    {
        foreach (CpuidFeature feature in instruction.CpuidFeatures)
        {
            if (feature is not (CpuidFeature.INTEL8086 or CpuidFeature.INTEL186 or CpuidFeature.INTEL286 or CpuidFeature.INTEL386 or CpuidFeature.INTEL486
                or CpuidFeature.CMOV or CpuidFeature.CX8))
            {
                return false;
            }
        }

        bool refused = instruction.FlowControl != FlowControl.Next || instruction.IsPrivileged || instruction.HasLockPrefix
            || instruction.Mnemonic is Mnemonic.Sgdt or Mnemonic.Sidt or Mnemonic.Sldt or Mnemonic.Str or Mnemonic.Smsw or Mnemonic.Lar or Mnemonic.Lsl
                or Mnemonic.Verr or Mnemonic.Verw or Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Wait or Mnemonic.Les or Mnemonic.Lds or Mnemonic.Lfs
                or Mnemonic.Lgs or Mnemonic.Lss or Mnemonic.Loadall or Mnemonic.Umov or Mnemonic.Reservednop or Mnemonic.Ibts or Mnemonic.Xbts
            || (instruction.Mnemonic == Mnemonic.Aam && instruction.Immediate8 == 0)
            || instruction.SegmentPrefix != Register.None;
        for (int i = 0; i < instruction.OpCount && !refused; i++)
        {
            Register register = instruction.GetOpKind(i) == OpKind.Register ? instruction.GetOpRegister(i) : Register.None;
            bool stackPointer = register is Register.SP or Register.ESP && i == 0 && instruction.Mnemonic is not (Mnemonic.Push or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Cmp or Mnemonic.Test);
            bool exchanged = i == 1 && register is Register.SP or Register.ESP && instruction.Mnemonic is Mnemonic.Xchg or Mnemonic.Xadd or Mnemonic.Cmpxchg;
            bool other = register != Register.None && !register.IsGPR() && !(register.IsSegmentRegister() && instruction.Mnemonic == Mnemonic.Push) && !(register.IsSegmentRegister() && i == 1);
            refused = other || stackPointer || exchanged;
        }

        // Stack addresses of 16 bits would lie below 64 KiB, where a process has nothing.
        return !refused && !(Addresses(instruction) && instruction.MemorySegment == Register.SS && IsNarrow(instruction));
    }

    private static bool IsNarrow(in Instruction instruction) =>
        instruction.MemoryBase.IsGPR16() || instruction.MemoryIndex.IsGPR16()
        || (instruction.MemoryBase == Register.None && instruction.MemoryIndex == Register.None && instruction.MemoryDisplSize == 2);

    private void PlaceString(in Instruction instruction, ref HostState state)
    {
        bool narrow = false;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            narrow |= instruction.GetOpKind(i) is OpKind.MemorySegSI or OpKind.MemorySegDI or OpKind.MemoryESDI;
        }

        uint high = narrow ? (uint)source.NextBits() << 16 : 0;
        state[Register.RSI] = high | (uint)(Middle + source.NextIndex(64));
        state[Register.RDI] = high | (uint)(Middle + source.NextIndex(64));
        state[Register.RCX] = high | (uint)source.NextIndex(MaxRepeat);
        state.Rflags |= source.NextBits() & HostState.DirectionFlag;
    }

    private bool TryPlaceOperand(in Instruction instruction, ref HostState state)
    {
        Register fixedRegister = instruction.MemoryBase, index = instruction.MemoryIndex;
        bool narrow = IsNarrow(instruction);
        ulong mask = narrow ? ushort.MaxValue : uint.MaxValue;
        ulong target = Middle + (ulong)source.NextIndex(64) + (instruction.MemorySegment == Register.SS ? host.ScratchAddress : 0);
        bool bitString = instruction.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc && instruction.Op1Kind == OpKind.Register;
        if (bitString)
        {
            Register offset = instruction.Op1Register.GetFullRegister();
            if (offset == fixedRegister.GetFullRegister() || offset == index.GetFullRegister() || offset == Register.RSP)
            {
                return false;
            }

            state[offset] = (uint)((long)(state[offset] << 53) >> 53);
        }

        if (instruction.Mnemonic == Mnemonic.Xlatb)
        {
            state[fixedRegister] = target;
            return true;
        }

        if (index != Register.None)
        {
            if (index.GetFullRegister() == fixedRegister.GetFullRegister())
            {
                return false;
            }

            state[index] = (state[index] & ~mask) | (uint)source.NextIndex(16);
            target -= (state[index] & mask) * (ulong)instruction.MemoryIndexScale;
        }

        ulong start = (target - instruction.MemoryDisplacement64) & mask;
        if (fixedRegister.GetFullRegister() == Register.RSP)
        {
            // ESP stays on the stack: only displacements that stay near it will do.
            long distance = (int)instruction.MemoryDisplacement32 + (index == Register.None ? 0 : (uint)state[index] * (long)instruction.MemoryIndexScale);
            if (Math.Abs(distance) >= 0x400)
            {
                return false;
            }
        }
        else if (fixedRegister != Register.None)
        {
            state[fixedRegister] = (state[fixedRegister] & ~mask & uint.MaxValue) | start;
        }

        if (instruction.Mnemonic == Mnemonic.Bound)
        {
            ulong at = Offset(instruction, state) - (instruction.MemorySegment == Register.SS ? host.ScratchAddress : 0);
            At(at, instruction.Op0Register.GetSize() == 2 ? 0x7FFF_8000u : 0x8000_0000u);
            At(at + 4, 0x7FFF_FFFF, instruction.Op0Register.GetSize() == 4);
        }

        return true;
    }

    private static ulong Offset(in Instruction instruction, HostState state)
    {
        ulong address = instruction.GetVirtualAddress(instruction.Op0Kind == OpKind.Memory ? 0 : 1, 0, (register, _, _) =>
            register.IsSegmentRegister() ? 0 : register.IsGPR16() ? (ushort)state[register] : (uint)state[register]);
        return address & (IsNarrow(instruction) ? ushort.MaxValue : uint.MaxValue);
    }

    private void At(ulong offset, uint value, bool wanted = true)
    {
        if (wanted)
        {
            MemoryMarshal.Write(host.Scratch[checked((int)offset)..], value);
        }
    }

    private void Fill()
    {
        Span<UInt128> middle = MemoryMarshal.Cast<byte, UInt128>(host.Scratch.Slice(Middle - (Filled / 2), Filled));
        for (int i = 0; i < middle.Length; i++)
        {
            middle[i] = source.NextXmm();
        }
    }
}
