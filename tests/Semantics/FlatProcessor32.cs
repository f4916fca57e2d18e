using System.Runtime.InteropServices;
using Iced.Intel;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Runs one instruction of 16-bit or 32-bit code in the emulator, with the segments and the memory of a <see cref="HostProcessor32"/>.</summary>
internal sealed unsafe class FlatProcessor32 : IDisposable
{
    private const ulong Rip = 0x1000;

    private readonly Machine machine = new(new MachineOptions { RamBytes = 1 << 20 });
    private readonly Op* ops = (Op*)NativeMemory.AlignedAlloc(2 * (nuint)sizeof(Op), 64);
    private readonly int bits;

    public FlatProcessor32(HostProcessor32 host)
    {
        bits = host.Bits;
        ref CpuState cpu = ref machine.Cpu.State;
        cpu.Cr0 |= Cr0.PE;
        cpu.Cpl = 3;
        ulong flat = LegacyDescriptor.Segment(0, 0xF_FFFF, LegacyDescriptor.Data | LegacyDescriptor.Ring3, LegacyDescriptor.Big | LegacyDescriptor.Pages);
        ulong data = LegacyDescriptor.Segment((uint)host.ScratchAddress, 0xFFFF, LegacyDescriptor.Data | LegacyDescriptor.Ring3, LegacyDescriptor.Big);
        ulong code = LegacyDescriptor.Segment(0, 0xF_FFFF, LegacyDescriptor.Code | LegacyDescriptor.Ring3, bits == 32 ? LegacyDescriptor.Big | LegacyDescriptor.Pages : LegacyDescriptor.Pages);
        cpu.Segments[SegmentIndex.Cs] = LegacyMachine.Register(host.CodeSelector, code);
        cpu.Segments[SegmentIndex.Ss] = LegacyMachine.Register(HostProcessor32.StackSelector, flat);
        cpu.Segments[SegmentIndex.Ds] = cpu.Segments[SegmentIndex.Es] = LegacyMachine.Register(host.DataSelector, data);
        cpu.Segments[SegmentIndex.Fs] = cpu.Segments[SegmentIndex.Gs] = default;
        machine.Cpu.FlushTlb();
    }

    /// <summary>The fault of the last run that ended in one.</summary>
    public GuestFault Fault => machine.Cpu.PendingFault;

    /// <summary>Takes up an instruction; false where the emulator does not have it.</summary>
    public bool Load(ReadOnlySpan<byte> bytes)
    {
        Decoder decoder = Decoder.Create(bits, bytes.ToArray());
        decoder.IP = Rip;
        decoder.Decode(out Instruction instruction);
        NativeMemory.Clear(ops, 2 * (nuint)sizeof(Op));
        ops[0].Rip = Rip;
        ops[0].Length = (byte)instruction.Length;
        ops[0].Link = ops[1].Link = machine.Cpu.Code.Nowhere;
        ops[1].Rip = ops[1].Immediate = Rip + (ulong)instruction.Length;
        ops[1].Handler = &Terminate<BlockEnd, FlatPort>.Direct;
        return OpBinder<Segmented<FlatPort>>.Bind(instruction, ref ops[0], machine.Cpu.State.Mode, machine.Cpu.Features) != BindKind.Unsupported;
    }

    /// <summary>Runs it on a state; true when it retired.</summary>
    public bool Run(ref HostState state)
    {
        Vcpu cpu = machine.Cpu;
        GuestRegisters.Set(cpu, state);
        cpu.State.Meter = 1;
        BlockExit exit = ops[0].Handler(cpu.StatePointer, ops, cpu);
        for (int i = 0; i < 8; i++)
        {
            state.Gpr[i] = (uint)cpu.State.Gpr[i];
        }

        state.Rflags = (cpu.Rflags & (HostState.StatusFlags | HostState.DirectionFlag)) | 2;
        return exit == BlockExit.Branch;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(ops);
        machine.Dispose();
    }
}
