using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// A guest whose memory is frames of a modelled host: the processor has them by the second stage, and the hypervisor by an access path over
/// the model. It runs one instruction that reads a device, in ring 0 of 64-bit mode, with handlers that halt.
/// </summary>
internal sealed class LabGuest : IDisposable
{
    /// <summary>The page of the code.</summary>
    public const int CodePage = 0;

    /// <summary>The page of the table that maps the device, and nothing else.</summary>
    public const int DeviceTablePage = 14;

    /// <summary>How many pages the guest has.</summary>
    public const int Pages = 16;

    /// <summary>Where the device is mapped: the address that the instruction reads.</summary>
    public const ulong Operand = Window + 0x10;

    private const ulong Start = 0x10_0000;
    private const ulong Window = 0x80_0000_0000;
    private const ulong Idt = Start + 0x1000;
    private const ulong Handlers = Start + 0x2000;
    private const ulong Gdt = Start + 0x3000;
    private const ulong Stack = Start + 0x5000;
    private const ulong Tables = Start + 0x8000;
    private const ulong RamBytes = 64 << 10;
    private const ushort CodeSelector = 8;
    private const int HandlerSize = 16;
    private const ulong Code64 = 0x0020_9B00_0000_0000;
    private const ulong Data64 = 0x00CF_9300_0000_FFFF;

    private readonly Machine machine;

    /// <summary>Makes the guest and its memory.</summary>
    /// <param name="bench">The host.</param>
    /// <param name="path">Makes the hypervisor's path.</param>
    /// <param name="flags">What the guest's private memory is.</param>
    /// <param name="decodeAssist">Whether the processor supplies the instruction's bytes.</param>
    /// <param name="isPrivate">Which pages are private: they are in a guest_memfd, the others in the VMM's memory.</param>
    public LabGuest(LabBench bench, Func<Kvm, IGuestMemoryAccess> path, GuestMemfdFlags flags, bool decodeAssist, Func<int, bool> isPrivate)
    {
        if (bench.Vmm.Areas.Count == 0)
        {
            bench.Map(Pages);
        }

        Kvm = bench.AddGuest(0);
        Errno error = GuestMemfd.Create(bench.Kernel, Pages * PageSize.Size4K, flags, out GuestMemfd? file);
        if (file is null)
        {
            throw new InvalidOperationException($"no guest_memfd: {error}");
        }

        Kvm.AddGuestMemfdSlot(new Gpa(Start), Pages * PageSize.Size4K, LabBench.Page(0), file, 0);
        machine = new Machine(new MachineOptions
        {
            RamBytes = RamBytes,
            HostMemory = bench.Memory,
            MemoryAccess = _ => path(Kvm),
            DecodeAssist = decodeAssist,
        });
        for (int page = 0; page < Pages; page++)
        {
            Give(page, isPrivate(page));
        }

        Fill();
    }

    /// <summary>The guest as KVM sees its memory.</summary>
    public Kvm Kvm { get; }

    /// <summary>The processor.</summary>
    public Vcpu Cpu => machine.Cpu;

    /// <summary>How often the device was read: the guest writes nothing to it.</summary>
    public ulong DeviceReads => machine.Scratch.AccessCount;

    /// <summary>The vector of the handler that halted; null: none did.</summary>
    public ExceptionVector? Handled => Cpu.State.Rip - Handlers < 256 * HandlerSize
        ? (ExceptionVector)((Cpu.State.Rip - Handlers) / HandlerSize)
        : null;

    /// <summary>The error code on the handler's stack.</summary>
    public ulong ErrorCode
    {
        get
        {
            ulong word = 0;
            machine.ReadMemory(new Gpa(Cpu.State.Gpr[GeneralRegister.Rsp]), MemoryMarshal.AsBytes(new Span<ulong>(ref word)));
            return word;
        }
    }

    /// <summary>Runs until the guest or one of its handlers halts, or something else stops it.</summary>
    public StopReport Run() => machine.Run(100);

    /// <inheritdoc/>
    public void Dispose()
    {
        machine.Dispose();
        Kvm.Dispose();
    }

    /// <summary>Lets the guest fault a page in, and the processor have what it then has.</summary>
    private void Give(int page, bool isPrivate)
    {
        Gpa gpa = new(Start + ((ulong)page << PageSize.Shift4K));
        if (isPrivate)
        {
            Kvm.SetAttributes(gpa.Frame, 1, isPrivate: true).Run();
        }

        StageTwoOutcome outcome = new StageTwoFault(Kvm, gpa, write: true, isPrivate).Run();
        if (outcome != StageTwoOutcome.Fixed || !Kvm.StageTwo.TryFind(gpa.Frame, out _, out Pfn frame))
        {
            throw new InvalidOperationException($"the guest cannot have its page {page}: {outcome}");
        }

        machine.Slots.Add(gpa, PageSize.Size4K, Kvm.Kernel.Frames.Memory.Base + (frame.Value << PageSize.Shift4K));
    }

    private void Fill()
    {
        PageTableBuilder tables = new(new UserspaceMapping(machine.Slots), new Gpa(Tables), 7 * PageSize.Size4K);
        tables.Map(new Gva(Start), new Gpa(Start), Tables - Start, PageRights.Write);
        tables.Map(new Gva(Window), PhysicalLayout.Scratch, PageSize.Size4K, PageRights.Write);
        machine.WriteMemory(new Gpa(Start), [0x8B, 0x03, 0xF4]);
        Write(Gdt + CodeSelector, Code64);
        Write(Gdt + CodeSelector + 8, Data64);
        Span<byte> handlers = stackalloc byte[256 * HandlerSize];
        handlers.Fill(0xF4);
        machine.WriteMemory(new Gpa(Handlers), handlers);
        for (int vector = 0; vector < 256; vector++)
        {
            InterruptGate gate = new(Handlers + (ulong)(vector * HandlerSize), CodeSelector, 0, 0, false);
            machine.WriteMemory(new Gpa(Idt + (ulong)(vector * InterruptGate.Size)), MemoryMarshal.AsBytes(new ReadOnlySpan<InterruptGate>(in gate)));
        }

        ref CpuState cpu = ref Cpu.State;
        cpu.Cr0 = Cr0.PE | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.PG;
        cpu.Cr3 = tables.Cr3;
        cpu.Cr4 = Cr4.PAE;
        cpu.Msr.Efer = Efer.LME | Efer.LMA | Efer.NXE;
        cpu.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = 23 };
        cpu.Idtr = new DescriptorTableRegister { Base = Idt, Limit = (256 * InterruptGate.Size) - 1 };
        cpu.Segments[SegmentIndex.Cs] = Segment(CodeSelector, Code64);
        cpu.Segments[SegmentIndex.Ss] = Segment(CodeSelector + 8, Data64);
        cpu.Gpr[GeneralRegister.Rsp] = Stack;
        cpu.Gpr[GeneralRegister.Rbx] = Operand;
        cpu.Rip = Start;
        Cpu.FlushTlb();
    }

    private static SegmentRegister Segment(ushort selector, ulong descriptor) => new()
    {
        Selector = selector,
        Limit = uint.MaxValue,
        Attributes = (uint)(descriptor >> 32) & DescriptorBits.Kept,
    };

    private void Write(ulong gpa, ulong word) => machine.WriteMemory(new Gpa(gpa), MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in word)));
}
