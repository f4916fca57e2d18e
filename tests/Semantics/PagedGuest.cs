using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>A machine in 64-bit mode with page tables that a test fills, run block by block or as a whole.</summary>
internal sealed unsafe class PagedGuest : IDisposable
{
    private const ulong RamBytes = 8 << 20;
    private const ulong Tables = 4 << 20;

    private readonly BlockDecoder blocks;

    public PagedGuest(TlbMode tlb = TlbMode.Fast, Func<Memslots, IGuestMemoryAccess>? access = null)
    {
        Machine = new Machine(new MachineOptions { RamBytes = RamBytes, Tlb = tlb, MemoryAccess = access });
        blocks = new BlockDecoder(Cpu);
        Pages = new PageTableBuilder(Machine.Access, new Gpa(Tables), RamBytes - Tables);
        ref CpuState cpu = ref Cpu.State;
        cpu.Cr0 = Cr0.PE | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.PG;
        cpu.Cr3 = Pages.Cr3;
        cpu.Cr4 = Cr4.PAE | Cr4.OSFXSR | Cr4.OSXMMEXCPT;
        cpu.Msr.Efer = Efer.LME | Efer.LMA | Efer.NXE | Efer.SCE;
        cpu.Segments[SegmentIndex.Cs].Attributes = DescriptorBits.Present | DescriptorBits.CodeOrData | DescriptorBits.Code | DescriptorBits.Code64;
        Cpu.FlushTlb();
    }

    public Machine Machine { get; }

    public Vcpu Cpu => Machine.Cpu;

    public PageTableBuilder Pages { get; }

    /// <summary>The instructions that the last <see cref="RunBlock"/> retired.</summary>
    public int Retired { get; private set; }

    /// <summary>The block that the last <see cref="RunBlock"/> entered; null where its bytes could not be fetched.</summary>
    public Block* Entered { get; private set; }

    /// <summary>Sets CR4.OSXSAVE, and x87, SSE and AVX state in XCR0.</summary>
    public void EnableAvx()
    {
        Cpu.State.Cr4 |= Cr4.OSXSAVE;
        Cpu.State.Xcr0 = 7;
        Cpu.FlushTlb();
    }

    /// <summary>Maps pages of RAM; a later mapping of the same page replaces the earlier one, without a TLB flush.</summary>
    public void Map(ulong gva, ulong gpa, PageRights rights = PageRights.Write, ulong length = PageSize.Size4K)
    {
        for (ulong done = 0; done < length; done += PageSize.Size4K)
        {
            Unmap(gva + done);
            Pages.Map(new Gva(gva + done), new Gpa(gpa + done), PageSize.Size4K, rights);
        }
    }

    /// <summary>Takes a page away if it is mapped, without a TLB flush.</summary>
    public void Unmap(ulong gva)
    {
        if (Cpu.Memory.Walk(gva, new WalkAccess(AccessKind.Read, User: false, Implicit: true)).Succeeded)
        {
            Pages.Unmap(new Gva(gva), PageSize.Size4K);
        }
    }

    /// <summary>The bytes of RAM at a guest-physical address; writing to them tells nobody.</summary>
    public Span<byte> Ram(ulong gpa, int length)
    {
        if (gpa + (ulong)length > RamBytes || !Machine.Slots.TryTranslate(new Gpa(gpa), out Hva host, out _))
        {
            throw new ArgumentOutOfRangeException(nameof(gpa));
        }

        return new Span<byte>((void*)host.Value, length);
    }

    /// <summary>Sets RIP, and the privilege level where it differs.</summary>
    public void Start(ulong rip, byte cpl = 0)
    {
        Cpu.State.Rip = rip;
        if (Cpu.State.Cpl != cpl)
        {
            Cpu.State.Cpl = cpl;
            Cpu.ContextChanged();
        }
    }

    /// <summary>Runs the block at RIP and what it links to, at most <paramref name="slice"/> instructions; what it ended in is not dealt with.</summary>
    public BlockExit RunBlock(int slice = 64, BlockMode mode = BlockMode.None)
    {
        CpuState* cpu = Cpu.StatePointer;
        cpu->Mode = (cpu->Mode & ~(BlockMode.Single | BlockMode.Recorded)) | mode;
        Retired = 0;
        Entered = blocks.Lookup();
        if (Entered == null)
        {
            return Cpu.PendingExit;
        }

        Cpu.SliceLength = slice;
        cpu->Meter = (uint)slice;
        Op* first = Block.Ops(Entered);
        BlockExit exit = first->Handler(cpu, first, Cpu);
        Retired = slice - cpu->Remaining;
        cpu->Meter = 0;
        return exit;
    }

    public void Dispose() => Machine.Dispose();
}
