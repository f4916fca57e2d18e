using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Executes one instruction through its handler alone, on <see cref="FlatPort"/>.</summary>
internal sealed unsafe class SingleInstruction : IDisposable
{
    private readonly CpuFeatures features;
    private readonly MachineSecondStage secondStage;

    /// <summary>On a processor that claims what every processor here does, and the features given.</summary>
    public SingleInstruction(params CpuFeature[] more)
        : this(With(more))
    {
    }

    public SingleInstruction(CpuFeatures features)
    {
        this.features = features;
        Memslots slots = new();
        secondStage = new MachineSecondStage(slots, features.PhysicalAddressBits);
        Cpu = new Vcpu(secondStage, new UserspaceMapping(slots), new MmioBus(), new PortBus(), features);
    }

    public Vcpu Cpu { get; }

    /// <summary>Whether every instruction so far left bits 256 and up of the vector registers alone.</summary>
    public bool UpperBitsKept { get; private set; } = true;

    /// <summary>Decodes and executes; the exit says whether it ran on to the next instruction (<see cref="BlockExit.Branch"/>).</summary>
    public BlockExit Execute(byte[] bytes, ulong rip, out BindKind kind, BlockMode mode = BlockMode.None)
    {
        Decoder decoder = Decoder.Create(64, bytes, rip);
        Instruction instruction = decoder.Decode();
        Op* ops = stackalloc Op[2];
        ops[0] = new Op { Rip = rip, Length = (byte)instruction.Length };
        ops[1] = new Op { Handler = &End };
        kind = OpBinder<FlatPort>.Bind(instruction, ref ops[0], mode, features);
        return ops[0].Handler(Cpu.StatePointer, ops, Cpu);
    }

    /// <summary>Executes with the registers of a host state, which then holds what became of them.</summary>
    public BlockExit Execute(InstructionForm form, ref HostState state, out BindKind kind)
    {
        ref CpuState cpu = ref Cpu.State;
        for (int i = 0; i < 16; i++)
        {
            cpu.Gpr[i] = state.Gpr[i];
        }

        GuestRegisters.SetVectors(ref cpu, state);
        Cpu.Rflags = state.Rflags;
        BlockExit exit = Execute(form.Bytes, 0x1000, out kind);
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = cpu.Gpr[i];
        }

        UpperBitsKept &= GuestRegisters.GetVectors(ref cpu, ref state);
        state.Rflags = Cpu.Rflags;
        return exit;
    }

    /// <summary>The offset of a vector register.</summary>
    public static int Xmm(int index) => OperandLayout.OffsetOf(Register.XMM0 + index);

    public void Dispose()
    {
        Cpu.Dispose();
        secondStage.Dispose();
    }

    private static CpuFeatures With(CpuFeature[] more)
    {
        CpuFeatures features = new();
        return features with { Claimed = new HashSet<CpuFeature>(features.Claimed.Concat(more)) };
    }

    private static BlockExit End(CpuState* cpu, Op* op, Vcpu vcpu) => BlockExit.Branch;
}
