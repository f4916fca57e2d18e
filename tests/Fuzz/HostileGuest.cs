using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// A machine whose registers, page tables and code are noise, made anew from a seed as often as it stops. Half of the guests have
/// exception handlers that step over the byte at fault, so that they live on; the others meet noise there too.
/// </summary>
internal sealed class HostileGuest : IDisposable
{
    private const int RamBytes = 4 << 20;
    private const ulong Tables = 2 << 20;
    private const ulong CodeFrame = 0x1_0000;
    private const ulong Code = 0x40_0000_0000;
    private const int CodeBytes = 0x4000;
    private const ulong SystemFrame = 0x3F_0000;
    private const int SystemBytes = 0x8000;
    private const ulong SystemAddress = 0x70_0000_0000;
    private const int Shared = 1 << 20;
    private const byte Sentinel = 0xA5;

    private readonly OperandSource source;
    private readonly byte[] page = new byte[PageSize.Size4K];
    private readonly byte[] system = SystemPages();
    private readonly byte[] guarded = new byte[RamBytes];
    private readonly byte[][] tables = new byte[4][];

    public HostileGuest(ulong seed, MachineOptions? options = null)
    {
        source = new OperandSource(seed);
        Machine = new Machine((options ?? new MachineOptions()) with { RamBytes = RamBytes });
    }

    public Machine Machine { get; }

    /// <summary>Whether this guest runs at CPL 3 with sound handlers and tables that it cannot write, so that it cannot leave what is mapped for it.</summary>
    public bool IsConfined { get; private set; }

    /// <summary>New tables and registers, and code from a generator that fills a page.</summary>
    public void Reset(Action<OperandSource, Span<byte>, ulong> fillCode)
    {
        bool user = source.NextIndex(2) == 0;
        bool writesTables = source.NextIndex(8) == 0;
        bool survives = source.NextIndex(4) != 0;
        bool spoilt = source.NextIndex(4) == 0;
        IsConfined = user && survives && !writesTables && !spoilt;
        RestoreTables(user, writesTables);
        for (ulong at = 0; at < CodeBytes; at += PageSize.Size4K)
        {
            fillCode(source, page, Code + at);
            Machine.WriteMemory(new Gpa(CodeFrame + at), page);
        }

        Machine.WriteMemory(new Gpa(SystemFrame), system);
        if (spoilt)
        {
            SpoilTables();
        }

        SetRegisters(Tables, user);
        if (survives)
        {
            UseHandlers(user);
        }
    }

    /// <summary>Puts a pattern into all memory that a confined guest has no business with.</summary>
    public void Guard()
    {
        guarded.AsSpan().Fill(Sentinel);
        foreach ((int first, int length) in Unmapped())
        {
            Machine.WriteMemory(new Gpa((ulong)first), guarded.AsSpan(first, length));
        }
    }

    /// <summary>Whether the pattern still stands.</summary>
    public bool GuardStands()
    {
        foreach ((int first, int length) in Unmapped())
        {
            Machine.ReadMemory(new Gpa((ulong)first), guarded.AsSpan(first, length));
            if (guarded.AsSpan(first, length).IndexOfAnyExcept(Sentinel) >= 0)
            {
                return false;
            }
        }

        return true;
    }

    public void Dispose() => Machine.Dispose();

    private IEnumerable<(int First, int Length)> Unmapped()
    {
        int tablesEnd = (int)Tables + tables.Where(image => image is not null).Max(image => image.Length);
        return [(Shared, (int)Tables - Shared), (tablesEnd, (int)SystemFrame - tablesEnd), ((int)SystemFrame + SystemBytes, RamBytes - (int)SystemFrame - SystemBytes)];
    }

    /// <summary>Puts the tables back as they were built; there are four kinds of them.</summary>
    private void RestoreTables(bool user, bool writesTables)
    {
        ref byte[] image = ref tables[(user ? 2 : 0) + (writesTables ? 1 : 0)];
        if (image is null)
        {
            PageTableBuilder pages = new(Machine.Access, new Gpa(Tables), SystemFrame - Tables);
            pages.Map(new Gva(Code), new Gpa(CodeFrame), CodeBytes, user ? PageRights.User | PageRights.Write : PageRights.Write);
            MapData(pages, writesTables);
            image = new byte[pages.TableFrames * (int)PageSize.Size4K];
            Machine.ReadMemory(pages.Root, image);
        }

        Machine.WriteMemory(new Gpa(Tables), image);
    }

    /// <summary>Low memory where small addresses lead, the code once more, the tables themselves, MMIO, and tables that lie in a hole and in a device.</summary>
    private static void MapData(PageTableBuilder pages, bool writesTables)
    {
        pages.Map(new Gva(0), new Gpa(0), 0x10_0000, PageRights.User | PageRights.Write);
        pages.Map(new Gva(0x10_0000), new Gpa(Tables), 0x1_0000, writesTables ? PageRights.User | PageRights.Write : PageRights.User);
        pages.Map(new Gva(0x20_0000), new Gpa(0), 0x20_0000, PageRights.Write, PageSize.Shift2M);
        pages.Map(new Gva(0x40_0000), new Gpa(PhysicalLayout.Scratch.Value), 0x1000, PageRights.User | PageRights.Write);
        pages.Map(new Gva(0x41_0000), new Gpa(0x8000_0000), 0x1000, PageRights.User | PageRights.Write);
        pages.Map(new Gva(SystemAddress), new Gpa(SystemFrame), SystemBytes, PageRights.Write);
        pages.Map(new Gva(0xFFFF_FFFF_FFFF_F000), new Gpa(0x3_0000), 0x1000, PageRights.User | PageRights.Write);
    }

    private void SpoilTables()
    {
        for (int i = 0; i < 64; i++)
        {
            Gpa entry = new(Tables + (8 * (ulong)source.NextIndex(0x8000 / 8)));
            Machine.WriteMemory(entry, BitConverter.GetBytes(source.NextIndex(6) switch
            {
                0 => source.NextBits(),
                1 => Tables | (source.NextBits() & PageSize.Mask4K) | PageTableEntry.PBit,
                2 => CodeFrame | (source.NextBits() & PageSize.Mask4K) | PageTableEntry.PBit,
                3 => PhysicalLayout.Scratch.Value | (source.NextBits() & PageSize.Mask4K) | PageTableEntry.PBit,
                4 => 0x8000_0000 | (source.NextBits() & PageSize.Mask4K) | PageTableEntry.PBit,
                _ => source.NextBits() & 0x3F_FFFF,
            }));
        }
    }

    private void SetRegisters(ulong cr3, bool user)
    {
        Vcpu vcpu = Machine.Cpu;
        ref CpuState cpu = ref vcpu.State;
        for (int i = 0; i < 16; i++)
        {
            cpu.Gpr[i] = source.NextIndex(4) switch
            {
                0 => source.NextRegister(),
                1 => Code + (ulong)source.NextIndex(CodeBytes),
                _ => (ulong)source.NextIndex(0x42_0000),
            };
        }

        cpu.Gpr[GeneralRegister.Rcx] = (ulong)source.NextIndex(0x400);
        cpu.Cr0 = Cr0.PE | Cr0.ET | Cr0.NE | Cr0.PG | (source.NextIndex(2) == 0 ? Cr0.WP : 0);
        cpu.Cr3 = cr3;
        cpu.Cr4 = Cr4.PAE | (source.NextIndex(4) == 0 ? 0 : Cr4.OSFXSR) | (source.NextBits() & (Cr4.SMEP | Cr4.SMAP | Cr4.PGE | Cr4.OSXMMEXCPT));
        cpu.Msr.Efer = Efer.LME | Efer.LMA | Efer.NXE | Efer.SCE;
        cpu.Mxcsr = ((uint)source.NextBits() & 0xFFFF) | (source.NextIndex(2) == 0 ? SseState.MxcsrDefault : 0);
        cpu.Cpl = user ? (byte)3 : (byte)0;
        cpu.Segments[SegmentIndex.Cs].Attributes = DescriptorBits.Present | DescriptorBits.CodeOrData | DescriptorBits.Code | DescriptorBits.Code64
            | (user ? 3u << DescriptorBits.DplShift : 0);
        cpu.Segments[SegmentIndex.Cs].Selector = user ? (ushort)0x33 : (ushort)0x8;
        cpu.Segments[SegmentIndex.Fs].Base = source.NextRegister();
        cpu.Segments[SegmentIndex.Gs].Base = (ulong)source.NextIndex(0x42_0000);
        cpu.Idtr = new DescriptorTableRegister { Base = (ulong)source.NextIndex(0x10_0000), Limit = (ushort)source.NextBits() };
        cpu.Gdtr = new DescriptorTableRegister { Base = (ulong)source.NextIndex(0x10_0000), Limit = (ushort)source.NextBits() };
        cpu.Tr.Base = (ulong)source.NextIndex(0x10_0000);
        cpu.Tr.Limit = (uint)source.NextIndex(0x100);
        cpu.Rip = Code + (ulong)source.NextIndex(CodeBytes);
        vcpu.Rflags = source.NextBits() & (Rflags.Status | Rflags.DF | Rflags.AC | (source.NextIndex(8) == 0 ? Rflags.TF : 0));
        vcpu.FlushTlb();
    }

    /// <summary>A GDT, an IDT with a stack of its own, and a TSS, all where only the supervisor reaches.</summary>
    private void UseHandlers(bool user)
    {
        ref CpuState cpu = ref Machine.Cpu.State;
        cpu.Gdtr = new DescriptorTableRegister { Base = SystemAddress, Limit = 0x37 };
        cpu.Idtr = new DescriptorTableRegister { Base = SystemAddress + 0x1000, Limit = 0xFFF };
        cpu.Tr = new SegmentRegister { Base = SystemAddress + 0x800, Limit = 0x67, Attributes = 0x8B00, Selector = TestMachine.TssSelector };
        cpu.Segments[SegmentIndex.Cs].Selector = user ? TestMachine.UserCs : TestMachine.KernelCs;
        cpu.Segments[SegmentIndex.Ss].Selector = user ? TestMachine.UserSs : TestMachine.KernelSs;
    }

    private static byte[] SystemPages()
    {
        const int Idt = 0x1000, Tss = 0x800, Stepping = 0x2000, SteppingWithCode = 0x2010;
        byte[] bytes = new byte[SystemBytes];
        Put(TestMachine.KernelCs, TestMachine.Code64);
        Put(TestMachine.KernelSs, TestMachine.Data32);
        Put(TestMachine.UserSs & ~3, TestMachine.Data32 | TestMachine.Ring3);
        Put(TestMachine.UserCs & ~3, TestMachine.Code64 | TestMachine.Ring3);
        Put(Tss + 4, SystemAddress + 0x7000);
        Put(Tss + 36, SystemAddress + 0x6000);
        for (int vector = 0; vector < 256; vector++)
        {
            ulong target = SystemAddress + (vector is 8 or (>= 10 and <= 14) or 17 ? SteppingWithCode : (ulong)Stepping);
            Put(Idt + (vector * 16), (target & 0xFFFF) | (TestMachine.KernelCs << 16) | (0xEE01ul << 32) | ((target & 0xFFFF_0000) << 32));
            Put(Idt + (vector * 16) + 8, target >> 32);
        }

        byte[] step = [0x48, 0xFF, 0x04, 0x24, 0x48, 0xCF];
        step.CopyTo(bytes, Stepping);
        byte[] stepWithCode = [0x48, 0x83, 0xC4, 0x08, .. step];
        stepWithCode.CopyTo(bytes, SteppingWithCode);
        return bytes;

        void Put(int at, ulong value) => BitConverter.TryWriteBytes(bytes.AsSpan(at), value);
    }
}
