using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Which status flags instructions define, and which they leave undefined at their end, as bits of RFLAGS.</summary>
/// <param name="Defined">Those that have a defined value, whatever they had before.</param>
/// <param name="Undefined">Those that the SDM leaves undefined.</param>
/// <param name="Read">Those that are read before they are written.</param>
/// <param name="UsesUndefined">Whether an instruction reads what one before it left undefined.</param>
internal readonly record struct FlagsEffect(uint Defined, uint Undefined, uint Read, bool UsesUndefined)
{
    /// <summary>The flags that are undefined after these instructions, where some were before.</summary>
    public uint After(uint undefined) => (undefined & ~Defined) | Undefined;

    /// <summary>These instructions and then one more.</summary>
    public FlagsEffect Then(in Instruction instruction)
    {
        FlagsEffect next = Of(instruction);
        uint exposed = next.Read & ~(Defined | Undefined);
        return new FlagsEffect((Defined & ~next.Undefined) | next.Defined, next.After(Undefined), Read | exposed, UsesUndefined || (next.Read & Undefined) != 0);
    }

    /// <summary>A shift by CL may be one by 0, which leaves all flags as they were.</summary>
    private static FlagsEffect Of(in Instruction instruction)
    {
        uint undefined = Word(instruction.RflagsUndefined);
        bool byCl = instruction.OpCount != 0 && instruction.GetOpKind(instruction.OpCount - 1) == OpKind.Register
            && instruction.GetOpRegister(instruction.OpCount - 1) == Register.CL && undefined != 0;
        return new FlagsEffect(byCl ? 0 : Word(instruction.RflagsModified) & ~undefined, undefined, Word(instruction.RflagsRead), UsesUndefined: false);
    }

    private static uint Word(RflagsBits bits) =>
        (uint)(((bits & RflagsBits.CF) != 0 ? Rflags.CF : 0)
        | ((bits & RflagsBits.PF) != 0 ? Rflags.PF : 0)
        | ((bits & RflagsBits.AF) != 0 ? Rflags.AF : 0)
        | ((bits & RflagsBits.ZF) != 0 ? Rflags.ZF : 0)
        | ((bits & RflagsBits.SF) != 0 ? Rflags.SF : 0)
        | ((bits & RflagsBits.OF) != 0 ? Rflags.OF : 0));
}
