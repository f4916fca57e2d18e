using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>
/// IEEE 754 arithmetic on the bits of <see cref="Half"/>, <see cref="float"/> or <see cref="double"/> in any rounding mode, with the exception flags
/// and the NaN rules of SSE (SDM Vol. 1, 4.8 and 11.5). Slow and exact: handlers come here when the host's own arithmetic, which
/// rounds to nearest and reports nothing, cannot be shown to agree.
/// </summary>
internal static unsafe partial class SoftFloat<T>
    where T : unmanaged
{
    private static int FractionBits => sizeof(T) == 2 ? 10 : sizeof(T) == sizeof(float) ? 23 : 52;

    private static int Bias => sizeof(T) == 2 ? 15 : sizeof(T) == sizeof(float) ? 127 : 1023;

    private static ulong SignBit => 1UL << (8 * sizeof(T) - 1);

    private static ulong QuietBit => 1UL << (FractionBits - 1);

    private static ulong FractionMask => (1UL << FractionBits) - 1;

    private static ulong Infinity => (ulong)(2 * Bias + 1) << FractionBits;

    /// <summary>The real indefinite, the NaN that an invalid operation gives.</summary>
    public static ulong Indefinite => SignBit | Infinity | QuietBit;

    /// <summary>Whether it is a NaN.</summary>
    public static bool IsNaN(ulong value) => (value & ~SignBit) > Infinity;

    /// <summary>Whether it is a NaN that signals.</summary>
    public static bool IsSignaling(ulong value) => IsNaN(value) && (value & QuietBit) == 0;

    private static bool IsInfinite(ulong value) => (value & ~SignBit) == Infinity;

    private static bool IsZero(ulong value) => (value & ~SignBit) == 0;

    private static bool IsDenormal(ulong value) => (value & Infinity) == 0 && !IsZero(value);

    /// <summary>The bits of a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Bits(T value) => sizeof(T) == 2 ? Unsafe.BitCast<T, ushort>(value) : sizeof(T) == sizeof(float) ? Unsafe.BitCast<T, uint>(value) : Unsafe.BitCast<T, ulong>(value);

    /// <summary>The value of bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value(ulong bits) => sizeof(T) == 2 ? Unsafe.BitCast<ushort, T>((ushort)bits) : sizeof(T) == sizeof(float) ? Unsafe.BitCast<uint, T>((uint)bits) : Unsafe.BitCast<ulong, T>(bits);

    /// <summary>A denormal under DAZ as the zero it counts for.</summary>
    public static ulong Flush(ulong value, in FloatStatus status) =>
        status.DenormalsAreZeros && IsDenormal(value) ? value & SignBit : value;

    /// <summary>The operand as it counts; a denormal is noted.</summary>
    private static ulong Take(ulong value, ref FloatStatus status)
    {
        value = Flush(value, status);
        status.Flags |= IsDenormal(value) ? Mxcsr.DE : 0;
        return value;
    }

    /// <summary>The result where an operand is a NaN: the first such, made quiet (SDM Vol. 1, table 4-7).</summary>
    private static ulong Propagate(ulong a, ulong b, ref FloatStatus status)
    {
        status.Flags |= IsSignaling(a) || IsSignaling(b) ? Mxcsr.IE : 0;
        return (IsNaN(a) ? a : b) | QuietBit;
    }

    private static ulong Invalid(ref FloatStatus status)
    {
        status.Flags |= Mxcsr.IE;
        return Indefinite;
    }

    /// <summary>A finite number that is not zero, its significand's top bit at bit 63.</summary>
    private static (int Exponent, ulong Significand) Unpack(ulong value)
    {
        int exponent = (int)((value & Infinity) >> FractionBits);
        ulong fraction = value & FractionMask;
        if (exponent == 0)
        {
            int shift = BitOperations.LeadingZeroCount(fraction);
            return (63 - shift - FractionBits + 1 - Bias, fraction << shift);
        }

        return (exponent - Bias, (fraction | (1UL << FractionBits)) << (63 - FractionBits));
    }

    /// <summary>
    /// Rounds and packs. <paramref name="significand"/> has its top bit at bit 63, which counts 2^<paramref name="exponent"/>, and
    /// in bit 0 also whether anything nonzero lies below.
    /// </summary>
    private static ulong Pack(ulong sign, int exponent, ulong significand, ref FloatStatus status)
    {
        ulong rounded = RoundTo(significand, 63 - FractionBits, sign, status.Rounding, out bool inexact, out bool carry);
        if (exponent + (carry ? 1 : 0) < 1 - Bias)
        {
            return PackTiny(sign, exponent, significand, isTiny: true, ref status);
        }

        if (exponent < 1 - Bias)
        {
            return PackTiny(sign, exponent, significand, isTiny: false, ref status);
        }

        exponent += carry ? 1 : 0;
        if (exponent > Bias)
        {
            status.Flags |= Mxcsr.OE | Mxcsr.PE;
            bool away = status.Rounding == RoundingMode.Nearest || status.Rounding == (sign != 0 ? RoundingMode.Down : RoundingMode.Up);
            return sign | (away ? Infinity : Infinity - 1);
        }

        status.Flags |= inexact ? Mxcsr.PE : 0;
        return sign | ((ulong)(exponent + Bias) << FractionBits) | (rounded & FractionMask);
    }

    private static ulong PackTiny(ulong sign, int exponent, ulong significand, bool isTiny, ref FloatStatus status)
    {
        if (isTiny && status.FlushToZero)
        {
            status.Flags |= Mxcsr.UE | Mxcsr.PE;
            return sign;
        }

        ulong shifted = ShiftRightJam(significand, 1 - Bias - exponent);
        ulong rounded = RoundTo(shifted, 63 - FractionBits, sign, status.Rounding, out bool inexact, out _);
        status.Flags |= inexact ? Mxcsr.PE : 0;
        status.Flags |= isTiny && (inexact || !status.UnderflowMasked) ? Mxcsr.UE : 0;
        return sign | rounded;
    }

    /// <summary>Drops low bits; a carry out of the top leaves the value halved, with <paramref name="carry"/> set.</summary>
    private static ulong RoundTo(ulong significand, int dropped, ulong sign, RoundingMode mode, out bool inexact, out bool carry)
    {
        ulong kept = significand >> dropped;
        ulong rest = significand & ((1UL << dropped) - 1);
        inexact = rest != 0;
        kept += RoundsUp(kept, rest, 1UL << (dropped - 1), sign != 0, mode) ? 1UL : 0;
        carry = kept >> (64 - dropped) != 0;
        return carry ? kept >> 1 : kept;
    }

    private static bool RoundsUp(ulong kept, ulong rest, ulong half, bool negative, RoundingMode mode) => mode switch
    {
        RoundingMode.Nearest => rest > half || (rest == half && (kept & 1) != 0),
        RoundingMode.Down => rest != 0 && negative,
        RoundingMode.Up => rest != 0 && !negative,
        _ => false,
    };

    /// <summary>A right shift that keeps in bit 0 whether it lost anything.</summary>
    private static ulong ShiftRightJam(ulong value, int count) =>
        count == 0 ? value
        : count >= 64 ? (value != 0 ? 1UL : 0)
        : (value >> count) | ((value << (64 - count)) != 0 ? 1UL : 0);

    private static ulong Jam(UInt128 value) => (ulong)(value >> 64) | ((ulong)value != 0 ? 1UL : 0);
}
