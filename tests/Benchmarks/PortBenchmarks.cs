using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Benchmarks;

/// <summary>
/// What one semantics for two parties costs: a chain of <c>add rax, [rbx + disp]</c> through the processor's port as a struct
/// generic (what the engine does), through the same port behind an interface (what it would cost otherwise), and through the
/// hypervisor's port, which walks for each access. Times are per instruction.
/// </summary>
[InProcess]
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "GlobalCleanup disposes.")]
public unsafe class PortBenchmarks
{
    private const int Length = 64;
    private const ulong Data = 0x20_0000;

    /// <summary>Not readonly, so that the JIT cannot see through it.</summary>
    internal static IPortObject PortObject { get; set; } = new ProcessorPortObject();

    private readonly Machine machine = new(new MachineOptions());
    private Op* processor;
    private Op* interfaced;
    private Op* hypervisor;

    [GlobalSetup]
    public void Setup()
    {
        PageTableBuilder tables = new(machine.Access, new Gpa(0x10_0000), 0x10_0000);
        tables.Map(new Gva(Data), new Gpa(Data), PageSize.Size4K, PageRights.Write);
        ref CpuState cpu = ref machine.Cpu.State;
        cpu.Cr0 = Cr0.PE | Cr0.PG;
        cpu.Cr3 = tables.Cr3;
        cpu.Cr4 = Cr4.PAE;
        cpu.Msr.Efer = Efer.LME | Efer.LMA;
        cpu.Gpr[GeneralRegister.Rbx] = Data;
        machine.Cpu.ContextChanged();
        processor = Bind<ProcessorPort>();
        interfaced = Bind<InterfacePort>();
        hypervisor = Bind<HypervisorPort>();
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Length, Description = "processor port, struct generic")]
    public int Processor() => Run(processor);

    [Benchmark(OperationsPerInvoke = Length, Description = "the same behind an interface")]
    public int Interfaced() => Run(interfaced);

    [Benchmark(OperationsPerInvoke = Length, Description = "hypervisor port: a walk for each access")]
    public int Hypervisor() => Run(hypervisor);

    /// <summary>Ends the machine.</summary>
    [GlobalCleanup]
    public void Cleanup() => machine.Dispose();

    private int Run(Op* ops)
    {
        machine.Cpu.StatePointer->Meter = Length;
        return (int)ops->Handler(machine.Cpu.StatePointer, ops, machine.Cpu);
    }

    private Op* Bind<TPort>()
        where TPort : struct, IMemoryPort
    {
        Op* ops = (Op*)NativeMemory.AlignedAlloc((nuint)((Length + 1) * sizeof(Op)), 64);
        for (int i = 0; i <= Length; i++)
        {
            ops[i] = new Op { Link = machine.Cpu.Code.Nowhere, Toll = ulong.MaxValue };
            Instruction add = Instruction.Create(Code.Add_r64_rm64, Register.RAX, new MemoryOperand(Register.RBX, i * sizeof(ulong), 4));
            OpBinder<TPort>.Bind(add, ref ops[i], BlockMode.None, new CpuFeatures());
        }

        ops[Length].Handler = &Terminate<BlockEnd, TPort>.Serializing;
        return ops;
    }
}

/// <summary>The port as an object: the shape that was not chosen.</summary>
internal interface IPortObject
{
    bool ReadUInt64(ref CpuState cpu, Vcpu vcpu, ulong gva, out ulong value);
}

/// <summary>Forwards to the processor's port.</summary>
internal sealed class ProcessorPortObject : IPortObject
{
    public bool ReadUInt64(ref CpuState cpu, Vcpu vcpu, ulong gva, out ulong value) => ProcessorPort.Read(ref cpu, vcpu, gva, out value);
}

/// <summary>A port that calls through an interface for each read.</summary>
internal readonly struct InterfacePort : IMemoryPort
{
    public static bool Watches => false;

    public static bool IsSegmented => false;

    public static bool Read<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged
    {
        bool done = PortBenchmarks.PortObject.ReadUInt64(ref cpu, vcpu, gva, out ulong word);
        value = Unsafe.As<ulong, T>(ref word);
        return done;
    }

    public static bool Write<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value)
        where T : unmanaged => ProcessorPort.Write(ref cpu, vcpu, gva, value);

    public static bool BeginModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value, out nint location)
        where T : unmanaged => ProcessorPort.BeginModify(ref cpu, vcpu, gva, out value, out location);

    public static void CommitModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, nint location, T value)
        where T : unmanaged => ProcessorPort.CommitModify(ref cpu, vcpu, gva, location, value);

    public static bool ProbeRead(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => ProcessorPort.ProbeRead(ref cpu, vcpu, gva, length);

    public static bool ProbeWrite(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => ProcessorPort.ProbeWrite(ref cpu, vcpu, gva, length);

    public static nint TryRun(ref CpuState cpu, ulong gva, int length, bool write) => 0;
}
