using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>What FSTENV stores and FLDENV loads (SDM Vol. 1, 8.1.10).</summary>
internal struct X87Environment
{
    public ushort Control;
    public ushort Status;

    /// <summary>Two bits for each physical register: 0 a normal number, 1 zero, 2 anything else, 3 empty.</summary>
    public ushort Tags;

    public ushort Opcode;
    public uint InstructionPointer;
    public uint DataPointer;
    public ushort InstructionSelector;
    public ushort DataSelector;

    private const uint TagEmpty = 3;

    /// <summary>That of a processor.</summary>
    public static X87Environment Of(ref CpuState cpu) => new()
    {
        Control = cpu.X87.Control,
        Status = X87Unit.StatusWord(ref cpu),
        Tags = TagsOf(ref cpu),
        Opcode = cpu.X87.Opcode,
        InstructionPointer = (uint)cpu.X87.InstructionPointer,
        DataPointer = (uint)cpu.X87.DataPointer,
        InstructionSelector = cpu.X87.InstructionSelector,
        DataSelector = cpu.X87.DataSelector,
    };

    /// <summary>Gives it to a processor, which keeps of the tags only which registers are empty.</summary>
    public readonly void Load(ref CpuState cpu)
    {
        X87Unit.SetWords(ref cpu.X87, Control, Status);
        uint used = 0;
        for (int i = 0; i < 8; i++)
        {
            used |= ((uint)Tags >> (2 * i) & TagEmpty) != TagEmpty ? 1u << i : 0;
        }

        cpu.X87.Tags = (byte)used;
        cpu.X87.Opcode = (ushort)(Opcode & X87Layouts.OpcodeMask);
        cpu.X87.InstructionPointer = InstructionPointer;
        cpu.X87.DataPointer = DataPointer;
        cpu.X87.InstructionSelector = InstructionSelector;
        cpu.X87.DataSelector = DataSelector;
    }

    private static ushort TagsOf(ref CpuState cpu)
    {
        uint tags = 0;
        for (int i = 0; i < 8; i++)
        {
            X87Register value = cpu.X87.Registers[i];
            uint tag = (cpu.X87.Tags >> i & 1) == 0 ? TagEmpty
                : ExtendedFloat.IsNormal(value) ? 0u
                : ExtendedFloat.IsZero(value) ? 1u
                : 2u;
            tags |= tag << (2 * i);
        }

        return (ushort)tags;
    }
}

/// <summary>One of the four layouts of the environment: of 16 or 32 bits, of protected or real-address mode.</summary>
internal interface IX87Layout<TSelf>
    where TSelf : unmanaged, IX87Layout<TSelf>
{
    /// <summary>The bytes of an environment.</summary>
    static abstract TSelf Of(in X87Environment environment);

    /// <summary>The environment; what the layout has no room for stays as it was <paramref name="before"/>.</summary>
    X87Environment Environment(in X87Environment before);
}

internal static class X87Layouts
{
    public const uint OpcodeMask = 0x7FF;

    /// <summary>What stands in the unused upper half of a word.</summary>
    public const uint Unused = 0xFFFF_0000;

    /// <summary>A pointer as real-address mode sees it.</summary>
    public static uint Linear(ushort selector, uint offset) => ((uint)selector << 4) + offset;
}

/// <summary>SDM Vol. 1, figure 8-9; also the layout of 64-bit mode.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct X87Protected32 : IX87Layout<X87Protected32>
{
    private uint control;
    private uint status;
    private uint tags;
    private uint instructionPointer;
    private ushort instructionSelector;
    private ushort opcode;
    private uint dataPointer;
    private uint dataSelector;

    /// <inheritdoc/>
    public static X87Protected32 Of(in X87Environment environment) => new()
    {
        control = environment.Control | X87Layouts.Unused,
        status = environment.Status | X87Layouts.Unused,
        tags = environment.Tags | X87Layouts.Unused,
        instructionPointer = environment.InstructionPointer,
        instructionSelector = environment.InstructionSelector,
        opcode = environment.Opcode,
        dataPointer = environment.DataPointer,
        dataSelector = environment.DataSelector | X87Layouts.Unused,
    };

    /// <inheritdoc/>
    public readonly X87Environment Environment(in X87Environment before) => new()
    {
        Control = (ushort)control,
        Status = (ushort)status,
        Tags = (ushort)tags,
        Opcode = opcode,
        InstructionPointer = instructionPointer,
        DataPointer = dataPointer,
        InstructionSelector = instructionSelector,
        DataSelector = (ushort)dataSelector,
    };
}

/// <summary>SDM Vol. 1, figure 8-11.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct X87Protected16 : IX87Layout<X87Protected16>
{
    private ushort control;
    private ushort status;
    private ushort tags;
    private ushort instructionPointer;
    private ushort instructionSelector;
    private ushort dataPointer;
    private ushort dataSelector;

    /// <inheritdoc/>
    public static X87Protected16 Of(in X87Environment environment) => new()
    {
        control = environment.Control,
        status = environment.Status,
        tags = environment.Tags,
        instructionPointer = (ushort)environment.InstructionPointer,
        instructionSelector = environment.InstructionSelector,
        dataPointer = (ushort)environment.DataPointer,
        dataSelector = environment.DataSelector,
    };

    /// <inheritdoc/>
    public readonly X87Environment Environment(in X87Environment before) => new()
    {
        Control = control,
        Status = status,
        Tags = tags,
        Opcode = before.Opcode,
        InstructionPointer = instructionPointer,
        DataPointer = dataPointer,
        InstructionSelector = instructionSelector,
        DataSelector = dataSelector,
    };
}

/// <summary>SDM Vol. 1, figure 8-10: pointers are linear addresses, in two parts.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct X87Real32 : IX87Layout<X87Real32>
{
    private const int HighShift = 12;
    private const uint HighMask = 0xFFFF;

    private uint control;
    private uint status;
    private uint tags;
    private uint instructionLow;
    private uint instructionHigh;
    private uint dataLow;
    private uint dataHigh;

    /// <inheritdoc/>
    public static X87Real32 Of(in X87Environment environment)
    {
        uint instruction = X87Layouts.Linear(environment.InstructionSelector, environment.InstructionPointer);
        uint data = X87Layouts.Linear(environment.DataSelector, environment.DataPointer);
        return new X87Real32
        {
            control = environment.Control | X87Layouts.Unused,
            status = environment.Status | X87Layouts.Unused,
            tags = environment.Tags | X87Layouts.Unused,
            instructionLow = (ushort)instruction | X87Layouts.Unused,
            instructionHigh = (instruction >> 16 << HighShift) | (environment.Opcode & X87Layouts.OpcodeMask),
            dataLow = (ushort)data | X87Layouts.Unused,
            dataHigh = data >> 16 << HighShift,
        };
    }

    /// <inheritdoc/>
    public readonly X87Environment Environment(in X87Environment before) => new()
    {
        Control = (ushort)control,
        Status = (ushort)status,
        Tags = (ushort)tags,
        Opcode = (ushort)(instructionHigh & X87Layouts.OpcodeMask),
        InstructionPointer = (ushort)instructionLow | ((instructionHigh >> HighShift & HighMask) << 16),
        DataPointer = (ushort)dataLow | ((dataHigh >> HighShift & HighMask) << 16),
    };
}

/// <summary>SDM Vol. 1, figure 8-12: pointers are linear addresses of 20 bits, in two parts.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct X87Real16 : IX87Layout<X87Real16>
{
    private const int HighShift = 12;

    private ushort control;
    private ushort status;
    private ushort tags;
    private ushort instructionLow;
    private ushort instructionHigh;
    private ushort dataLow;
    private ushort dataHigh;

    /// <inheritdoc/>
    public static X87Real16 Of(in X87Environment environment)
    {
        uint instruction = X87Layouts.Linear(environment.InstructionSelector, environment.InstructionPointer);
        uint data = X87Layouts.Linear(environment.DataSelector, environment.DataPointer);
        return new X87Real16
        {
            control = environment.Control,
            status = environment.Status,
            tags = environment.Tags,
            instructionLow = (ushort)instruction,
            instructionHigh = (ushort)((instruction >> 16 << HighShift) | (environment.Opcode & X87Layouts.OpcodeMask)),
            dataLow = (ushort)data,
            dataHigh = (ushort)(data >> 16 << HighShift),
        };
    }

    /// <inheritdoc/>
    public readonly X87Environment Environment(in X87Environment before) => new()
    {
        Control = control,
        Status = status,
        Tags = tags,
        Opcode = (ushort)(instructionHigh & X87Layouts.OpcodeMask),
        InstructionPointer = instructionLow | ((uint)instructionHigh >> HighShift << 16),
        DataPointer = dataLow | ((uint)dataHigh >> HighShift << 16),
    };
}
