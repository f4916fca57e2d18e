using System.Runtime.CompilerServices;
using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Every opcode of 64-bit mode that can touch memory, each run from the same random state by the processor and by the emulator: with its
/// operands in RAM and on a device.
/// </summary>
internal sealed class EmulatedCodes : IDisposable
{
    public const ulong Data = 0x60_0000;
    public const int Bytes = 0x3000;

    private const ulong Frame = 0x11_0000;
    private const ulong Operand = Data + 0x1100;

    private readonly byte[] contents = new byte[Bytes];
    private FailingPath? path;
    private CpuState saved;

    public EmulatedCodes()
    {
        Guest = new EmulatedGuest(access: slots => path = new FailingPath(slots));
        Guest.State.Cr4 |= Cr4.OSXSAVE;
        Guest.State.Xcr0 = 0x207;
        Guest.State.Cr0 |= Cr0.MP;
        Guest.Cpu.FlushTlb();
    }

    /// <summary>One of each opcode, by its first encoding; string instructions also repeated.</summary>
    public static IEnumerable<(Instruction Instruction, byte[] Bytes)> All { get; } =
    [
        .. OpcodeSpace.FindShapes(64).Values.SelectMany(Repeated).Select(bytes => (Decode(bytes), bytes)).Where(form => MayTouchMemory(form.Item1)),
    ];

    public EmulatedGuest Guest { get; }

    public FailingPath Path => path!;

    /// <summary>What memory held before.</summary>
    public ReadOnlySpan<byte> Contents => contents;

    /// <summary>What RAM holds.</summary>
    public ReadOnlySpan<byte> Ram => Guest.Paged.Ram(Frame, Bytes);

    /// <summary>What the device holds.</summary>
    public ReadOnlySpan<byte> OnDevice => Guest.Device.Bytes.AsSpan(0, Bytes);

    /// <summary>Registers for an instruction, memory contents, and the code in its place.</summary>
    public void Choose(in Instruction instruction, byte[] bytes, OperandSource source)
    {
        Guest.Place([.. bytes, 0x90]);
        new Random(source.NextIndex(int.MaxValue)).NextBytes(contents);
        PlaceStateArea(contents.AsSpan((int)(Operand - Data)));
        HostState state = new() { Rflags = source.NextStatusFlags() | Rflags.Fixed, Mxcsr = 0x1F80 };
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = Data + 0x1000 + (64 * (ulong)source.NextIndex(16));
            state.Xmm[i] = source.NextXmm();
            state.YmmHigh[i] = source.NextXmm();
        }

        state[Register.RAX] = (ulong)source.NextIndex(16);
        state[Register.RBX] = Operand;
        state[Register.RCX] = 3;
        state[Register.RDX] = 0x80;
        state[Register.RSP] = Data + 0x1400;
        state[Register.RBP] = Data + 0x1480;
        state[Register.RSI] = Data + 0x1200;
        state[Register.RDI] = Data + 0x1280;
        state.Xmm[2] = new UInt128(0x0000_000C_0000_0008, 0x0000_0004_0000_0000);
        state.YmmHigh[2] = new UInt128(0x0000_001C_0000_0018, 0x0000_0014_0000_0010);
        state.Xmm[0] = new UInt128(0x8000_0000_8000_0000, 0x8000_0000_8000_0000);
        if (instruction.Mnemonic is Mnemonic.Ldmxcsr or Mnemonic.Vldmxcsr)
        {
            BitConverter.TryWriteBytes(contents.AsSpan((int)(Operand - Data)), 0x1F80u);
        }

        state.X87.Control = 0x37F;
        GuestRegisters.Set(Guest.Cpu, state);
        Guest.State.Rip = EmulatedGuest.Code;
        saved = Guest.State;
    }

    /// <summary>Puts everything back, with the operands in RAM or on the device.</summary>
    public unsafe void Prepare(bool onDevice)
    {
        Path.FailingCall = 0;
        Guest.Device.Answer = null;
        Guest.Paged.Map(Data, onDevice ? EmulatedGuest.DeviceGpa : Frame, PageRights.Write, Bytes);
        contents.CopyTo(Guest.Paged.Ram(Frame, Bytes));
        Guest.Device.Reset();
        contents.CopyTo(Guest.Device.Bytes.AsSpan());
        CpuState now = Guest.State;
        Guest.State = saved;
        Guest.State.Tlb = now.Tlb;
        Guest.State.BlockTable = now.BlockTable;
        Guest.State.Current = null;
        Guest.State.Epoch = now.Epoch;
        Guest.State.Meter = 0;
        Guest.Cpu.FlushTlb();
    }

    /// <summary>The architectural state as bytes.</summary>
    public byte[] State()
    {
        CpuState state = Guest.State;
        ulong flags = state.Flags.Word;
        state.Flags = default;
        state.Flags.Word = flags;
        int length = (int)Unsafe.ByteOffset(ref Unsafe.As<CpuState, byte>(ref state), ref Unsafe.As<System.Runtime.Intrinsics.Vector512<byte>, byte>(ref state.LastResult));
        return System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpan(ref Unsafe.As<CpuState, byte>(ref state), length).ToArray();
    }

    public void Dispose() => Guest.Dispose();

    /// <summary>What FXRSTOR and XRSTOR accept, where their operand is.</summary>
    private static void PlaceStateArea(Span<byte> area)
    {
        BitConverter.TryWriteBytes(area[24..], 0x1F80ul);
        area[512..576].Clear();
        area[512] = 3;
    }

    private static Instruction Decode(byte[] bytes)
    {
        Decoder decoder = Decoder.Create(64, bytes);
        decoder.IP = EmulatedGuest.Code;
        return decoder.Decode();
    }

    private static IEnumerable<byte[]> Repeated(byte[] bytes) => Decode(bytes).IsStringInstruction ? [bytes, [0xF2, .. bytes], [0xF3, .. bytes]] : [bytes];

    private static bool MayTouchMemory(in Instruction instruction) =>
        (OpcodeShape.Of(instruction).HasMemory || instruction.IsStackInstruction)
        && instruction.OpCode.IsInstruction;
}
