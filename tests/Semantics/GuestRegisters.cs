using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Moves register state between the oracle's form and the emulator's.</summary>
internal static class GuestRegisters
{
    /// <summary>Loads a processor; interrupts are on, as in a host process.</summary>
    public static void Set(Vcpu vcpu, in HostState state)
    {
        ref CpuState cpu = ref vcpu.State;
        for (int i = 0; i < 16; i++)
        {
            cpu.Gpr[i] = state.Gpr[i];
            cpu.Vector[i] = Vector512.CreateScalar((ulong)state.Xmm[i]).WithElement(1, (ulong)(state.Xmm[i] >> 64)).AsByte();
        }

        vcpu.Rflags = (state.Rflags & (HostState.StatusFlags | HostState.DirectionFlag)) | Rflags.IF;
        cpu.Mxcsr = state.Mxcsr;
    }

    /// <summary>Stores what a processor holds.</summary>
    public static void Get(Vcpu vcpu, ref HostState state)
    {
        ref CpuState cpu = ref vcpu.State;
        for (int i = 0; i < 16; i++)
        {
            Vector512<ulong> vector = cpu.Vector[i].AsUInt64();
            state.Gpr[i] = cpu.Gpr[i];
            state.Xmm[i] = new UInt128(vector[1], vector[0]);
        }

        state.Rflags = (vcpu.Rflags & (HostState.StatusFlags | HostState.DirectionFlag)) | 2;
        state.Mxcsr = cpu.Mxcsr;
    }

    /// <summary>Whether two states are equal to the last bit.</summary>
    public static bool Same(in HostState left, in HostState right) =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<HostState>(in left)).SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<HostState>(in right)));
}
