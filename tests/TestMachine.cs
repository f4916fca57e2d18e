using System.Runtime.InteropServices;
using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// A machine in 64-bit mode with 2 MiB mapped one to one, a GDT, an IDT whose handlers only halt, and a TSS. Code is assembled
/// straight into it: <c>machine.Kernel(c => c.mov(rax, cr0))</c> runs the code at CPL 0 up to the HLT that is added.
/// </summary>
internal sealed class TestMachine : IDisposable
{
    public const ulong Gdt = 0x1000;
    public const ulong Idt = 0x2000;
    public const ulong Tss = 0x3000;
    public const ulong KernelCode = 0x1_0000;
    public const ulong UserCode = 0x2_0000;
    public const ulong Handlers = 0x3_0000;
    public const ulong Data = 0x4_0000;
    public const ulong KernelStack = 0x8_0000;
    public const ulong Rsp0 = 0x9_0000;
    public const ulong Ist1 = 0xA_0000;
    public const ulong UserData = 0xA_8000;
    public const ulong UserStack = 0xB_0000;
    public const ulong Mapped = 0x20_0000;
    /// <summary>Not canonical with 4-level paging; where 5-level paging exists, bases and MSRs may hold it all the same.</summary>
    public const ulong NonCanonical = 0x8000_0000_0000;

    public const ushort KernelCs = 0x08;
    public const ushort KernelSs = 0x10;
    public const ushort UserSs = 0x23;
    public const ushort UserCs = 0x2B;
    public const ushort TssSelector = 0x30;

    /// <summary>The first GDT slot that a test may use for its own; there are eight.</summary>
    public const ushort FreeSelector = 0x40;

    public const ulong Code64 = 0x0020_9B00_0000_0000;
    public const ulong Data32 = 0x00CF_9300_0000_FFFF;
    public const ulong Code32 = 0x00CF_9B00_0000_FFFF;
    public const ulong Ring3 = 3UL << 45;

    private const ulong Tables = 0x10_0000;
    private const int HandlerSize = 16;
    private const int TssSize = 0x68;

    private readonly Machine machine;

    public TestMachine(
        CpuFeatures? features = null, TlbMode tlb = TlbMode.Fast, Func<Memslots, IGuestMemoryAccess>? access = null, bool decodeAssist = false)
        : this(new MachineOptions { Features = features ?? new CpuFeatures(), Tlb = tlb, MemoryAccess = access, DecodeAssist = decodeAssist })
    {
    }

    public TestMachine(MachineOptions options)
    {
        machine = new Machine(options with { RamBytes = 8 << 20 });
        PageTables = new PageTableBuilder(machine.Access, new Gpa(Tables), 0x8_0000);
        Map(0, UserCode, PageRights.Write);
        Map(UserCode, Handlers, PageRights.Write | PageRights.User);
        Map(Handlers, UserData, PageRights.Write);
        Map(UserData, UserStack, PageRights.Write | PageRights.User);
        Map(UserStack, Mapped, PageRights.Write);
        BuildTables();
        EnterLongMode();
    }

    /// <summary>Everything but 5-level paging, so that addresses have 48 bits wherever they are checked.</summary>
    public static CpuFeatures Linear48 { get; } = CpuFeatures.Parse("max,-la57");

    public Vcpu Cpu => machine.Cpu;

    public ref CpuState State => ref machine.Cpu.State;

    public Machine Machine => machine;

    public PageTableBuilder PageTables { get; }

    /// <summary>The vector of the handler that halted, or null.</summary>
    public int? Handled =>
        State.Rip > Handlers && State.Rip < Handlers + (256 * HandlerSize) ? (int)((State.Rip - Handlers) / HandlerSize) : null;

    public ulong this[ulong gpa]
    {
        get
        {
            Span<byte> bytes = stackalloc byte[sizeof(ulong)];
            machine.ReadMemory(new Gpa(gpa), bytes);
            return MemoryMarshal.Read<ulong>(bytes);
        }
        set => machine.WriteMemory(new Gpa(gpa), MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in value)));
    }

    /// <summary>The words of an exception frame on the current stack: with an error code its value comes first.</summary>
    public ExceptionFrameWords Frame(bool hasErrorCode)
    {
        ulong at = State.Gpr[GeneralRegister.Rsp] + (hasErrorCode ? 8UL : 0);
        ulong? code = hasErrorCode ? this[at - 8] : null;
        return new ExceptionFrameWords(code, this[at], this[at + 8], this[at + 16], this[at + 24], this[at + 32]);
    }

    /// <summary>Runs code at CPL 0; it ends at a HLT, its own or the one that follows it.</summary>
    public StopReport Kernel(Action<Assembler> write)
    {
        Place(KernelCode, write, halt: true);
        State.Rip = KernelCode;
        return machine.Run(10_000);
    }

    /// <summary>Runs code at CPL 3, on the user stack, until a handler halts.</summary>
    public StopReport User(Action<Assembler> write)
    {
        Place(UserCode, write, halt: true);
        EnterRing3();
        State.Rip = UserCode;
        return machine.Run(10_000);
    }

    /// <summary>Makes the processor stand in ring 3.</summary>
    public void EnterRing3()
    {
        State.Segments[SegmentIndex.Cs] = new SegmentRegister { Selector = UserCs, Limit = uint.MaxValue, Attributes = Attributes(Code64 | Ring3) };
        State.Segments[SegmentIndex.Ss] = new SegmentRegister { Selector = UserSs, Limit = uint.MaxValue, Attributes = Attributes(Data32 | Ring3) };
        State.Gpr[GeneralRegister.Rsp] = UserStack;
        State.Cpl = 3;
        Cpu.ContextChanged();
    }

    /// <summary>Assembles code to an address.</summary>
    public void Place(ulong address, Action<Assembler> write, bool halt = false)
    {
        Assembler assembler = new(64);
        write(assembler);
        if (halt)
        {
            assembler.hlt();
        }

        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        machine.WriteMemory(new Gpa(address), stream.ToArray());
    }

    /// <summary>Replaces a gate; by default one of DPL 0 to the halting handler of its vector.</summary>
    public void SetGate(int vector, ushort selector = KernelCs, int dpl = 0, int ist = 0, bool trap = false, ulong? target = null) =>
        SetGate(vector, new InterruptGate(target ?? Handler(vector), selector, dpl, ist, trap));

    public void SetGate(int vector, InterruptGate gate) =>
        machine.WriteMemory(new Gpa(Idt + ((ulong)vector * InterruptGate.Size)), MemoryMarshal.AsBytes(new ReadOnlySpan<InterruptGate>(in gate)));

    /// <summary>Where the handler of a vector is; it can be replaced with <see cref="Place"/>.</summary>
    public static ulong Handler(int vector) => Handlers + ((ulong)vector * HandlerSize);

    public void SetDescriptor(ushort selector, ulong raw) => this[Gdt + (selector & 0xFFF8u)] = raw;

    public void Dispose() => machine.Dispose();

    private static uint Attributes(ulong descriptor) => (uint)(descriptor >> 32) & DescriptorBits.Kept;

    private void Map(ulong from, ulong to, PageRights rights) => PageTables.Map(new Gva(from), new Gpa(from), to - from, rights);

    private void BuildTables()
    {
        SetDescriptor(KernelCs, Code64);
        SetDescriptor(KernelSs, Data32);
        SetDescriptor(0x18, Code32 | Ring3);
        SetDescriptor(UserSs, Data32 | Ring3);
        SetDescriptor(UserCs, Code64 | Ring3);
        SetDescriptor(TssSelector, 0x0000_8900_0000_0000 | (Tss << 16) | (TssSize - 1));
        this[Tss + 4] = Rsp0;
        this[Tss + 36] = Ist1;
        for (int vector = 0; vector < 256; vector++)
        {
            SetGate(vector);
            Place(Handler(vector), c => c.hlt());
        }
    }

    private void EnterLongMode()
    {
        ref CpuState cpu = ref State;
        cpu.Cr0 = Cr0.PE | Cr0.MP | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.PG;
        cpu.Cr3 = PageTables.Cr3;
        cpu.Cr4 = Cr4.PAE | Cr4.PGE | Cr4.OSFXSR | Cr4.OSXMMEXCPT;
        cpu.Msr.Efer = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE;
        cpu.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = 0x7F };
        cpu.Idtr = new DescriptorTableRegister { Base = Idt, Limit = (256 * InterruptGate.Size) - 1 };
        cpu.Tr = new SegmentRegister { Base = Tss, Limit = TssSize - 1, Attributes = 0x8B00, Selector = TssSelector };
        cpu.Segments[SegmentIndex.Cs] = new SegmentRegister { Selector = KernelCs, Limit = uint.MaxValue, Attributes = Attributes(Code64) };
        cpu.Segments[SegmentIndex.Ss] = new SegmentRegister { Selector = KernelSs, Limit = uint.MaxValue, Attributes = Attributes(Data32) };
        cpu.Gpr[GeneralRegister.Rsp] = KernelStack;
        Cpu.FlushTlb();
    }
}

/// <summary>An exception frame.</summary>
internal readonly record struct ExceptionFrameWords(ulong? ErrorCode, ulong Rip, ulong Cs, ulong Rflags, ulong Rsp, ulong Ss);
