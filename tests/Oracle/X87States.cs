using System.Runtime.InteropServices;
using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>Random states for an x87 form: stack, control and status words, and an operand in memory that unmasks nothing.</summary>
internal sealed class X87States(HostProcessor host, OperandSource source)
{
    private const ushort PendingBits = 0x8080;
    private const ushort ControlBits = 0x1F00;
    private const ushort Precision = 0x300;
    private const ushort ReservedPrecision = 0x100;

    private readonly FormStates forms = new(host, source);
    private readonly ExtendedOperands operands = new(source);

    /// <summary>The next state of a form; with its operand in memory across a page's end where <paramref name="before"/> bytes are to lie below it.</summary>
    public HostState Next(InstructionForm form, int before = 0)
    {
        if (!forms.TryNext(form, out HostState state))
        {
            throw new InvalidOperationException($"{form.Instruction} has no safe state");
        }

        HostState moved = state;
        state = before != 0 && Straddle.TryMove(host, form, before, ref moved) ? moved : state;

        Fill(ref state.X87);
        if (form.Instruction is { OpCount: 1, Op0Kind: OpKind.Memory })
        {
            Place(form.Instruction, Operand(form.Instruction, state));
        }

        return state;
    }

    private void Fill(ref HostX87 x87)
    {
        x87.Control = NextControl();
        x87.Status = (ushort)((ushort)source.NextBits() & ~PendingBits);
        x87.Tags = source.NextIndex(4) switch { 0 => (byte)source.NextBits(), 1 => (byte)(0xFF & ~(1 << source.NextIndex(8))), _ => 0xFF };
        if (source.NextIndex(2) == 0)
        {
            // A register is free for a push, the others are in use.
            x87.Tags = (byte)(0xFF & ~(1 << (((x87.Status >> 11) - 1) & 7)));
        }

        bool ordinary = source.NextIndex(3) == 0;
        for (int i = 0; i < 8; i++)
        {
            x87.St[i] = ordinary ? operands.NextOrdinary() : operands.Next();
        }

        if (source.NextIndex(4) == 0)
        {
            // Neighbours, whose difference loses most of its bits and whose quotient is near 1.
            x87.St[1] = x87.St[0] ^ ((UInt128)source.NextBits() >> (44 + source.NextIndex(20)));
        }
    }

    private ushort NextControl()
    {
        ushort control = (ushort)(((ushort)source.NextBits() & ControlBits) | 0x7F);
        control = (control & Precision) == ReservedPrecision ? (ushort)(control | Precision) : control;
        return source.NextIndex(2) == 0 ? (ushort)0x37F : control;
    }

    private void Place(in Instruction instruction, Span<byte> at)
    {
        switch (instruction.MemorySize)
        {
            case MemorySize.Float32:
                MemoryMarshal.Write(at, source.NextSingle());
                break;
            case MemorySize.Float64:
                MemoryMarshal.Write(at, source.NextDouble());
                break;
            case MemorySize.Float80:
                Write80(at, operands.Next());
                break;
            case MemorySize.Bcd:
                Write80(at, NextDecimal());
                break;
            case MemorySize.FpuEnv14 or MemorySize.FpuState94:
                PlaceEnvironment(at, sizeof(ushort), sizeof(ushort) * 7, instruction.MemorySize == MemorySize.FpuState94);
                break;
            case MemorySize.FpuEnv28 or MemorySize.FpuState108:
                PlaceEnvironment(at, sizeof(uint), sizeof(uint) * 7, instruction.MemorySize == MemorySize.FpuState108);
                break;
            default:
                if (instruction.Mnemonic == Mnemonic.Fldcw)
                {
                    MemoryMarshal.Write(at, (ushort)(source.NextBits() | HostX87.ExceptionMasks));
                }

                break;
        }
    }

    private void PlaceEnvironment(Span<byte> at, int stride, int size, bool registers)
    {
        MemoryMarshal.Write(at, (ushort)(source.NextBits() | HostX87.ExceptionMasks));
        MemoryMarshal.Write(at[stride..], (ushort)source.NextBits());
        MemoryMarshal.Write(at[(2 * stride)..], (ushort)source.NextBits());
        for (int i = 0; registers && i < 8; i++)
        {
            Write80(at[(size + (10 * i))..], operands.Next());
        }
    }

    private UInt128 NextDecimal()
    {
        UInt128 digits = 0;
        for (int i = 0; i < 18; i++)
        {
            digits = (digits << 4) | (uint)source.NextIndex(10);
        }

        return (digits >> (4 * source.NextIndex(19))) | ((UInt128)(source.NextBits() & 0x8000) << 64);
    }

    private static void Write80(Span<byte> at, UInt128 value)
    {
        MemoryMarshal.Write(at, (ulong)value);
        MemoryMarshal.Write(at[8..], (ushort)(value >> 64));
    }

    private Span<byte> Operand(in Instruction instruction, HostState state)
    {
        ulong address = instruction.GetVirtualAddress(0, 0, (register, _, _) =>
            register.IsSegmentRegister() ? 0 : register.IsGPR32() ? (uint)state[register] : state[register]);
        return host.Scratch[checked((int)(address - host.ScratchAddress))..];
    }
}
