using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Quadwalk.Tests;

/// <summary>The area from which a stub loads x87, SSE and AVX state, and to which it stores them (SDM Vol. 1, 13.4, standard format).</summary>
[StructLayout(LayoutKind.Explicit, Size = 832)]
internal struct XsaveArea
{
    [FieldOffset(0)]
    public ushort Control;

    [FieldOffset(2)]
    public ushort Status;

    [FieldOffset(4)]
    public byte Tags;

    [FieldOffset(6)]
    public ushort Opcode;

    [FieldOffset(8)]
    public ulong InstructionPointer;

    [FieldOffset(16)]
    public ulong DataPointer;

    [FieldOffset(24)]
    public uint Mxcsr;

    [FieldOffset(32)]
    public X87Stack St;

    [FieldOffset(160)]
    public XmmRegisters Xmm;

    [FieldOffset(512)]
    public ulong Components;

    [FieldOffset(576)]
    public XmmRegisters YmmHigh;

    /// <summary>The state components that the host lends out: x87, SSE, and AVX where it has it.</summary>
    public static uint Mask { get; } = Avx.IsSupported ? 7u : 3u;

    /// <summary>Takes up the state that a stub is to load.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Load(in HostState state)
    {
        Control = state.X87.Control;
        Status = state.X87.Status;
        Tags = state.X87.Tags;
        Opcode = state.X87.Opcode;
        InstructionPointer = state.X87.InstructionPointer;
        DataPointer = state.X87.DataPointer;
        Mxcsr = state.Mxcsr;
        St = state.X87.St;
        Xmm = state.Xmm;
        YmmHigh = state.YmmHigh;
        Components = Mask;
    }

    /// <summary>Gives the state that a stub stored.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(ref HostState state)
    {
        state.X87.Control = Control;
        state.X87.Status = Status;
        state.X87.Tags = Tags;
        state.X87.Opcode = Opcode;
        state.X87.InstructionPointer = InstructionPointer;
        state.X87.DataPointer = DataPointer;
        state.Mxcsr = Mxcsr;
        state.X87.St = St;
        state.Xmm = Xmm;
        if ((Mask & 4) != 0)
        {
            state.YmmHigh = YmmHigh;
        }
    }
}
