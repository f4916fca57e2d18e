using System.Runtime.InteropServices;
using System.Text;
using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// A program in ring 0 and its trace. Code stands at 0x401000 with the symbols <c>start</c> (16 bytes) and <c>next</c>, data at 0x500000
/// (0x600000 read only, 0x700000 not mapped), the stack ends at 0x510000, and the devices are mapped where they lie.
/// </summary>
internal sealed class TraceGuest : IDisposable
{
    public const ulong Code = 0x401000;
    public const ulong Data = 0x500000;
    public const ulong ReadOnly = 0x600000;
    public const ulong Unmapped = 0x700000;
    public const ulong StackTop = 0x510000;

    public TraceGuest(Action<Assembler> program, Stream? console = null)
    {
        Machine = new Machine(new MachineOptions { RamBytes = 16 << 20, Console = console, FlushLines = true });
        var assembler = new Assembler(64);
        program(assembler);
        var bytes = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(bytes), Code);
        Machine.WriteMemory(new Gpa(0x200000), bytes.ToArray());
        var tables = new PageTableBuilder(Machine.Access, new Gpa(0x10000), 0x100000);
        tables.Map(new Gva(Code), new Gpa(0x200000), 0x4000, PageRights.None);
        tables.Map(new Gva(Data), new Gpa(0x300000), 0x10000, PageRights.Write | PageRights.NoExecute);
        tables.Map(new Gva(ReadOnly), new Gpa(0x320000), 0x1000, PageRights.NoExecute);
        tables.Map(new Gva(PhysicalLayout.Uart.Value), PhysicalLayout.Uart, 0x1000, PageRights.Write | PageRights.NoExecute);
        tables.Map(new Gva(PhysicalLayout.Scratch.Value), PhysicalLayout.Scratch, 0x1000, PageRights.Write | PageRights.NoExecute);
        ref CpuState cpu = ref Machine.Cpu.State;
        cpu.Gpr = default;
        cpu.Idtr = default;
        cpu.Cr0 = Cr0.PE | Cr0.MP | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.PG;
        cpu.Cr3 = tables.Cr3;
        cpu.Cr4 = Cr4.PAE | Cr4.PGE | Cr4.OSFXSR | Cr4.OSXMMEXCPT;
        cpu.Msr.Efer = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE;
        cpu.Segments[SegmentIndex.Cs].Attributes = DescriptorBits.Code64 | DescriptorBits.Present | DescriptorBits.CodeOrData | DescriptorBits.Code;
        cpu.Rip = Code;
        cpu.Gpr[GeneralRegister.Rsp] = StackTop;
        cpu.Gpr[GeneralRegister.Rdi] = Data;
        Machine.Cpu.FlushTlb();
    }

    public Machine Machine { get; }

    public StopReport? Report { get; private set; }

    public static SymbolTable Symbols { get; } = new(
        [
            new SymbolTable.Entry(Code, 16, 16, 0, IsFunction: true, IsGlobal: true),
            new SymbolTable.Entry(Code + 16, 0, 0x1000, 6, IsFunction: true, IsGlobal: true),
        ],
        "start\0next\0"u8.ToArray());

    /// <summary>Traces a program to its HLT, or for a number of instructions.</summary>
    public static string Trace(Action<Assembler> program, TracerOptions? options = null, ulong limit = 1000, Action<TraceGuest>? prepare = null)
    {
        using var guest = new TraceGuest(program);
        prepare?.Invoke(guest);
        return guest.Trace(options ?? new TracerOptions(), limit);
    }

    /// <summary>Lets <c>next</c> handle an exception, through an IDT and a GDT at 0x501000 and 0x502000.</summary>
    public void Handle(ExceptionVector vector)
    {
        const ulong handler = Code + 16;
        Span<ulong> gate = [(handler & 0xffff) | (8 << 16) | (0x8eUL << 40) | (handler >> 16 << 48), handler >> 32];
        Machine.WriteMemory(new Gpa(0x301000 + ((ulong)vector * 16)), MemoryMarshal.AsBytes(gate));
        Machine.WriteMemory(new Gpa(0x302008), BitConverter.GetBytes(0x0020_9b00_0000_0000));
        ref CpuState cpu = ref Machine.Cpu.State;
        cpu.Idtr = new DescriptorTableRegister { Base = Data + 0x1000, Limit = 0xfff };
        cpu.Gdtr = new DescriptorTableRegister { Base = Data + 0x2000, Limit = 15 };
    }

    public string Trace(TracerOptions options, ulong limit = 1000)
    {
        var output = new MemoryStream();
        Report = new Tracer(output, options).Run(Machine, limit);
        return Encoding.UTF8.GetString(output.ToArray());
    }

    public void Dispose() => Machine.Dispose();
}
