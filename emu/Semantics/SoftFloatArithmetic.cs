using System.Numerics;

namespace Quadwalk.Emulation;

/// <content>The arithmetic operations.</content>
internal static unsafe partial class SoftFloat<T>
{
    /// <summary>a + b.</summary>
    public static ulong Add(ulong a, ulong b, ref FloatStatus status)
    {
        if (IsNaN(a) || IsNaN(b))
        {
            return Propagate(a, b, ref status);
        }

        ulong signs = (a ^ b) & SignBit;
        if (IsInfinite(a) && IsInfinite(b) && signs != 0)
        {
            return Invalid(ref status);
        }

        a = Take(a, ref status);
        b = Take(b, ref status);
        if (IsInfinite(a) || IsInfinite(b))
        {
            return IsInfinite(a) ? a : b;
        }

        if (IsZero(a) || IsZero(b))
        {
            return IsZero(a) && IsZero(b) ? (signs == 0 ? a : CancelledZero(status)) : Repack(IsZero(a) ? b : a, ref status);
        }

        return AddFinite(a, b, signs != 0, ref status);
    }

    /// <summary>a - b.</summary>
    public static ulong Subtract(ulong a, ulong b, ref FloatStatus status) => Add(a, IsNaN(b) ? b : b ^ SignBit, ref status);

    /// <summary>a * b.</summary>
    public static ulong Multiply(ulong a, ulong b, ref FloatStatus status)
    {
        if (IsNaN(a) || IsNaN(b))
        {
            return Propagate(a, b, ref status);
        }

        a = Flush(a, status);
        b = Flush(b, status);
        if ((IsInfinite(a) && IsZero(b)) || (IsZero(a) && IsInfinite(b)))
        {
            return Invalid(ref status);
        }

        a = Take(a, ref status);
        b = Take(b, ref status);
        ulong sign = (a ^ b) & SignBit;
        if (IsInfinite(a) || IsInfinite(b))
        {
            return sign | Infinity;
        }

        if (IsZero(a) || IsZero(b))
        {
            return sign;
        }

        (int exponentA, ulong significandA) = Unpack(a);
        (int exponentB, ulong significandB) = Unpack(b);
        return PackWide(sign, exponentA + exponentB + 1, (UInt128)significandA * significandB, ref status);
    }

    /// <summary>a / b.</summary>
    public static ulong Divide(ulong a, ulong b, ref FloatStatus status)
    {
        if (IsNaN(a) || IsNaN(b))
        {
            return Propagate(a, b, ref status);
        }

        a = Flush(a, status);
        b = Flush(b, status);
        ulong sign = (a ^ b) & SignBit;
        if ((IsInfinite(a) && IsInfinite(b)) || (IsZero(a) && IsZero(b)))
        {
            return Invalid(ref status);
        }

        if (IsZero(b) && !IsInfinite(a))
        {
            status.Flags |= Mxcsr.ZE;
            return sign | Infinity;
        }

        a = Take(a, ref status);
        b = Take(b, ref status);
        if (IsInfinite(a) || IsZero(a) || IsInfinite(b))
        {
            return IsInfinite(a) ? sign | Infinity : sign;
        }

        (int exponentA, ulong significandA) = Unpack(a);
        (int exponentB, ulong significandB) = Unpack(b);
        (UInt128 quotient, UInt128 remainder) = UInt128.DivRem((UInt128)significandA << 63, significandB);
        return PackWide(sign, exponentA - exponentB + 64, quotient | (remainder != 0 ? UInt128.One : 0), ref status);
    }

    /// <summary>The square root of <paramref name="value"/>.</summary>
    public static ulong SquareRoot(ulong value, ref FloatStatus status)
    {
        if (IsNaN(value))
        {
            return Propagate(value, value, ref status);
        }

        value = Flush(value, status);
        if (IsZero(value))
        {
            return value;
        }

        if ((value & SignBit) != 0)
        {
            return Invalid(ref status);
        }

        value = Take(value, ref status);
        if (IsInfinite(value))
        {
            return value;
        }

        (int exponent, ulong significand) = Unpack(value);
        UInt128 radicand = (UInt128)significand << (63 + (exponent & 1));
        ulong root = RootOf(radicand);
        bool exact = (UInt128)root * root == radicand;
        return Pack(0, exponent >> 1, exact ? root : root | 1, ref status);
    }

    /// <summary>The smaller of two; the second where they are zeros or one is a NaN.</summary>
    public static ulong Minimum(ulong a, ulong b, ref FloatStatus status) => Extreme(a, b, wantsLess: true, ref status);

    /// <summary>The larger of two; the second where they are zeros or one is a NaN.</summary>
    public static ulong Maximum(ulong a, ulong b, ref FloatStatus status) => Extreme(a, b, wantsLess: false, ref status);

    /// <summary>How a and b compare.</summary>
    /// <param name="a">The first operand.</param>
    /// <param name="b">The second operand.</param>
    /// <param name="signalsQuiet">Whether a quiet NaN is invalid too.</param>
    /// <param name="status">Receives IE and DE.</param>
    public static FloatOrder Compare(ulong a, ulong b, bool signalsQuiet, ref FloatStatus status)
    {
        if (IsNaN(a) || IsNaN(b))
        {
            status.Flags |= signalsQuiet || IsSignaling(a) || IsSignaling(b) ? Mxcsr.IE : 0;
            return FloatOrder.Unordered;
        }

        a = Take(a, ref status);
        b = Take(b, ref status);
        if (IsZero(a) && IsZero(b))
        {
            return FloatOrder.Equal;
        }

        long left = Ordinal(a), right = Ordinal(b);
        return left < right ? FloatOrder.Less : left > right ? FloatOrder.Greater : FloatOrder.Equal;
    }

    private static long Ordinal(ulong value) => (value & SignBit) != 0 ? -(long)(value & ~SignBit) : (long)value;

    private static ulong Extreme(ulong a, ulong b, bool wantsLess, ref FloatStatus status)
    {
        FloatOrder order = Compare(a, b, signalsQuiet: true, ref status);
        ulong chosen = order == (wantsLess ? FloatOrder.Less : FloatOrder.Greater) ? a : b;
        return Flush(chosen, status);
    }

    private static ulong CancelledZero(in FloatStatus status) => status.Rounding == RoundingMode.Down ? SignBit : 0;

    private static ulong Repack(ulong value, ref FloatStatus status)
    {
        (int exponent, ulong significand) = Unpack(value);
        return Pack(value & SignBit, exponent, significand, ref status);
    }

    private static ulong AddFinite(ulong a, ulong b, bool subtract, ref FloatStatus status)
    {
        if ((a & ~SignBit) < (b & ~SignBit))
        {
            (a, b) = (b, a);
        }

        (int exponent, ulong large) = Unpack(a);
        (int exponentB, ulong small) = Unpack(b);
        large >>= 1;
        small = ShiftRightJam(small >> 1, exponent - exponentB);
        ulong sum = subtract ? large - small : large + small;
        if (sum == 0)
        {
            return CancelledZero(status);
        }

        int shift = BitOperations.LeadingZeroCount(sum);
        return Pack(a & SignBit, exponent + 1 - shift, sum << shift, ref status);
    }

    /// <summary>As <see cref="Pack"/>, of a significand of 128 bits whose bit 127 counts 2^<paramref name="exponent"/>.</summary>
    private static ulong PackWide(ulong sign, int exponent, UInt128 significand, ref FloatStatus status)
    {
        int shift = (int)UInt128.LeadingZeroCount(significand);
        return Pack(sign, exponent - shift, Jam(significand << shift), ref status);
    }

    /// <summary>The whole part of a square root.</summary>
    private static ulong RootOf(UInt128 radicand)
    {
        ulong root = 0;
        for (int bit = 63; bit >= 0; bit--)
        {
            ulong candidate = root | (1UL << bit);
            root = (UInt128)candidate * candidate <= radicand ? candidate : root;
        }

        return root;
    }
}

/// <summary>The outcome of a comparison.</summary>
internal enum FloatOrder
{
    Less,
    Equal,
    Greater,
    Unordered,
}
