using System.Runtime.InteropServices;
using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// A machine that stands in a mode other than 64-bit mode. In each of them CS begins at <see cref="CodeBase"/>, DS, ES, FS and GS at
/// <see cref="DataBase"/> and SS at <see cref="StackBase"/>, all with a limit of FFFFH, so that offsets are never linear addresses. Every
/// vector has a handler that halts.
/// </summary>
internal sealed class LegacyMachine : IDisposable
{
    public const uint Gdt = 0x1000;
    public const uint Idt = 0x2000;
    public const uint Ldt = 0x3000;
    public const uint Tss = 0x3800;
    public const uint OtherTss = 0x3A00;
    public const uint CodeBase = 0x1_0000;
    public const uint DataBase = 0x4_0000;
    public const uint StackBase = 0x7_0000;
    public const uint HandlerBase = 0x8_0000;
    public const uint InnerStackTop = 0xA_0000;
    public const uint Entry = 0x100;
    public const uint StackTop = 0x1000;

    public const ushort HandlerCs = 0x08;
    public const ushort FlatData = 0x10;
    public const ushort TssSelector = 0x48;
    public const ushort LdtSelector = 0x58;
    public const ushort OtherTssSelector = 0x60;

    /// <summary>The first of the GDT's slots that tests may use.</summary>
    public const ushort Free = 0x70;

    private const uint GdtLimit = 0xFF;
    private const uint LdtLimit = 0x3F;
    private const uint Tables = 0x10_0000;
    private const int HandlerSize = 16;

    private readonly Machine machine = new(new MachineOptions { RamBytes = 4 << 20 });

    public LegacyMachine(LegacyMode mode, int cpl = 0)
    {
        Mode = mode;
        Cpl = mode == LegacyMode.Virtual8086 ? 3 : cpl;
        if (mode == LegacyMode.Real)
        {
            EnterRealMode();
        }
        else
        {
            EnterProtectedMode();
        }

        Cpu.FlushTlb();
    }

    public LegacyMode Mode { get; }

    public int Cpl { get; }

    public Machine Machine => machine;

    public Vcpu Cpu => machine.Cpu;

    public ref CpuState State => ref machine.Cpu.State;

    public bool Is32Bit => Mode is LegacyMode.Protected32 or LegacyMode.Compatibility32;

    public bool IsIa32e => Mode is LegacyMode.Compatibility16 or LegacyMode.Compatibility32;

    public bool HasRealSegments => Mode is LegacyMode.Real or LegacyMode.Virtual8086;

    /// <summary>CS, which in protected mode is that of the ring.</summary>
    public ushort CodeSelector => HasRealSegments ? (ushort)(CodeBase >> 4) : Cpl == 0 ? (ushort)0x18 : (ushort)0x33;

    public ushort DataSelector => HasRealSegments ? (ushort)(DataBase >> 4) : Cpl == 0 ? (ushort)0x20 : (ushort)0x3B;

    public ushort StackSelector => HasRealSegments ? (ushort)(StackBase >> 4) : Cpl == 0 ? (ushort)0x28 : (ushort)0x43;

    /// <summary>The vector of the handler that halted, or null.</summary>
    public int? Handled
    {
        get
        {
            ulong linear = State.Rip + (Cpu.Is64BitMode ? 0 : State.Segments[SegmentIndex.Cs].Base);
            return linear > HandlerBase && linear < HandlerBase + (256 * HandlerSize) ? (int)((linear - HandlerBase - 1) / HandlerSize) : null;
        }
    }

    /// <summary>The words of the frame that the handler found, of the gate's width, from the top of the stack.</summary>
    public uint Frame(int index)
    {
        ulong top = Cpu.Is64BitMode ? State.Gpr[GeneralRegister.Rsp]
            : State.Segments[SegmentIndex.Ss].Base + (Stack.Is32Bit(ref State) ? (uint)State.Gpr[GeneralRegister.Rsp] : (ushort)State.Gpr[GeneralRegister.Rsp]);
        return FrameWidth == 2 ? Word((uint)top + (2u * (uint)index)) : Dword((uint)top + ((uint)FrameWidth * (uint)index));
    }

    /// <summary>The width of a word in a frame: 2, 4 or 8 bytes.</summary>
    public int FrameWidth { get; set; } = 4;

    /// <summary>Where the last instruction of the code began that <see cref="Run"/> was given, as an offset in CS.</summary>
    public uint LastInstruction { get; private set; }

    /// <summary>Where the code ended.</summary>
    public uint EndOfCode { get; private set; }

    /// <summary>Runs code up to a HLT at CPL 0, elsewhere to INT 80H; both follow it.</summary>
    public StopReport Run(Action<Assembler> write, ulong limit = 10_000)
    {
        List<uint> starts = Place(CodeBase + Entry, Entry, CodeBits, write, Cpl == 0 ? [0xF4] : [0xCD, 0x80]);
        LastInstruction = starts[^2];
        EndOfCode = starts[^1];
        State.Rip = Entry;
        return machine.Run(limit);
    }

    /// <summary>The width of the code that <see cref="Run"/> assembles.</summary>
    public int CodeBits => Is32Bit ? 32 : 16;

    /// <summary>Assembles code of some width; answers the offsets of its instructions and that of its end.</summary>
    public List<uint> Place(uint linear, uint offset, int bits, Action<Assembler> write, byte[]? tail = null)
    {
        Assembler assembler = new(bits);
        write(assembler);
        using MemoryStream stream = new();
        if (assembler.Instructions.Count != 0)
        {
            assembler.Assemble(new StreamCodeWriter(stream), offset);
        }

        byte[] bytes = stream.ToArray();
        Write(linear, [.. bytes, .. tail ?? []]);
        List<uint> starts = [];
        Decoder decoder = Decoder.Create(bits, bytes, offset);
        while (decoder.IP < offset + (ulong)bytes.Length)
        {
            starts.Add((uint)decoder.IP);
            decoder.Decode();
        }

        starts.Add((uint)decoder.IP);
        return starts;
    }

    public void Write(uint linear, ReadOnlySpan<byte> bytes) => machine.WriteMemory(new Gpa(linear), bytes);

    public ushort Word(uint linear) => Read<ushort>(linear);

    public uint Dword(uint linear) => Read<uint>(linear);

    public void SetWord(uint linear, ushort value) => Write(linear, MemoryMarshal.AsBytes(new ReadOnlySpan<ushort>(in value)));

    public void SetDword(uint linear, uint value) => Write(linear, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in value)));

    public void SetQword(uint linear, ulong value) => Write(linear, MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in value)));

    public ulong Qword(uint linear) => Read<ulong>(linear);

    /// <summary>Puts a descriptor into the GDT, or into the LDT for a selector with TI.</summary>
    public void SetDescriptor(int selector, ulong raw) => SetQword(((selector & 4) != 0 ? Ldt : Gdt) + ((uint)selector & 0xFFF8), raw);

    /// <summary>The access byte of a descriptor as it stands in memory.</summary>
    public int Access(int selector) => (int)(Qword(((selector & 4) != 0 ? Ldt : Gdt) + ((uint)selector & 0xFFF8)) >> 40) & 0xFF;

    public void SetGate(int vector, ulong raw) => SetQword(Idt + (8 * (uint)vector), raw);

    /// <summary>A handler's offset in <see cref="HandlerCs"/>.</summary>
    public static uint Handler(int vector) => (uint)(vector * HandlerSize);

    /// <summary>Makes an LDT the current one.</summary>
    public void UseLdt() => State.Ldtr = Register(LdtSelector, LegacyDescriptor.Segment(Ldt, LdtLimit, LegacyDescriptor.Ldt));

    /// <summary>Gives SS another width, and ESP a value.</summary>
    public void SetStack(bool big, uint pointer)
    {
        ref SegmentRegister stack = ref State.Segments[SegmentIndex.Ss];
        stack.Attributes = big ? stack.Attributes | DescriptorBits.Default32 : stack.Attributes & ~DescriptorBits.Default32;
        State.Gpr[GeneralRegister.Rsp] = pointer;
    }

    /// <summary>Sets IOPL.</summary>
    public void SetIopl(int iopl) => Cpu.Rflags = (Cpu.Rflags & ~Rflags.Iopl) | ((ulong)iopl << Rflags.IoplShift);

    public void Dispose() => machine.Dispose();

    /// <summary>A segment register as a descriptor fills it.</summary>
    public static SegmentRegister Register(ushort selector, ulong raw) => new SegmentDescriptor(raw, 0).ToRegister(selector);

    private T Read<T>(uint linear)
        where T : unmanaged
    {
        Span<byte> bytes = stackalloc byte[Marshal.SizeOf<T>()];
        machine.ReadMemory(new Gpa(linear), bytes);
        return MemoryMarshal.Read<T>(bytes);
    }

    private void PlaceHandlers()
    {
        byte[] handlers = new byte[256 * HandlerSize];
        handlers.AsSpan().Fill(0xF4);
        Write(HandlerBase, handlers);
    }

    private void EnterRealMode()
    {
        PlaceHandlers();
        for (uint vector = 0; vector < 256; vector++)
        {
            SetDword(4 * vector, ((HandlerBase >> 4) << 16) | Handler((int)vector));
        }

        FrameWidth = 2;
        State.Cr0 = Cr0.ET;
        State.Idtr = new DescriptorTableRegister { Limit = 0x3FF };
        State.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = (ushort)GdtLimit };
        FillGdt(0);
        SetRealSegments();
    }

    private void EnterProtectedMode()
    {
        PlaceHandlers();
        FillGdt(Is32Bit ? LegacyDescriptor.Big : 0);
        ref CpuState cpu = ref State;
        cpu.Cr0 = Cr0.PE | Cr0.ET | Cr0.NE;
        cpu.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = (ushort)GdtLimit };
        cpu.Cpl = (byte)Cpl;
        if (IsIa32e)
        {
            EnterIa32eMode();
        }
        else
        {
            FillIdt();
        }

        if (Mode == LegacyMode.Virtual8086)
        {
            Cpu.Rflags |= Rflags.VM | Rflags.Iopl;
            SetRealSegments();
            return;
        }

        foreach (int index in (int[])[SegmentIndex.Ds, SegmentIndex.Es, SegmentIndex.Fs, SegmentIndex.Gs])
        {
            cpu.Segments[index] = Register(DataSelector, Qword(Gdt + (DataSelector & 0xFFF8u)));
        }

        cpu.Segments[SegmentIndex.Cs] = Register(CodeSelector, Qword(Gdt + (CodeSelector & 0xFFF8u)));
        cpu.Segments[SegmentIndex.Ss] = Register(StackSelector, Qword(Gdt + (StackSelector & 0xFFF8u)));
        cpu.Gpr[GeneralRegister.Rsp] = StackTop;
    }

    private void EnterIa32eMode()
    {
        ref CpuState cpu = ref State;
        PageTableBuilder pages = new(machine.Access, new Gpa(Tables), 0x8_0000);
        pages.Map(new Gva(0), new Gpa(0), Tables, PageRights.Write | PageRights.User);
        cpu.Cr0 |= Cr0.PG;
        cpu.Cr3 = pages.Cr3;
        cpu.Cr4 = Cr4.PAE;
        cpu.Msr.Efer = Efer.LME | Efer.LMA | Efer.SCE;
        FrameWidth = 8;
        SetDescriptor(HandlerCs, LegacyDescriptor.Segment(0, 0, LegacyDescriptor.Code, LegacyDescriptor.Long));
        for (int vector = 0; vector < 256; vector++)
        {
            int dpl = vector == 0x80 ? LegacyDescriptor.Ring3 : 0;
            SetQword(Idt + (16 * (uint)vector), LegacyDescriptor.Gate(HandlerCs, HandlerBase + Handler(vector), LegacyDescriptor.Interrupt32 | dpl));
            SetQword(Idt + (16 * (uint)vector) + 8, 0);
        }

        cpu.Idtr = new DescriptorTableRegister { Base = Idt, Limit = (256 * 16) - 1 };
        SetQword(Tss + 4, InnerStackTop);
        cpu.Tr = Register(TssSelector, LegacyDescriptor.Segment(Tss, 0x67, LegacyDescriptor.Tss32 | LegacyDescriptor.Busy));
    }

    private void FillIdt()
    {
        for (int vector = 0; vector < 256; vector++)
        {
            int dpl = vector == 0x80 ? LegacyDescriptor.Ring3 : 0;
            SetGate(vector, LegacyDescriptor.Gate(HandlerCs, Handler(vector), LegacyDescriptor.Interrupt32 | dpl));
        }

        ref CpuState cpu = ref State;
        cpu.Idtr = new DescriptorTableRegister { Base = Idt, Limit = (256 * 8) - 1 };
        SetDword(Tss + 4, InnerStackTop);
        SetWord(Tss + 8, FlatData);
        ulong tss = LegacyDescriptor.Segment(Tss, 0x67, LegacyDescriptor.Tss32 | LegacyDescriptor.Busy);
        SetDescriptor(TssSelector, tss);
        cpu.Tr = Register(TssSelector, tss);
    }

    private void FillGdt(int width)
    {
        SetDescriptor(HandlerCs, LegacyDescriptor.Segment(HandlerBase, 0xFFFF, LegacyDescriptor.Code, LegacyDescriptor.Big));
        SetDescriptor(FlatData, LegacyDescriptor.Segment(0, 0xF_FFFF, LegacyDescriptor.Data, LegacyDescriptor.Big | LegacyDescriptor.Pages));
        for (int ring = 0; ring <= 3; ring += 3)
        {
            int dpl = ring << 5;
            int at = 0x18 + (8 * ring);
            SetDescriptor(at, LegacyDescriptor.Segment(CodeBase, 0xFFFF, LegacyDescriptor.Code | dpl, width));
            SetDescriptor(at + 8, LegacyDescriptor.Segment(DataBase, 0xFFFF, LegacyDescriptor.Data | dpl, width));
            SetDescriptor(at + 16, LegacyDescriptor.Segment(StackBase, 0xFFFF, LegacyDescriptor.Data | dpl, width));
        }

        SetDescriptor(LdtSelector, LegacyDescriptor.Segment(Ldt, LdtLimit, LegacyDescriptor.Ldt));
    }

    private void SetRealSegments()
    {
        ref CpuState cpu = ref State;
        for (int i = 0; i < 6; i++)
        {
            uint start = i == SegmentIndex.Cs ? CodeBase : i == SegmentIndex.Ss ? StackBase : DataBase;
            cpu.Segments[i] = Register((ushort)(start >> 4), LegacyDescriptor.Segment(start, 0xFFFF, LegacyDescriptor.Data | (Cpl << 5)));
        }

        cpu.Gpr[GeneralRegister.Rsp] = StackTop;
    }
}
