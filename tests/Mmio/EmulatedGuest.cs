using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A guest with a logging device, whose instructions a test gives to the MMIO emulator whatever they touch.</summary>
internal sealed class EmulatedGuest : IDisposable
{
    public const ulong Code = 0x40_0000_0000;
    public const ulong CodeFrame = 0x20_0000;
    public const ulong DeviceGpa = 0xE000_0000;
    public const ulong Nowhere = 0xE800_0000;

    private readonly MmioEmulator emulator;

    public EmulatedGuest(ulong deviceBytes = 0x1_0000, Func<Memslots, IGuestMemoryAccess>? access = null)
    {
        Paged = new PagedGuest(access: access);
        Device = new LoggedMemory((int)deviceBytes);
        emulator = new MmioEmulator(Paged.Cpu);
        Paged.Machine.Mmio.Attach(new Gpa(DeviceGpa), Device);
        Paged.Map(Code, CodeFrame);
        Device.Reset();
    }

    public PagedGuest Paged { get; }

    public Vcpu Cpu => Paged.Cpu;

    public ref CpuState State => ref Paged.Cpu.State;

    public MmioBus Bus => Paged.Machine.Mmio;

    public LoggedMemory Device { get; }

    /// <summary>The linear address and error code of the pending page fault, or what else is pending.</summary>
    public string Fault => Cpu.PendingFault.Vector == ExceptionVector.PageFault
        ? $"#PF({Cpu.PendingFault.ErrorCode:x}) {Cpu.PendingFault.Address.Value:x}"
        : $"{Cpu.PendingFault.Name} {Cpu.PendingFault.Cause.Rule}";

    /// <summary>Puts code where <see cref="Code"/> is mapped.</summary>
    public void Place(byte[] bytes, ulong offset = 0) => Paged.Machine.WriteMemory(new Gpa(CodeFrame + offset), bytes);

    /// <inheritdoc cref="Place(byte[], ulong)"/>
    public void Place(Action<Assembler> write) => Place(Assemble(write));

    /// <summary>The bytes of code that stands at <see cref="Code"/>.</summary>
    public static byte[] Assemble(Action<Assembler> write)
    {
        Assembler assembler = new(64);
        write(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), Code);
        return stream.ToArray();
    }

    /// <summary>Emulates the instruction at an address.</summary>
    public BlockExit Emulate(ulong rip = Code)
    {
        State.Rip = rip;
        return emulator.Emulate();
    }

    public void Dispose()
    {
        emulator.Dispose();
        Paged.Dispose();
    }
}
