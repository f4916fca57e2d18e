using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>A task-state segment outside IA-32e mode (SDM Vol. 3A, figures 9-2 and 9-10), both widths in one form.</summary>
internal struct TaskState
{
    /// <summary>The least limit of a 32-bit TSS.</summary>
    public const uint Limit32 = 103;

    /// <summary>The least limit of a 16-bit TSS.</summary>
    public const uint Limit16 = 43;

    /// <summary>CR3; a 16-bit TSS has none.</summary>
    public uint Cr3;

    /// <summary>EIP.</summary>
    public uint Eip;

    /// <summary>EFLAGS.</summary>
    public uint Eflags;

    /// <summary>EAX to EDI in encoding order.</summary>
    public TaskRegisters Registers;

    /// <summary>ES, CS, SS, DS, FS, GS in encoding order; a 16-bit TSS has the first four.</summary>
    public TaskSelectors Selectors;

    /// <summary>The LDT's selector.</summary>
    public ushort Ldt;

    /// <summary>T: a debug exception after the switch to the task.</summary>
    public bool Trap;

    /// <summary>Whether the TSS of a descriptor or of TR is a 32-bit one.</summary>
    public static bool Is32Bit(in SegmentRegister tr) => (tr.Attributes & (8 << 8)) != 0;

    /// <summary>Reads the dynamic and static fields; false with the reason recorded.</summary>
    public static bool TryRead(Vcpu vcpu, ulong address, bool wide, out TaskState state)
    {
        state = default;
        if (wide)
        {
            if (!SystemMemory.Read(vcpu, address, out Tss32 tss))
            {
                return false;
            }

            ReadOnlySpan<uint> words = MemoryMarshal.Cast<Tss32, uint>(new ReadOnlySpan<Tss32>(in tss));
            state.Cr3 = words[7];
            state.Eip = words[8];
            state.Eflags = words[9];
            for (int i = 0; i < 8; i++)
            {
                state.Registers[i] = words[10 + i];
            }

            for (int i = 0; i < 6; i++)
            {
                state.Selectors[i] = (ushort)words[18 + i];
            }

            state.Ldt = (ushort)words[24];
            state.Trap = (words[25] & 1) != 0;
            return true;
        }

        if (!SystemMemory.Read(vcpu, address, out Tss16 narrow))
        {
            return false;
        }

        ReadOnlySpan<ushort> halves = MemoryMarshal.Cast<Tss16, ushort>(new ReadOnlySpan<Tss16>(in narrow));
        state.Eip = halves[7];
        state.Eflags = halves[8];
        for (int i = 0; i < 8; i++)
        {
            state.Registers[i] = halves[9 + i] | 0xFFFF_0000u;
        }

        for (int i = 0; i < 4; i++)
        {
            state.Selectors[i] = halves[17 + i];
        }

        state.Ldt = halves[21];
        return true;
    }

    /// <summary>Writes the dynamic fields: the instruction pointer, flags, general and segment registers; false with the reason recorded.</summary>
    public static bool TryWrite(Vcpu vcpu, ulong address, bool wide, in TaskState state)
    {
        if (wide)
        {
            Dynamic32 dynamic = default;
            Span<uint> words = MemoryMarshal.Cast<Dynamic32, uint>(new Span<Dynamic32>(ref dynamic));
            words[0] = state.Eip;
            words[1] = state.Eflags;
            for (int i = 0; i < 8; i++)
            {
                words[2 + i] = state.Registers[i];
            }

            for (int i = 0; i < 6; i++)
            {
                words[10 + i] = state.Selectors[i];
            }

            return SystemMemory.Write(vcpu, address + 32, dynamic);
        }

        Dynamic16 narrow = default;
        Span<ushort> halves = MemoryMarshal.Cast<Dynamic16, ushort>(new Span<Dynamic16>(ref narrow));
        halves[0] = (ushort)state.Eip;
        halves[1] = (ushort)state.Eflags;
        for (int i = 0; i < 8; i++)
        {
            halves[2 + i] = (ushort)state.Registers[i];
        }

        for (int i = 0; i < 4; i++)
        {
            halves[10 + i] = state.Selectors[i];
        }

        return SystemMemory.Write(vcpu, address + 14, narrow);
    }

    [StructLayout(LayoutKind.Sequential, Size = 104)]
    private struct Tss32
    {
    }

    [StructLayout(LayoutKind.Sequential, Size = 44)]
    private struct Tss16
    {
    }

    [StructLayout(LayoutKind.Sequential, Size = 64)]
    private struct Dynamic32
    {
    }

    [StructLayout(LayoutKind.Sequential, Size = 28)]
    private struct Dynamic16
    {
    }
}

/// <summary>EAX to EDI.</summary>
[System.Runtime.CompilerServices.InlineArray(8)]
internal struct TaskRegisters
{
    private uint first;
}

/// <summary>ES to GS.</summary>
[System.Runtime.CompilerServices.InlineArray(6)]
internal struct TaskSelectors
{
    private ushort first;
}
