using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <content>Addition, multiplication, division and the square root: what precision control applies to.</content>
internal static partial class ExtendedFloat
{
    /// <summary>a + b.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static X87Register Add(X87Register a, X87Register b, ref X87Status s) =>
        IsNormal(a) && IsNormal(b)
            ? AddNumbers(Sign(a), Exponent(a), a.Significand, Sign(b), Exponent(b), b.Significand, ref s)
            : AddAny(a, b, 0, ref s);

    /// <summary>a - b.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static X87Register Subtract(X87Register a, X87Register b, ref X87Status s) =>
        IsNormal(a) && IsNormal(b)
            ? AddNumbers(Sign(a), Exponent(a), a.Significand, Sign(b) ^ SignBit, Exponent(b), b.Significand, ref s)
            : AddAny(a, b, SignBit, ref s);

    /// <summary>a * b.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static X87Register Multiply(X87Register a, X87Register b, ref X87Status s)
    {
        uint sign = (uint)(a.SignExponent ^ b.SignExponent) & SignBit;
        if (IsNormal(a) && IsNormal(b))
        {
            return MultiplyNumbers(sign, Exponent(a), a.Significand, Exponent(b), b.Significand, s.Dropped, ref s);
        }

        if (Propagates(a) || Propagates(b))
        {
            return Propagate(a, b, ref s);
        }

        if ((IsInfinite(a) && IsZero(b)) || (IsZero(a) && IsInfinite(b)))
        {
            return s.Invalid();
        }

        NoteDenormal(a, ref s);
        NoteDenormal(b, ref s);
        if (IsInfinite(a) || IsInfinite(b))
        {
            return Infinity(sign);
        }

        if (IsZero(a) || IsZero(b))
        {
            return Zero(sign);
        }

        int exponentA = Unpack(a, out ulong significandA), exponentB = Unpack(b, out ulong significandB);
        return MultiplyNumbers(sign, exponentA, significandA, exponentB, significandB, s.Dropped, ref s);
    }

    /// <summary>a / b.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static X87Register Divide(X87Register a, X87Register b, ref X87Status s)
    {
        uint sign = (uint)(a.SignExponent ^ b.SignExponent) & SignBit;
        if (IsNormal(a) && IsNormal(b))
        {
            return DivideNumbers(sign, Exponent(a), a.Significand, Exponent(b), b.Significand, ref s);
        }

        if (Propagates(a) || Propagates(b))
        {
            return Propagate(a, b, ref s);
        }

        if ((IsInfinite(a) && IsInfinite(b)) || (IsZero(a) && IsZero(b)))
        {
            return s.Invalid();
        }

        if (IsZero(b) && !IsInfinite(a))
        {
            s.Flags |= X87Bits.ZE;
            return Infinity(sign);
        }

        NoteDenormal(a, ref s);
        NoteDenormal(b, ref s);
        if (IsInfinite(a))
        {
            return Infinity(sign);
        }

        if (IsZero(a) || IsInfinite(b))
        {
            return Zero(sign);
        }

        int exponentA = Unpack(a, out ulong significandA), exponentB = Unpack(b, out ulong significandB);
        return DivideNumbers(sign, exponentA, significandA, exponentB, significandB, ref s);
    }

    /// <summary>The square root.</summary>
    public static X87Register SquareRoot(X87Register a, ref X87Status s)
    {
        if (Propagates(a))
        {
            return Propagate(a, ref s);
        }

        if (IsZero(a))
        {
            return a;
        }

        if (Sign(a) != 0)
        {
            return s.Invalid();
        }

        if (IsInfinite(a))
        {
            return a;
        }

        NoteDenormal(a, ref s);
        int exponent = Unpack(a, out ulong significand) - Bias;
        UInt128 radicand = (UInt128)significand << (63 + (exponent & 1));
        ulong root = SquareRoot(radicand);
        UInt128 rest = radicand - ((UInt128)root * root);
        ulong low = rest == 0 ? 0 : rest > root ? Half + 1 : 1;
        return Round(0, (exponent >> 1) + Bias, root, low, ref s, s.Dropped);
    }

    /// <summary>The integer square root of a number of at least 2^126.</summary>
    private static ulong SquareRoot(UInt128 radicand)
    {
        double estimate = Math.Min(Math.Sqrt((double)radicand), 18446744073709549568.0);
        ulong root = (ulong)estimate;
        Int128 rest = (Int128)(radicand - ((UInt128)root * root));
        double correction = (double)rest / (2 * estimate);
        root = correction < 0 ? root - (ulong)-correction
            : (UInt128)root + (ulong)correction > ulong.MaxValue ? ulong.MaxValue
            : root + (ulong)correction;
        while ((UInt128)root * root > radicand)
        {
            root--;
        }

        while (radicand - ((UInt128)root * root) > (UInt128)root * 2)
        {
            root++;
        }

        return root;
    }

    private static X87Register AddAny(X87Register a, X87Register b, uint flip, ref X87Status s)
    {
        if (Propagates(a) || Propagates(b))
        {
            return Propagate(a, b, ref s);
        }

        uint signA = Sign(a), signB = Sign(b) ^ flip;
        if (IsInfinite(a) && IsInfinite(b) && signA != signB)
        {
            return s.Invalid();
        }

        NoteDenormal(a, ref s);
        NoteDenormal(b, ref s);
        if (IsInfinite(a))
        {
            return a;
        }

        if (IsInfinite(b))
        {
            return Infinity(signB);
        }

        if (IsZero(a) && IsZero(b))
        {
            return Zero(signA == signB ? signA : ZeroSign(s));
        }

        if (IsZero(a) || IsZero(b))
        {
            bool first = IsZero(b);
            int exponent = Unpack(first ? a : b, out ulong significand);
            return Round(first ? signA : signB, exponent, significand, 0, ref s, s.Dropped);
        }

        int exponentA = Unpack(a, out ulong significandA), exponentB = Unpack(b, out ulong significandB);
        return AddNumbers(signA, exponentA, significandA, signB, exponentB, significandB, ref s);
    }

    /// <summary>The sign of an exact zero difference.</summary>
    private static uint ZeroSign(in X87Status s) => s.Rounding == RoundingMode.Down ? SignBit : 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static X87Register AddNumbers(uint signA, int exponentA, ulong a, uint signB, int exponentB, ulong b, ref X87Status s)
    {
        if (exponentA < exponentB || (exponentA == exponentB && a < b))
        {
            (signA, signB) = (signB, signA);
            (exponentA, exponentB) = (exponentB, exponentA);
            (a, b) = (b, a);
        }

        ulong low = 0;
        ShiftRightJam(ref b, ref low, exponentA - exponentB);
        if (signA == signB)
        {
            ulong sum = a + b;
            if (sum < a)
            {
                low = (sum << 63) | (low >> 1) | (low & 1);
                sum = (sum >> 1) | IntegerBit;
                exponentA++;
            }

            return Round(signA, exponentA, sum, low, ref s, s.Dropped);
        }

        ulong high = a - b - (low != 0 ? 1UL : 0);
        low = 0 - low;
        if ((high | low) == 0)
        {
            return Zero(ZeroSign(s));
        }

        int shift = BitOperations.LeadingZeroCount(high);
        if (shift == 64)
        {
            shift += BitOperations.LeadingZeroCount(low);
            high = low << (shift - 64);
            low = 0;
        }
        else if (shift != 0)
        {
            high = (high << shift) | (low >> (64 - shift));
            low <<= shift;
        }

        return Round(signA, exponentA - shift, high, low, ref s, s.Dropped);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static X87Register MultiplyNumbers(uint sign, int exponentA, ulong a, int exponentB, ulong b, int dropped, ref X87Status s)
    {
        ulong high = Math.BigMul(a, b, out ulong low);
        int exponent = exponentA + exponentB - Bias + 1;
        if ((long)high >= 0)
        {
            high = (high << 1) | (low >> 63);
            low <<= 1;
            exponent--;
        }

        return Round(sign, exponent, high, low, ref s, dropped);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static X87Register DivideNumbers(uint sign, int exponentA, ulong a, int exponentB, ulong b, ref X87Status s)
    {
        int exponent = exponentA - exponentB + Bias;
        ulong quotient, rest;
        if (a < b)
        {
            exponent--;
            quotient = Divide(a, 0, b, out rest);
        }
        else
        {
            quotient = Divide(a >> 1, a << 63, b, out rest);
        }

        ulong twice = rest << 1;
        bool above = rest >= Half || twice > b;
        ulong low = rest == 0 ? 0 : above ? Half + 1 : twice == b ? Half : 1;
        return Round(sign, exponent, quotient, low, ref s, s.Dropped);
    }

    /// <summary>A 128-bit number by a normalized one that is greater than its upper half, in two digits of 32 bits.</summary>
    internal static ulong Divide(ulong high, ulong low, ulong divisor, out ulong rest)
    {
        ulong first = DivideDigit(high, (uint)(low >> 32), divisor, out ulong middle);
        ulong second = DivideDigit(middle, (uint)low, divisor, out rest);
        return (first << 32) | second;
    }

    private static ulong DivideDigit(ulong high, uint next, ulong divisor, out ulong rest)
    {
        ulong digit = Math.Min(high / (divisor >> 32), uint.MaxValue);
        UInt128 dividend = ((UInt128)high << 32) | next;
        UInt128 product = (UInt128)digit * divisor;
        while (product > dividend)
        {
            digit--;
            product -= divisor;
        }

        rest = (ulong)(dividend - product);
        return digit;
    }
}
