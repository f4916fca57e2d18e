using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Moves register state between the oracle's form and the emulator's.</summary>
internal static class GuestRegisters
{
    private const int TopShift = 11;
    private const int TopMask = 7 << TopShift;

    /// <summary>What <see cref="SetVectors"/> puts into bits 256 and up.</summary>
    internal static readonly Vector256<ulong> Above = Vector256.Create(0x5555_5555_5555_5555ul);

    /// <summary>Loads a processor; interrupts are on, as in a host process.</summary>
    public static void Set(Vcpu vcpu, in HostState state)
    {
        ref CpuState cpu = ref vcpu.State;
        for (int i = 0; i < 16; i++)
        {
            cpu.Gpr[i] = state.Gpr[i];
        }

        SetVectors(ref cpu, state);

        vcpu.Rflags = (state.Rflags & (HostState.StatusFlags | HostState.DirectionFlag)) | Rflags.IF;
    }

    /// <summary>Loads the vector registers, MXCSR and the x87 unit; bits 256 and up become a pattern.</summary>
    public static void SetVectors(ref CpuState cpu, in HostState state)
    {
        for (int i = 0; i < 16; i++)
        {
            cpu.Vector[i] = Vector512.Create(
                Vector256.Create((ulong)state.Xmm[i], (ulong)(state.Xmm[i] >> 64), (ulong)state.YmmHigh[i], (ulong)(state.YmmHigh[i] >> 64)), Above).AsByte();
        }

        cpu.Mxcsr = state.Mxcsr;
        ref X87State x87 = ref cpu.X87;
        x87.Control = state.X87.Control;
        x87.Status = (ushort)(state.X87.Status & ~TopMask);
        x87.Top = (byte)((state.X87.Status & TopMask) >> TopShift);
        x87.Tags = state.X87.Tags;
        x87.Opcode = state.X87.Opcode;
        x87.InstructionPointer = state.X87.InstructionPointer;
        x87.DataPointer = state.X87.DataPointer;
        x87.InstructionSelector = 0;
        x87.DataSelector = 0;
        for (int i = 0; i < 8; i++)
        {
            ref X87Register register = ref x87.Registers[(x87.Top + i) & 7];
            register.Significand = (ulong)state.X87.St[i];
            register.SignExponent = (ushort)(state.X87.St[i] >> 64);
        }
    }

    /// <summary>Stores them; false when bits 256 and up of a vector register were touched.</summary>
    public static bool GetVectors(ref CpuState cpu, ref HostState state)
    {
        bool kept = true;
        for (int i = 0; i < 16; i++)
        {
            Vector512<ulong> vector = cpu.Vector[i].AsUInt64();
            state.Xmm[i] = new UInt128(vector[1], vector[0]);
            state.YmmHigh[i] = new UInt128(vector[3], vector[2]);
            kept &= vector.GetUpper() == Above;
        }

        state.Mxcsr = cpu.Mxcsr;
        ref X87State x87 = ref cpu.X87;
        state.X87.Control = x87.Control;
        state.X87.Status = (ushort)(x87.Status | (x87.Top << TopShift));
        state.X87.Tags = x87.Tags;
        state.X87.Opcode = x87.Opcode;
        state.X87.InstructionPointer = x87.InstructionPointer;
        state.X87.DataPointer = x87.DataPointer;
        for (int i = 0; i < 8; i++)
        {
            X87Register register = x87.Registers[(x87.Top + i) & 7];
            state.X87.St[i] = new UInt128(register.SignExponent, register.Significand);
        }

        return kept;
    }

    /// <summary>Stores what a processor holds; false when bits 256 and up of a vector register were touched.</summary>
    public static bool Get(Vcpu vcpu, ref HostState state)
    {
        ref CpuState cpu = ref vcpu.State;
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = cpu.Gpr[i];
        }

        state.Rflags = (vcpu.Rflags & (HostState.StatusFlags | HostState.DirectionFlag)) | 2;
        return GetVectors(ref cpu, ref state);
    }

    /// <summary>Whether two states are equal to the last bit.</summary>
    public static bool Same(in HostState left, in HostState right) =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<HostState>(in left)).SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<HostState>(in right)));
}
