using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>
/// Which instructions Unicorn executes. Those of its QEMU 5.0 that act on general registers, XMM registers and memory as this processor does; the
/// interpreter has all that belongs to the system, to x87, MMX, AVX and later, and the repeated string instructions, which count as one.
/// </summary>
internal sealed class UnicornGate
{
    private static readonly HashSet<CpuidFeature> features =
    [
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386, CpuidFeature.INTEL486, CpuidFeature.X64, CpuidFeature.CMOV,
        CpuidFeature.CX8, CpuidFeature.CMPXCHG16B, CpuidFeature.MULTIBYTENOP, CpuidFeature.SSE, CpuidFeature.SSE2, CpuidFeature.SSE3, CpuidFeature.SSSE3,
        CpuidFeature.SSE4_1, CpuidFeature.SSE4_2, CpuidFeature.POPCNT, CpuidFeature.LZCNT, CpuidFeature.BMI1, CpuidFeature.BMI2, CpuidFeature.ADX,
        CpuidFeature.MOVBE, CpuidFeature.AES, CpuidFeature.PCLMULQDQ, CpuidFeature.PREFETCHW, CpuidFeature.CET_IBT,
    ];

    private static readonly string[] floatStems =
    [
        "Add", "Sub", "Mul", "Div", "Sqrt", "Min", "Max", "Cmp", "Comi", "Ucomi", "Round", "Dp", "Hadd", "Hsub", "Addsub",
    ];

    private static readonly Traits[] traits = [.. Enum.GetValues<Code>().Select(TraitsOf)];

    private readonly bool takesFlags;
    private readonly bool takesAlignment;
    private readonly CpuFeatures claimed;

    /// <param name="claimed">The processor model.</param>
    /// <param name="tolerated">The errata whose instructions Unicorn executes all the same.</param>
    public UnicornGate(CpuFeatures claimed, IReadOnlyCollection<EngineErratum> tolerated)
    {
        this.claimed = claimed;
        takesFlags = tolerated.Contains(UnicornErrata.MxcsrFlags);
        takesAlignment = tolerated.Contains(UnicornErrata.SseAlignment);
    }

    [Flags]
    private enum Traits : byte
    {
        None = 0,
        Known = 1,
        Float = 2,
        Vector = 4,
        Aligned = 8,
    }

    /// <summary>What else decides whether an instruction goes to Unicorn, from the state of the processor.</summary>
    [Flags]
    public enum Conditions : byte
    {
        /// <summary>SSE instructions raise #UD or #NM, or their floating-point exceptions are not all masked, or denormals are flushed.</summary>
        None = 0,

        /// <summary>SSE instructions can be executed.</summary>
        Sse = 1,

        /// <summary>MXCSR asks for nothing but a rounding mode.</summary>
        PlainMxcsr = 2,
    }

    /// <summary>The conditions of a state.</summary>
    public static Conditions ConditionsOf(ref CpuState cpu)
    {
        const uint masks = 0x1f80, flushes = 0x8040;
        Conditions conditions = (cpu.Mode & (BlockMode.SseUndefined | BlockMode.SseNotAvailable)) == 0 ? Conditions.Sse : Conditions.None;
        return conditions | ((cpu.Mxcsr & (masks | flushes)) == masks ? Conditions.PlainMxcsr : Conditions.None);
    }

    /// <summary>Whether Unicorn executes an instruction.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="bytes">Its bytes.</param>
    /// <param name="conditions">The processor's state.</param>
    public bool Allows(in Instruction instruction, ReadOnlySpan<byte> bytes, Conditions conditions)
    {
        Traits its = traits[(int)instruction.Code];
        if (its == Traits.None || !claimed.Gate.Allows(instruction.Code) || NamesOtherRegisters(instruction)
            || (instruction.HasLockPrefix && !OperandLayout.TakesLock(instruction)))
        {
            return false;
        }

        if ((its & Traits.Vector) != 0 && (conditions & Conditions.Sse) == 0)
        {
            return false;
        }

        if ((its & Traits.Float) != 0 && !(takesFlags && (conditions & Conditions.PlainMxcsr) != 0))
        {
            return false;
        }

        if ((its & Traits.Aligned) != 0 && !takesAlignment && HasMemoryOperand(instruction) && !IsKnownAligned(instruction))
        {
            return false;
        }

        return instruction.Mnemonic switch
        {
            Mnemonic.Tzcnt => claimed.Has(CpuFeature.Bmi1),
            Mnemonic.Lzcnt => claimed.Has(CpuFeature.Lzcnt),
            Mnemonic.Ret when instruction.OpCount == 1 && instruction.Immediate16 > short.MaxValue => false, // QEMU 5.0 extends its sign
            Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64 or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64
                or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm => false, // QEMU 5.0 is wrong about ordered comparison at some lengths
            Mnemonic.Phaddw or Mnemonic.Phaddd or Mnemonic.Phaddsw or Mnemonic.Phsubw or Mnemonic.Phsubd or Mnemonic.Phsubsw
                => instruction.Op0Register != instruction.Op1Register, // QEMU 5.0 reads what it has written
            _ when instruction.IsStringInstruction => !instruction.HasRepPrefix && !instruction.HasRepnePrefix,
            _ => instruction.FlowControl == FlowControl.Next || !HasOperandSizePrefix(bytes),
        };
    }

    private static bool HasMemoryOperand(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsKnownAligned(in Instruction instruction) =>
        instruction.IsIPRelativeMemoryOperand && instruction.SegmentPrefix == Register.None && (instruction.IPRelativeMemoryAddress & 15) == 0;

    private static bool NamesOtherRegisters(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register && (instruction.GetOpRegister(i).IsSegmentRegister() || instruction.GetOpRegister(i).IsMM()))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A branch with this prefix is as wide as the vendor likes.</summary>
    private static bool HasOperandSizePrefix(ReadOnlySpan<byte> bytes)
    {
        foreach (byte prefix in bytes)
        {
            switch (prefix)
            {
                case 0x66:
                    return true;
                case 0x26 or 0x2E or 0x36 or 0x3E or 0x64 or 0x65 or 0x67 or 0xF0 or 0xF2 or 0xF3:
                    continue;
                default:
                    return false;
            }
        }

        return false;
    }

    private static Traits TraitsOf(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        bool known = info.IsInstruction && info.Mode64 && code.CpuidFeatures().All(features.Contains) && info.Encoding is EncodingKind.Legacy or EncodingKind.VEX;
        if (!known || info.IsPrivileged || IsSystem(code))
        {
            return Traits.None;
        }

        string name = code.Mnemonic().ToString();
        bool vector = false;
        bool wide = false;
        for (int i = 0; i < info.OpCount; i++)
        {
            OpCodeOperandKind kind = info.GetOpKind(i);
            vector |= kind is OpCodeOperandKind.xmm_reg or OpCodeOperandKind.xmm_rm or OpCodeOperandKind.xmm_or_mem;
            wide |= kind is OpCodeOperandKind.xmm_or_mem or OpCodeOperandKind.mem;
        }

        bool aligned = vector && wide && info.MemorySize.GetSize() == 16 && !TakesAnyAddress(code.Mnemonic());
        bool isFloat = vector && IsFloat(name);
        return Traits.Known | (vector ? Traits.Vector : 0) | (aligned ? Traits.Aligned : 0) | (isFloat ? Traits.Float : 0);
    }

    private static bool TakesAnyAddress(Mnemonic mnemonic) => mnemonic is Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu;

    private static bool IsFloat(string name)
    {
        if (name.StartsWith("Cvt", StringComparison.Ordinal))
        {
            return true;
        }

        string stem = name.Length > 2 ? name[..^2] : name;
        return name[^2..] is "ps" or "pd" or "ss" or "sd" && floatStems.Contains(stem);
    }

    private static bool IsSystem(Code code)
    {
        FlowControl flow = code.FlowControl();
        if (flow is FlowControl.Interrupt or FlowControl.XbeginXabortXend or FlowControl.Exception || code.IsJmpFar() || code.IsJmpFarIndirect() || code.IsCallFar() || code.IsCallFarIndirect())
        {
            return true;
        }

        return code.Mnemonic() is
            Mnemonic.Pushf or Mnemonic.Pushfd or Mnemonic.Pushfq or Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Popfq
            or Mnemonic.Syscall or Mnemonic.Sysenter or Mnemonic.Sysexit or Mnemonic.Sysret or Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq or Mnemonic.Retf
            or Mnemonic.Sgdt or Mnemonic.Sidt or Mnemonic.Sldt or Mnemonic.Str or Mnemonic.Smsw or Mnemonic.Lmsw or Mnemonic.Lar or Mnemonic.Lsl
            or Mnemonic.Verr or Mnemonic.Verw or Mnemonic.Arpl or Mnemonic.Lss or Mnemonic.Lfs or Mnemonic.Lgs or Mnemonic.Pause
            or Mnemonic.Wait or Mnemonic.Ldmxcsr or Mnemonic.Stmxcsr or Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss
            or Mnemonic.Hlt or Mnemonic.Cpuid or Mnemonic.Rsm or Mnemonic.Cli or Mnemonic.Sti or Mnemonic.In or Mnemonic.Out
            or Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd or Mnemonic.Enter
            || code is Code.Bswap_r16 || (code.CpuidFeatures().Contains(CpuidFeature.CET_IBT) && code.Mnemonic() is not (Mnemonic.Endbr64 or Mnemonic.Endbr32));
    }
}
