using System.Runtime.InteropServices;
using Iced.Intel;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Runs one instruction in the emulator on memory that the host processor sees at the same addresses.</summary>
internal sealed unsafe class FlatProcessor : IDisposable
{
    private const ulong Start = 0x10_0000;

    private readonly Machine machine = new(new MachineOptions { RamBytes = 1 << 20 });
    private readonly Op* ops = (Op*)NativeMemory.AlignedAlloc(2 * (nuint)sizeof(Op), 64);

    /// <summary>The processor, whose control registers a test may set.</summary>
    public Vcpu Cpu => machine.Cpu;

    /// <summary>The fault of the last run that ended in one.</summary>
    public GuestFault Fault => machine.Cpu.PendingFault;

    /// <summary>Whether the last run left bits 256 and up of the vector registers alone.</summary>
    public bool UpperBitsKept { get; private set; }

    /// <summary>Where the last run that retired went on.</summary>
    public ulong Rip => machine.Cpu.State.Rip;

    /// <summary>Takes up an instruction that falls through; false where the emulator does not have it.</summary>
    public bool Load(ReadOnlySpan<byte> bytes) => Bind(bytes, Start) == BindKind.Straight;

    /// <summary>Takes up any instruction as if it stood at an address; false where the emulator does not have it.</summary>
    public bool Load(ReadOnlySpan<byte> bytes, ulong rip)
    {
        BindKind kind = Bind(bytes, rip);
        return kind == BindKind.Straight || ops[0].Immediate != (ulong)FaultRule.UndefinedOpcode;
    }

    /// <summary>Runs it on a state; true when it retired.</summary>
    public bool Run(ref HostState state)
    {
        Vcpu cpu = machine.Cpu;
        GuestRegisters.Set(cpu, state);
        cpu.State.Meter = 1;
        BlockExit exit = ops[0].Handler(cpu.StatePointer, ops, cpu);
        UpperBitsKept = GuestRegisters.Get(cpu, ref state);
        return exit == BlockExit.Branch;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(ops);
        machine.Dispose();
    }

    private BindKind Bind(ReadOnlySpan<byte> bytes, ulong rip)
    {
        Decoder decoder = Decoder.Create(64, bytes.ToArray());
        decoder.IP = rip;
        decoder.Decode(out Instruction instruction);
        NativeMemory.Clear(ops, 2 * (nuint)sizeof(Op));
        ops[0].Rip = rip;
        ops[0].Length = (byte)instruction.Length;
        ops[0].Link = ops[1].Link = machine.Cpu.Code.Nowhere;
        ops[1].Rip = ops[1].Immediate = rip + (ulong)instruction.Length;
        ops[1].Handler = &Terminate<BlockEnd, FlatPort>.Direct;
        return OpBinder<FlatPort>.Bind(instruction, ref ops[0], BlockMode.None, machine.Cpu.Features);
    }
}
