using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>A machine whose registers, page tables and code are noise, made anew from a seed as often as it stops.</summary>
internal sealed class HostileGuest : IDisposable
{
    private const int RamBytes = 4 << 20;
    private const ulong Tables = 2 << 20;
    private const ulong Code = 0x40_0000_0000;
    private const int CodeBytes = 0x4000;

    private readonly OperandSource source;
    private readonly byte[] page = new byte[PageSize.Size4K];

    public HostileGuest(ulong seed)
    {
        source = new OperandSource(seed);
        Machine = new Machine(new MachineOptions { RamBytes = RamBytes });
    }

    public Machine Machine { get; }

    /// <summary>New tables and registers, and code from a generator that fills a page.</summary>
    public void Reset(Action<OperandSource, Span<byte>, ulong> fillCode)
    {
        PageTableBuilder pages = new(Machine.Access, new Gpa(Tables), RamBytes - Tables);
        bool user = source.NextIndex(2) == 0;
        MapCode(pages, user ? PageRights.User | PageRights.Write : PageRights.Write, fillCode);
        MapData(pages);
        if (source.NextIndex(4) == 0)
        {
            SpoilTables();
        }

        SetRegisters(pages.Cr3, user);
    }

    public void Dispose() => Machine.Dispose();

    private void MapCode(PageTableBuilder pages, PageRights rights, Action<OperandSource, Span<byte>, ulong> fillCode)
    {
        for (ulong at = 0; at < CodeBytes; at += PageSize.Size4K)
        {
            Gpa frame = new(0x1_0000 + at);
            fillCode(source, page, Code + at);
            Machine.WriteMemory(frame, page);
            pages.Map(new Gva(Code + at), frame, PageSize.Size4K, rights);
        }
    }

    /// <summary>Low memory where small addresses lead, the code once more, the tables themselves, and MMIO.</summary>
    private void MapData(PageTableBuilder pages)
    {
        pages.Map(new Gva(0), new Gpa(0), 0x10_0000, PageRights.User | PageRights.Write);
        pages.Map(new Gva(0x10_0000), new Gpa(Tables), 0x1_0000, source.NextIndex(8) == 0 ? PageRights.User | PageRights.Write : PageRights.User);
        pages.Map(new Gva(0x20_0000), new Gpa(0), 0x20_0000, PageRights.Write, PageSize.Shift2M);
        pages.Map(new Gva(0x40_0000), new Gpa(PhysicalLayout.Scratch.Value), 0x1000, PageRights.User | PageRights.Write);
        pages.Map(new Gva(0x41_0000), new Gpa(0x8000_0000), 0x1000, PageRights.User | PageRights.Write);
        pages.Map(new Gva(0xFFFF_FFFF_FFFF_F000), new Gpa(0x3_0000), 0x1000, PageRights.User | PageRights.Write);
    }

    private void SpoilTables()
    {
        for (int i = 0; i < 64; i++)
        {
            Gpa entry = new(Tables + (8 * (ulong)source.NextIndex(0x8000 / 8)));
            Machine.WriteMemory(entry, BitConverter.GetBytes(source.NextIndex(2) == 0 ? source.NextBits() : source.NextBits() & 0x3F_FFFF));
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
}
