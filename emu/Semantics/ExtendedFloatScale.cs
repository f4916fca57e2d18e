using System.Numerics;

namespace Quadwalk.Emulation;

/// <content>Scaling, taking apart, and remainders.</content>
internal static partial class ExtendedFloat
{
    /// <summary>FSCALE: a times two to the power of b, b rounded toward zero.</summary>
    public static X87Register Scale(X87Register a, X87Register b, ref X87Status s)
    {
        if (Propagates(a) || Propagates(b))
        {
            return Propagate(a, b, ref s);
        }

        bool down = Sign(b) != 0;
        if (IsInfinite(b) && (down ? IsInfinite(a) : IsZero(a)))
        {
            return s.Invalid();
        }

        NoteDenormal(a, ref s);
        NoteDenormal(b, ref s);
        if (IsInfinite(a) || IsZero(a))
        {
            return a;
        }

        if (IsInfinite(b))
        {
            return down ? Zero(Sign(a)) : Infinity(Sign(a));
        }

        const int Far = 1 << 16;
        int count = Exponent(b) < Bias ? 0
            : Exponent(b) >= Bias + 16 ? Far
            : (int)(b.Significand >> (Bias + 63 - Exponent(b)));
        if (count == 0 && !IsDenormal(a))
        {
            return a;
        }

        int exponent = Unpack(a, out ulong significand);
        return Round(Sign(a), exponent + (down ? -count : count), significand, 0, ref s, 0);
    }

    /// <summary>FXTRACT: the exponent as a number, and in <paramref name="significand"/> the operand with exponent 0.</summary>
    public static X87Register Extract(X87Register a, out X87Register significand, ref X87Status s)
    {
        if (Propagates(a))
        {
            return significand = Propagate(a, ref s);
        }

        if (IsZero(a))
        {
            s.Flags |= X87Bits.ZE;
            significand = a;
            return Infinity(SignBit);
        }

        if (IsInfinite(a))
        {
            significand = a;
            return Infinity(0);
        }

        NoteDenormal(a, ref s);
        int exponent = Unpack(a, out ulong bits);
        significand = new X87Register(Sign(a) | Bias, bits);
        return FromInteger(exponent - Bias);
    }

    /// <summary>
    /// FPREM and FPREM1: one step of the remainder of a by b, and the quotient's low bits; <paramref name="partial"/> where steps are left.
    /// </summary>
    /// <param name="a">The dividend.</param>
    /// <param name="b">The divisor.</param>
    /// <param name="nearest">Whether the quotient is rounded to nearest (FPREM1) rather than toward zero.</param>
    /// <param name="quotient">The low bits of the quotient, 0 where steps are left.</param>
    /// <param name="partial">Whether the result is not yet the remainder.</param>
    /// <param name="s">How to compute.</param>
    public static X87Register Remainder(X87Register a, X87Register b, bool nearest, out ulong quotient, out bool partial, ref X87Status s)
    {
        quotient = 0;
        partial = false;
        if (Propagates(a) || Propagates(b))
        {
            return Propagate(a, b, ref s);
        }

        if (IsInfinite(a) || IsZero(b))
        {
            return s.Invalid();
        }

        NoteDenormal(a, ref s);
        NoteDenormal(b, ref s);
        if (IsZero(a))
        {
            return a;
        }

        if (IsInfinite(b))
        {
            int tiny = Unpack(a, out ulong whole);
            return Round(Sign(a), tiny, whole, 0, ref s, 0);
        }

        int exponentA = Unpack(a, out ulong rest), exponentB = Unpack(b, out ulong divisor);
        uint sign = Sign(a);
        int distance = exponentA - exponentB;
        if (distance >= 64)
        {
            int steps = (distance & 31) | 32;
            ModuloShifted(ref rest, divisor, steps, out _);
            partial = true;
            return Normalized(sign, exponentA - steps, rest, ref s);
        }

        if (distance < 0)
        {
            bool over = nearest && distance == -1 && rest > divisor;
            if (!over)
            {
                return Round(sign, exponentA, rest, 0, ref s, 0);
            }

            // More than half of the divisor: the quotient is 1, and what is left is 2 * divisor - rest, in units of a.
            quotient = 1;
            UInt128 left = ((UInt128)divisor << 1) - rest;
            return Normalized(sign ^ SignBit, exponentA, (ulong)left, ref s);
        }

        ModuloShifted(ref rest, divisor, distance, out quotient);
        if (nearest && (rest > divisor - rest || (rest == divisor - rest && (quotient & 1) != 0)))
        {
            rest = divisor - rest;
            sign ^= SignBit;
            quotient++;
        }

        return Normalized(sign, exponentB, rest, ref s);
    }

    /// <summary>Replaces <paramref name="rest"/> by rest * 2^<paramref name="count"/> modulo the divisor; both begin normalized.</summary>
    private static void ModuloShifted(ref ulong rest, ulong divisor, int count, out ulong quotient)
    {
        quotient = rest >= divisor ? 1UL : 0;
        rest -= quotient * divisor;
        if (count == 0)
        {
            return;
        }

        ulong digits = Divide(rest >> (64 - count), rest << count, divisor, out rest);
        quotient = (quotient << count) + digits;
    }

    /// <summary>A significand that may be 0 or not normalized.</summary>
    private static X87Register Normalized(uint sign, int exponent, ulong significand, ref X87Status s)
    {
        if (significand == 0)
        {
            return Zero(sign);
        }

        int shift = BitOperations.LeadingZeroCount(significand);
        return Round(sign, exponent - shift, significand << shift, 0, ref s, 0);
    }
}
