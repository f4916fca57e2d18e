namespace Quadwalk.Emulation;

/// <content>
/// Sine, cosine and tangent. Arguments are reduced exactly, by the approximation of pi that the SDM gives, which has 66 bits (Vol. 1, 8.3.8).
/// </content>
internal static partial class ExtendedFloat
{
    private const int PiUnits = 67;

    /// <summary>Below 2 to the power of this, two terms make a tangent, which then does not come out below its argument.</summary>
    private const int SmallTangents = -40;

    /// <summary>Half of pi, in units of 2^-67.</summary>
    private static readonly UInt128 HalfPi = new(0xC, 0x90FD_AA22_168C_234C);

    /// <summary>Whether an operand is 2^63 or more, which the trigonometric instructions do not take: they set C2.</summary>
    public static bool IsBeyondAngles(X87Register a) => Exponent(a) >= Bias + 63 && Exponent(a) != MaxExponent && !IsUnsupported(a);

    /// <summary>The sine of a number below 2^63.</summary>
    public static X87Register Sine(X87Register a, ref X87Status s)
    {
        if (!TakesAngle(a, ref s, out X87Register result))
        {
            return result;
        }

        if (IsZero(a))
        {
            return a;
        }

        WideFloat r = Reduce(a, out uint quadrant);
        return Rounded(SineIn(quadrant, r), ref s);
    }

    /// <summary>The cosine of a number below 2^63.</summary>
    public static X87Register Cosine(X87Register a, ref X87Status s)
    {
        if (!TakesAngle(a, ref s, out X87Register result))
        {
            return result;
        }

        if (IsZero(a))
        {
            return One;
        }

        WideFloat r = Reduce(a, out uint quadrant);
        return Rounded(SineIn(quadrant + 1, r), ref s);
    }

    /// <summary>The tangent of a number below 2^63.</summary>
    public static X87Register Tangent(X87Register a, ref X87Status s)
    {
        if (!TakesAngle(a, ref s, out X87Register result))
        {
            return result;
        }

        if (IsZero(a))
        {
            return a;
        }

        WideFloat r = Reduce(a, out uint quadrant);
        return Rounded((quadrant & 1) == 0 && r.Exponent < SmallTangents ? SmallTangent(r) : SineIn(quadrant, r).Over(SineIn(quadrant + 1, r)), ref s);
    }

    private static bool TakesAngle(X87Register a, ref X87Status s, out X87Register result)
    {
        if (Propagates(a))
        {
            result = Propagate(a, ref s);
            return false;
        }

        if (IsInfinite(a))
        {
            result = s.Invalid();
            return false;
        }

        NoteDenormal(a, ref s);
        result = default;
        return true;
    }

    /// <summary>The sine of <paramref name="quadrant"/> right angles and <paramref name="r"/>.</summary>
    private static WideFloat SineIn(uint quadrant, in WideFloat r)
    {
        WideFloat magnitude = (quadrant & 1) != 0 ? SmallCosine(r) : SmallSine(r);
        return (quadrant & 2) != 0 ? magnitude.Negate() : magnitude;
    }

    /// <summary>r + r^3 / 3.</summary>
    private static WideFloat SmallTangent(in WideFloat r) => r.Times(WideFloat.OneAnd(Square(r) / 3));

    /// <summary>The rest, between -pi/4 and pi/4, and how many right angles were taken off.</summary>
    private static WideFloat Reduce(X87Register a, out uint quadrant)
    {
        WideFloat magnitude = Magnitude(a);
        bool negative = Sign(a) != 0;
        quadrant = 0;
        if (magnitude.Exponent < -1)
        {
            return Signed(magnitude, Sign(a));
        }

        // The number in the units of HalfPi, 60 bits at a time: the rest has 68 bits.
        UInt128 rest = (ulong)(magnitude.Significand >> 64);
        uint quotient = 0;
        for (int left = magnitude.Exponent - 63 + PiUnits; left > 0; left -= 60)
        {
            int shift = Math.Min(left, 60);
            (UInt128 digits, rest) = UInt128.DivRem(rest << shift, HalfPi);
            quotient = (shift < 32 ? quotient << shift : 0) + (uint)digits;
        }

        bool over = rest > HalfPi >> 1;
        rest = over ? HalfPi - rest : rest;
        quotient += over ? 1u : 0;
        quadrant = (negative ? 0 - quotient : quotient) & 3;
        return WideFloat.Normalize(over ^ negative, 127 - PiUnits, rest);
    }
}
