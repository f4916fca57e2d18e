using System.Buffers.Binary;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The ring-0 side of the machine, as small as it can be: SYSCALL and the IDT lead to a page of HLT instructions, the address of the one
/// that ran says what happened, and the registers are put back to what the program had before it goes on.
/// </summary>
internal sealed class KernelGate
{
    private const int Vectors = 32, VectorStubs = 16, GateSize = 16, WordsBelowErrorCode = 5;
    private const byte Hlt = 0xf4;
    private const uint PresentInterruptGate = DescriptorBits.Present | 14 << 8;
    private const uint ProgramMayCall = 3 << DescriptorBits.DplShift;

    private readonly Machine machine;
    private readonly Gpa stack;
    private AddressSpace? active;

    /// <summary>Puts descriptors, stubs and a stack into guest RAM.</summary>
    /// <exception cref="InvalidOperationException">There is not even RAM for these.</exception>
    public KernelGate(Machine machine, LinuxFrames frames)
    {
        this.machine = machine;
        PageTableBuilder tables = new(machine.Access, () => frames.TryTake(out Gpa frame) ? frame.Frame : null);
        Root = tables.Root;
        byte[] descriptors = BootDescriptors.Build(null);
        descriptors.AsSpan(BootDescriptors.UserCode32, sizeof(ulong)).Clear();
        Place(tables, frames, BootAddresses.Descriptors, PageRights.Write | PageRights.NoExecute, descriptors);
        Place(tables, frames, IdtAddress, PageRights.NoExecute, BuildIdt());
        byte[] stubs = new byte[PageSize.Size4K];
        stubs.AsSpan().Fill(Hlt);
        Place(tables, frames, BootAddresses.Shim, PageRights.None, stubs);
        Gva bottom = new(BootAddresses.SystemStackTop.Value - PageSize.Size4K);
        stack = Place(tables, frames, bottom, PageRights.Write | PageRights.NoExecute, new byte[PageSize.Size4K]);
    }

    /// <summary>The PML4 whose upper half every address space has.</summary>
    public Gpa Root { get; }

    private static Gva IdtAddress => BootAddresses.Supervisor + 0xe000;

    private Vcpu Cpu => machine.Cpu;

    /// <summary>Puts the processor at the entry of a program.</summary>
    public void Start(AddressSpace memory, ulong entry, ulong stackPointer)
    {
        BootRegisters.Set(Cpu, ring: 3, new Gva(entry), new Gva(stackPointer), information: default, memory.Root.Value);
        Cpu.State.Idtr = new DescriptorTableRegister { Base = IdtAddress.Value, Limit = Vectors * GateSize - 1 };
        Cpu.Rflags = Rflags.Fixed | Rflags.IF;
        EnableExtendedState();
        active = memory;
    }

    /// <summary>Gives the processor the registers of another task.</summary>
    public void Load(AddressSpace memory, in CpuState registers)
    {
        Cpu.State = registers;
        Cpu.State.Cr3 = memory.Root.Value;
        Cpu.FlushTlb();
        active = memory;
    }

    /// <summary>Drops what the processor knows of an address space whose entries were taken away or restricted.</summary>
    public void Flush(AddressSpace memory)
    {
        if (active == memory)
        {
            Cpu.FlushTlbNonGlobal(Mmu.TlbFlushCause.Host);
        }
    }

    /// <summary>The same for one page.</summary>
    public void FlushPage(AddressSpace memory, ulong gva)
    {
        if (active == memory)
        {
            Cpu.FlushTlbPage(new Gva(gva));
        }
    }

    /// <summary>After HLT in ring 0: gives the program its registers back and says what brought it here.</summary>
    /// <returns>The fault, or null for SYSCALL.</returns>
    public GuestFault? Enter()
    {
        ref CpuState cpu = ref Cpu.State;
        if (cpu.Rip - 1 == BootAddresses.Shim.Value)
        {
            Return(ref cpu, cpu.Gpr[GeneralRegister.Rcx], cpu.Gpr[GeneralRegister.R11], cpu.Gpr[GeneralRegister.Rsp]);
            return null;
        }

        Span<byte> frame = stackalloc byte[WordsBelowErrorCode * sizeof(ulong)];
        machine.ReadMemory(stack + (PageSize.Size4K - (ulong)frame.Length), frame);
        ulong rip = BinaryPrimitives.ReadUInt64LittleEndian(frame);
        ulong flags = BinaryPrimitives.ReadUInt64LittleEndian(frame[16..]);
        ulong rsp = BinaryPrimitives.ReadUInt64LittleEndian(frame[24..]);
        Return(ref cpu, rip, flags, rsp);
        return machine.Exceptions.Chain[^1];
    }

    /// <summary>XCR0 for what the processor claims: x87, SSE and, with AVX, the upper halves.</summary>
    private void EnableExtendedState()
    {
        const ulong x87AndSse = 3, avx = 4;
        ref CpuState cpu = ref Cpu.State;
        bool xsave = Cpu.Features.Has(CpuFeature.Xsave);
        cpu.Cr4 |= xsave ? Cr4.OSXSAVE : 0;
        cpu.Xcr0 = xsave ? x87AndSse | (Cpu.Features.Has(CpuFeature.Avx) ? avx : 0) : 1;
        Cpu.FlushTlb();
    }

    private void Return(ref CpuState cpu, ulong rip, ulong flags, ulong rsp)
    {
        FlatSegments.Load(ref cpu, Cpu, BootDescriptors.UserCode | 3, BootDescriptors.UserData | 3, cpl: 3);
        Cpu.Rflags = flags & ~Rflags.RF;
        cpu.Rip = rip;
        cpu.Gpr[GeneralRegister.Rsp] = rsp;
    }

    private Gpa Place(PageTableBuilder tables, LinuxFrames frames, Gva gva, PageRights rights, ReadOnlySpan<byte> contents)
    {
        if (!frames.TryTake(out Gpa frame))
        {
            throw new InvalidOperationException("There is no RAM for the kernel's own pages.");
        }

        machine.WriteMemory(frame, contents);
        tables.Map(gva, frame, PageSize.Size4K, rights | PageRights.Global);
        return frame;
    }

    private static byte[] BuildIdt()
    {
        byte[] idt = new byte[PageSize.Size4K];
        for (int vector = 0; vector < Vectors; vector++)
        {
            ulong target = BootAddresses.Shim.Value + VectorStubs + (ulong)vector;
            uint attributes = PresentInterruptGate | (vector == (int)ExceptionVector.Breakpoint ? ProgramMayCall : 0);
            ulong low = (target & 0xffff) | (ulong)BootDescriptors.KernelCode << 16 | (ulong)attributes << 32 | (target >> 16 & 0xffff) << 48;
            BinaryPrimitives.WriteUInt64LittleEndian(idt.AsSpan(vector * GateSize), low);
            BinaryPrimitives.WriteUInt64LittleEndian(idt.AsSpan(vector * GateSize + 8), target >> 32);
        }

        return idt;
    }
}
