using System.Runtime.InteropServices;
using Iced.Intel;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Runs one instruction in the emulator on memory that the host processor sees at the same addresses.</summary>
internal sealed unsafe class FlatProcessor : IDisposable
{
    private const ulong Rip = 0x10_0000;

    private readonly Machine machine = new(new MachineOptions { RamBytes = 1 << 20 });
    private readonly Op* ops = (Op*)NativeMemory.AlignedAlloc(2 * (nuint)sizeof(Op), 64);

    /// <summary>The processor, whose control registers a test may set.</summary>
    public Vcpu Cpu => machine.Cpu;

    /// <summary>The fault of the last run that ended in one.</summary>
    public GuestFault Fault => machine.Cpu.PendingFault;

    /// <summary>Whether every run so far left bits 256 and up of the vector registers alone.</summary>
    public bool UpperBitsKept { get; private set; } = true;

    /// <summary>Takes up an instruction that falls through; false where the emulator does not have it.</summary>
    public bool Load(ReadOnlySpan<byte> bytes)
    {
        Decoder decoder = Decoder.Create(64, bytes.ToArray());
        decoder.IP = Rip;
        decoder.Decode(out Instruction instruction);
        NativeMemory.Clear(ops, 2 * (nuint)sizeof(Op));
        ops[0].Rip = Rip;
        ops[0].Length = (byte)instruction.Length;
        ops[0].Link = ops[1].Link = machine.Cpu.Code.Nowhere;
        ops[1].Rip = ops[1].Immediate = Rip + (ulong)instruction.Length;
        ops[1].Handler = &Terminate<BlockEnd, FlatPort>.Direct;
        return OpBinder<FlatPort>.Bind(instruction, ref ops[0], BlockMode.None, machine.Cpu.Features) == BindKind.Straight;
    }

    /// <summary>Runs it on a state; true when it retired.</summary>
    public bool Run(ref HostState state)
    {
        Vcpu cpu = machine.Cpu;
        GuestRegisters.Set(cpu, state);
        cpu.State.Meter = 1;
        BlockExit exit = ops[0].Handler(cpu.StatePointer, ops, cpu);
        UpperBitsKept &= GuestRegisters.Get(cpu, ref state);
        return exit == BlockExit.Branch;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(ops);
        machine.Dispose();
    }
}
