using System.Runtime.InteropServices;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// A machine in a mode other than 64-bit mode whose code, descriptor tables, task-state segments and registers are noise with some sense in
/// it, made anew from a seed as often as it stops.
/// </summary>
internal sealed class HostileLegacyGuest : IDisposable
{
    private const int RamBytes = 1 << 20;
    private const int Gdt = 0x1000, Idt = 0x2000, Ldt = 0x3000, Tss = 0x3800, Code = 0x1_0000, Data = 0x4_0000, Stack = 0x7_0000, Tables = 0x8_0000;
    private const int CodeBytes = 0x2000;
    private const int Entries = 32;
    private const int TssSelector = 0x48, LdtSelector = 0x58;
    private const byte Sentinel = 0xA5;

    private static readonly (int First, int Length)[] Unreachable = [(0x2_0000, 0x2_0000), (0x5_0000, 0x2_0000), (0x9_0000, 0x6_0000)];

    private readonly OperandSource source;
    private readonly byte[] ram = new byte[RamBytes];
    private readonly byte[] tables;

    public HostileLegacyGuest(ulong seed)
    {
        source = new OperandSource(seed);
        Machine = new Machine(new MachineOptions { RamBytes = RamBytes });
        PageTableBuilder pages = new(Machine.Access, new Gpa(Tables), 0x8000);
        pages.Map(new Gva(0), new Gpa(0), RamBytes, PageRights.Write | PageRights.User);
        pages.Map(new Gva(RamBytes), new Gpa(0x8000_0000), 0x1000, PageRights.Write | PageRights.User);
        tables = new byte[pages.TableFrames * (int)PageSize.Size4K];
        Machine.ReadMemory(pages.Root, tables);
        Cr3 = pages.Cr3;
    }

    public Machine Machine { get; }

    /// <summary>Whether this guest is one of ring 3 that can reach its three segments only.</summary>
    public bool IsConfined { get; private set; }

    private ulong Cr3 { get; }

    /// <summary>A new guest.</summary>
    public void Reset()
    {
        Vcpu vcpu = Machine.Cpu;
        vcpu.Reset();
        MemoryMarshal.Cast<byte, ulong>(ram.AsSpan(0, 0x4000)).Clear();
        FillCode();
        IsConfined = source.NextIndex(4) == 0;
        LegacyMode mode = IsConfined ? LegacyMode.Protected16 + source.NextIndex(2) : (LegacyMode)source.NextIndex(6);
        int width = mode is LegacyMode.Protected32 or LegacyMode.Compatibility32 ? LegacyDescriptor.Big : 0;
        int cpl = IsConfined || mode == LegacyMode.Virtual8086 ? 3 : source.NextIndex(2) * 3;
        FillTables(width, mode >= LegacyMode.Compatibility16);
        tables.CopyTo(ram, Tables);
        Machine.WriteMemory(new Gpa(0), ram);
        SetRegisters(mode, cpl, width);
        vcpu.FlushTlb();
    }

    /// <summary>Puts a pattern into all memory that a confined guest has no business with.</summary>
    public void Guard()
    {
        foreach ((int first, int length) in Unreachable)
        {
            byte[] pattern = new byte[length];
            pattern.AsSpan().Fill(Sentinel);
            Machine.WriteMemory(new Gpa((ulong)first), pattern);
        }
    }

    /// <summary>Whether the pattern still stands.</summary>
    public bool GuardStands()
    {
        foreach ((int first, int length) in Unreachable)
        {
            byte[] found = new byte[length];
            Machine.ReadMemory(new Gpa((ulong)first), found);
            if (found.AsSpan().IndexOfAnyExcept(Sentinel) >= 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A number that two runs from one seed must share.</summary>
    public ulong Digest()
    {
        Machine.ReadMemory(new Gpa(0), ram);
        ulong digest = Machine.Cpu.Rflags ^ Machine.Cpu.State.Rip;
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(ram))
        {
            digest = (ulong.RotateLeft(digest, 5) ^ word) * 0x9E37_79B9_7F4A_7C15;
        }

        for (int i = 0; i < 16; i++)
        {
            digest = (ulong.RotateLeft(digest, 5) ^ Machine.Cpu.State.Gpr[i]) * 0x9E37_79B9_7F4A_7C15;
        }

        return digest;
    }

    public void Dispose() => Machine.Dispose();

    /// <summary>Noise, in which now and then an instruction names a selector that there is.</summary>
    private void FillCode()
    {
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(ram.AsSpan(Code, CodeBytes));
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = source.NextBits();
        }

        for (int at = 0; at + 16 < CodeBytes; at += 8 + source.NextIndex(24))
        {
            byte low = (byte)Selector();
            byte[] code = source.NextIndex(16) switch
            {
                0 => [0x9A, (byte)source.NextBits(), 0x01, 0, 0, low, 0],
                1 => [0xEA, (byte)source.NextBits(), 0x01, 0, 0, low, 0],
                2 => [0xEA, (byte)source.NextBits(), 0x01, low, 0],
                3 => [0xB8, low, 0, 0, 0, 0x8E, (byte)(0xC0 | (source.NextIndex(6) << 3))],
                4 => [0x6A, low, 0x6A, 0x40, 0xCB],
                5 => [0x9C, 0x6A, low, 0x6A, 0x40, 0xCF],
                6 => [0xCD, (byte)source.NextBits()],
                7 => [0xB8, low, 0, 0, 0, 0x0F, 0x00, (byte)(0xC0 | (source.NextIndex(8) << 3))],
                8 => [0x0F, 0x01, (byte)(0x05 | (source.NextIndex(8) << 3)), (byte)source.NextBits(), 0x10, 0, 0],
                9 => [0x0F, 0x20, 0xC0, 0x34, (byte)(1 << source.NextIndex(4)), 0x0F, 0x22, 0xC0],
                10 => [0xEB, (byte)(source.NextIndex(32) - 24)],
                11 => [0x6A, 0x40, 0x9D],
                12 => [0xC8, (byte)source.NextBits(), 0, (byte)source.NextBits()],
                13 => [0x60, 0x61, 0xCE, 0xC9],
                14 => [0xF3, (byte)(0xA4 + source.NextIndex(12))],
                _ => [(byte)(0x70 + source.NextIndex(16)), (byte)source.NextIndex(32)],
            };
            code.CopyTo(ram, Code + at);
        }
    }

    private void FillTables(int width, bool ia32e)
    {
        for (int i = 0; i < Entries; i++)
        {
            Put(Gdt + (8 * i), Descriptor());
            Put(Ldt + (8 * i), Descriptor());
        }

        for (int i = 0; i < 0x1000; i += 8)
        {
            int type = source.NextIndex(8) == 0 ? (byte)source.NextBits() : (LegacyDescriptor.Interrupt16 | (source.NextIndex(2) << 3) | (source.NextIndex(4) == 0 ? LegacyDescriptor.Ring3 : 0));
            type = source.NextIndex(16) == 0 ? LegacyDescriptor.TaskGate : type;
            ulong gate = LegacyDescriptor.Gate(IsConfined ? (ushort)0x18 : Selector(), (uint)source.NextIndex(CodeBytes), IsConfined ? LegacyDescriptor.Interrupt32 : type);
            Put(Idt + i, ia32e && (i & 8) != 0 ? 0 : gate);
        }

        for (int ring = 0; ring <= 3; ring += 3)
        {
            int dpl = ring << 5, at = Gdt + 0x18 + (8 * ring);
            Put(at, LegacyDescriptor.Segment(Code, 0xFFFF, LegacyDescriptor.Code | dpl, width));
            Put(at + 8, LegacyDescriptor.Segment(Data, 0xFFFF, LegacyDescriptor.Data | dpl, width));
            Put(at + 16, LegacyDescriptor.Segment(Stack, 0xFFFF, LegacyDescriptor.Data | dpl, width));
        }

        Put(Gdt + 8, LegacyDescriptor.Segment(0, 0xF_FFFF, LegacyDescriptor.Code, ia32e ? LegacyDescriptor.Long : LegacyDescriptor.Big));
        Put(Gdt + TssSelector, LegacyDescriptor.Segment(Tss, 0x67 + (uint)source.NextIndex(16), LegacyDescriptor.Tss32 | LegacyDescriptor.Busy));
        Put(Gdt + TssSelector + 8, ia32e ? 0 : LegacyDescriptor.Segment(Tss + 0x200, 0x67, source.NextIndex(2) == 0 ? LegacyDescriptor.Tss16 : LegacyDescriptor.Tss32));
        Put(Gdt + LdtSelector, LegacyDescriptor.Segment(Ldt, (8 * Entries) - 1, LegacyDescriptor.Ldt));
        for (int at = Tss; at < Tss + 0x400; at += 4)
        {
            int field = at & 0x1FF;
            uint value = field is (>= 72 and <= 92) or 8 or 16 or 24 or 96 or 0 ? Selector()
                : field is 32 ? (uint)source.NextIndex(CodeBytes)
                : field is 28 ? (uint)Cr3
                : field is 36 ? (uint)source.NextBits() & 0x2_7FD5u
                : (uint)source.NextIndex(0x1_0000);
            BitConverter.TryWriteBytes(ram.AsSpan(at), value);
        }

        if (IsConfined)
        {
            Confine();
        }
    }

    /// <summary>Sound tables of which ring 3 can use three segments, and a handler that steps over the byte at fault.</summary>
    private void Confine()
    {
        ram.AsSpan(Gdt + 0x60, (8 * Entries) - 0x60).Clear();
        ram.AsSpan(Gdt, 0x18).Clear();
        Put(Gdt + TssSelector + 8, 0);
        Put(Gdt + LdtSelector, 0);
        Put(Gdt + 8, LegacyDescriptor.Segment(0, 0xF_FFFF, LegacyDescriptor.Code, LegacyDescriptor.Big | LegacyDescriptor.Pages));
        Put(Gdt + 0x10, LegacyDescriptor.Segment(0, 0xF_FFFF, LegacyDescriptor.Data, LegacyDescriptor.Big | LegacyDescriptor.Pages));
        for (int vector = 0; vector < 256; vector++)
        {
            Put(Idt + (8 * vector), LegacyDescriptor.Gate(8, vector is 8 or (>= 10 and <= 14) or 17 ? 0x3C10u : 0x3C00, LegacyDescriptor.Interrupt32 | LegacyDescriptor.Ring3));
        }

        byte[] step = [0xFF, 0x04, 0x24, 0x81, 0x24, 0x24, 0xFF, 0x1F, 0, 0, 0xCF];
        step.CopyTo(ram, 0x3C00);
        step = [0x83, 0xC4, 0x04, 0xE9, 0xE8, 0xFF, 0xFF, 0xFF];
        step.CopyTo(ram, 0x3C10);
        BitConverter.TryWriteBytes(ram.AsSpan(Tss + 4), 0x3F00u);
        BitConverter.TryWriteBytes(ram.AsSpan(Tss + 8), 0x10u);
        BitConverter.TryWriteBytes(ram.AsSpan(Tss + 102), (ushort)0xFFFF);
    }

    private ulong Descriptor() => source.NextIndex(8) switch
    {
        0 => source.NextBits(),
        1 => LegacyDescriptor.Gate(Selector(), (uint)source.NextIndex(CodeBytes), LegacyDescriptor.CallGate16 | (source.NextIndex(2) << 3) | (source.NextIndex(4) << 5), source.NextIndex(32)),
        2 => LegacyDescriptor.Gate(TssSelector + 8, 0, LegacyDescriptor.TaskGate | (source.NextIndex(4) << 5)),
        3 => LegacyDescriptor.Segment((uint)source.NextIndex(RamBytes), (uint)source.NextIndex(0x200), 0x80 | source.NextIndex(16) | (source.NextIndex(4) << 5)),
        _ => LegacyDescriptor.Segment(
            source.NextIndex(4) == 0 ? (uint)source.NextBits() : (uint)source.NextIndex(8) << 16, (uint)source.NextBits() & 0xF_FFFF, 0x90 | source.NextIndex(16) | (source.NextIndex(4) << 5), source.NextIndex(16)),
    };

    private ushort Selector() => (ushort)(source.NextIndex(4) switch
    {
        0 => (source.NextIndex(Entries) * 8) | source.NextIndex(8),
        1 => 0x18 + (8 * source.NextIndex(3)),
        2 => 0x33 + (8 * source.NextIndex(3)),
        _ => 8 * source.NextIndex(12),
    });

    private void SetRegisters(LegacyMode mode, int cpl, int width)
    {
        Vcpu vcpu = Machine.Cpu;
        ref CpuState cpu = ref vcpu.State;
        for (int i = 0; i < 8; i++)
        {
            cpu.Gpr[i] = source.NextIndex(3) == 0 ? (uint)source.NextRegister() : (uint)source.NextIndex(0x1_0000);
        }

        cpu.Gpr[GeneralRegister.Rcx] = (uint)source.NextIndex(0x400);
        cpu.Gpr[GeneralRegister.Rsp] = 0x8000;
        cpu.Rip = (ulong)source.NextIndex(CodeBytes);
        cpu.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = (8 * Entries) - 1 };
        cpu.Idtr = new DescriptorTableRegister { Base = mode == LegacyMode.Real ? 0ul : Idt, Limit = 0xFFF };
        cpu.Cr0 = Cr0.ET | Cr0.NE | (mode == LegacyMode.Real ? 0 : Cr0.PE);
        cpu.Cpl = (byte)cpl;
        if (mode >= LegacyMode.Compatibility16)
        {
            cpu.Cr0 |= Cr0.PG;
            cpu.Cr3 = Cr3;
            cpu.Cr4 = Cr4.PAE | Cr4.OSFXSR;
            cpu.Msr.Efer = Efer.LME | Efer.LMA | Efer.SCE;
        }

        cpu.Tr = LegacyMachine.Register(TssSelector, LegacyDescriptor.Segment(Tss, 0x67, LegacyDescriptor.Tss32 | LegacyDescriptor.Busy));
        cpu.Ldtr = IsConfined ? default : LegacyMachine.Register(LdtSelector, LegacyDescriptor.Segment(Ldt, (8 * Entries) - 1, LegacyDescriptor.Ldt));
        int at = cpl == 3 ? 0x33 : 0x18;
        bool real = mode is LegacyMode.Real or LegacyMode.Virtual8086;
        for (int i = 0; i < 6; i++)
        {
            int place = i == SegmentIndex.Cs ? 0 : i == SegmentIndex.Ss ? 2 : 1;
            uint start = place == 0 ? (uint)Code : place == 2 ? (uint)Stack : (uint)Data;
            int access = (place == 0 && !real ? LegacyDescriptor.Code : LegacyDescriptor.Data) | (cpl << 5);
            cpu.Segments[i] = LegacyMachine.Register(real ? (ushort)(start >> 4) : (ushort)(at + (8 * place)), LegacyDescriptor.Segment(start, 0xFFFF, access, real ? 0 : width));
        }

        ulong flags = source.NextBits() & (Rflags.Status | Rflags.DF | (source.NextIndex(4) == 0 ? Rflags.NT : 0) | (source.NextIndex(8) == 0 ? Rflags.TF : 0));
        vcpu.Rflags = flags | (IsConfined ? 0 : source.NextBits() & Rflags.Iopl) | (mode == LegacyMode.Virtual8086 ? Rflags.VM : 0);
    }

    private void Put(int at, ulong value) => BitConverter.TryWriteBytes(ram.AsSpan(at), value);
}
