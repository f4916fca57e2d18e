using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>Bits of MXCSR (SDM Vol. 1, 10.2.3).</summary>
internal static class Mxcsr
{
    public const uint IE = 1 << 0;
    public const uint DE = 1 << 1;
    public const uint ZE = 1 << 2;
    public const uint OE = 1 << 3;
    public const uint UE = 1 << 4;
    public const uint PE = 1 << 5;
    public const uint DAZ = 1 << 6;
    public const uint UM = 1 << 11;
    public const uint FTZ = 1 << 15;

    /// <summary>The six flags.</summary>
    public const uint Flags = 0x3F;

    /// <summary>The flags found before a result is computed.</summary>
    public const uint BeforeResult = IE | DE | ZE;

    /// <summary>From a flag to its mask.</summary>
    public const int MaskShift = 7;

    public const int RoundingShift = 13;

    /// <summary>Everything that is not a flag.</summary>
    public const uint Control = 0xFFC0;
}

/// <summary>MXCSR.RC.</summary>
internal enum RoundingMode
{
    Nearest,
    Down,
    Up,
    Zero,
}

/// <summary>How to compute, and what was found while computing.</summary>
internal struct FloatStatus(uint mxcsr)
{
    /// <summary>Flags to be set in MXCSR.</summary>
    public uint Flags;

    private uint earlier;

    /// <summary>That of an instruction which begins; it lies in the state so that handlers have no local whose address is taken.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref FloatStatus Begin(ref CpuState cpu)
    {
        cpu.FloatStatus = new FloatStatus(cpu.Mxcsr);
        return ref cpu.FloatStatus;
    }

    /// <summary>MXCSR.RC.</summary>
    public readonly RoundingMode Rounding => (RoundingMode)(mxcsr >> Mxcsr.RoundingShift & 3);

    /// <summary>Denormal operands count as zeros.</summary>
    public readonly bool DenormalsAreZeros => (mxcsr & Mxcsr.DAZ) != 0;

    /// <summary>Underflow has no handler.</summary>
    public readonly bool UnderflowMasked => (mxcsr & Mxcsr.UM) != 0;

    /// <summary>Tiny results become zeros; ignored while underflow is unmasked.</summary>
    public readonly bool FlushToZero => (mxcsr & Mxcsr.FTZ) != 0 && UnderflowMasked;

    /// <summary><see cref="FloatFastPath.IsOpen"/>.</summary>
    public readonly bool IsFastPathOpen => FloatFastPath.IsOpen(mxcsr);

    /// <summary>
    /// Ends one of several steps of an instruction, whose exceptions come in turn; <see langword="false"/> when it found one that is
    /// unmasked, and there are no more steps.
    /// </summary>
    public bool EndStep()
    {
        if ((Flags & ~(mxcsr >> Mxcsr.MaskShift)) != 0)
        {
            return false;
        }

        earlier = Flags;
        return true;
    }

    /// <summary>
    /// Sets the flags in MXCSR; <see langword="false"/> when one of them is unmasked, with #XM raised. Then those that are found only
    /// with the result stay as they were (SDM Vol. 1, 11.5.3).
    /// </summary>
    public readonly bool Commit(ref CpuState cpu, Vcpu vcpu)
    {
        uint unmasked = Flags & ~(cpu.Mxcsr >> Mxcsr.MaskShift);
        cpu.Mxcsr |= (unmasked & Mxcsr.BeforeResult) != 0 ? Flags & (Mxcsr.BeforeResult | earlier) : Flags;
        if (unmasked == 0)
        {
            return true;
        }

        return (cpu.Cr4 & Cr4.OSXMMEXCPT) != 0
            ? vcpu.Raise(ExceptionVector.SimdFloatingPoint, null, FaultRule.SimdException)
            : vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.SimdException);
    }
}
