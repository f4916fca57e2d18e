namespace Quadwalk.Emulation;

/// <content>
/// The exponential, the logarithms and the arc tangent. They are computed to some 120 bits and rounded once, as RC says, so the result is
/// the nearest one in all but a few cases in 2^56; the SDM allows an error of one unit in the last place (Vol. 1, 8.3.10).
/// </content>
internal static partial class ExtendedFloat
{
    /// <summary>F2XM1; beyond -1 and 1, where the SDM leaves the result open, the operand, inexact.</summary>
    public static X87Register ExponentialMinusOne(X87Register a, ref X87Status s)
    {
        if (Propagates(a))
        {
            return Propagate(a, ref s);
        }

        NoteDenormal(a, ref s);
        bool negative = Sign(a) != 0;
        if (IsInfinite(a))
        {
            return negative ? new X87Register(SignBit | Bias, IntegerBit) : a;
        }

        bool isOne = Exponent(a) == Bias && a.Significand == IntegerBit;
        if (IsZero(a) || (Exponent(a) >= Bias && !isOne))
        {
            s.Flags |= IsZero(a) ? 0 : X87Bits.PE;
            return a;
        }

        if (isOne)
        {
            return negative ? new X87Register(SignBit | (Bias - 1), IntegerBit) : a;
        }

        WideFloat value = Wide(a);
        WideFloat power = SmallExponential(new WideFloat(false, value.Exponent, value.Significand));
        return Rounded(negative ? power.Over(WideFloat.One.Plus(power)).Negate() : power, ref s);
    }

    /// <summary>FYL2X: y times the binary logarithm of x.</summary>
    public static X87Register Logarithm(X87Register y, X87Register x, ref X87Status s)
    {
        if (Propagates(x) || Propagates(y))
        {
            return Propagate(y, x, ref s);
        }

        bool isOne = x.SignExponent == Bias && x.Significand == IntegerBit;
        if ((Sign(x) != 0 && !IsZero(x)) || (IsZero(y) && (IsZero(x) || IsInfinite(x))) || (IsInfinite(y) && isOne))
        {
            return s.Invalid();
        }

        uint sign = Sign(y) ^ (IsZero(x) || Exponent(x) < Bias ? SignBit : 0);
        if (IsZero(x))
        {
            s.Flags |= IsInfinite(y) ? 0 : X87Bits.ZE;
            return Infinity(sign);
        }

        NoteDenormal(x, ref s);
        NoteDenormal(y, ref s);
        if (IsInfinite(x) || IsInfinite(y))
        {
            return Infinity(sign);
        }

        if (IsZero(y) || isOne)
        {
            return Zero(sign);
        }

        WideFloat value = Wide(x);
        if (value.Significand == (UInt128)IntegerBit << 64)
        {
            X87Register logarithm = FromInteger(value.Exponent);
            int exponent = Unpack(y, out ulong significand);
            return MultiplyNumbers(sign, exponent, significand, Exponent(logarithm), logarithm.Significand, 0, ref s);
        }

        return Rounded(Wide(y).Times(LogarithmOf(value)), ref s);
    }

    /// <summary>
    /// FYL2XP1: y times the binary logarithm of x + 1, also for x beyond the range for which the SDM defines it; x itself, inexact, where
    /// there is no such logarithm.
    /// </summary>
    public static X87Register LogarithmPlusOne(X87Register y, X87Register x, ref X87Status s)
    {
        if (Propagates(x) || Propagates(y))
        {
            return Propagate(y, x, ref s);
        }

        bool low = Sign(x) != 0 && Exponent(x) >= Bias;
        if ((IsInfinite(x) && (low || IsZero(y))) || (IsInfinite(y) && IsZero(x)))
        {
            return s.Invalid();
        }

        if (low && !IsInfinite(y) && !IsZero(y))
        {
            NoteDenormal(y, ref s);
            s.Flags |= X87Bits.PE;
            return x;
        }

        uint sign = Sign(y) ^ Sign(x);
        NoteDenormal(x, ref s);
        NoteDenormal(y, ref s);
        if (IsInfinite(x) || IsInfinite(y))
        {
            return Infinity(sign);
        }

        if (IsZero(x) || IsZero(y))
        {
            return Zero(sign);
        }

        WideFloat value = Wide(x);
        WideFloat logarithm = Exponent(x) < Bias - 2
            ? LogarithmOfRatio(value.Over(value.Plus(WideFloat.FromInteger(2))))
            : LogarithmOf(value.Plus(WideFloat.One));
        return Rounded(Wide(y).Times(logarithm), ref s);
    }

    /// <summary>FPATAN: the angle of the point (x, y) (SDM Vol. 2A, table 3-30).</summary>
    public static X87Register ArcTangent(X87Register y, X87Register x, ref X87Status s)
    {
        if (Propagates(x) || Propagates(y))
        {
            return Propagate(y, x, ref s);
        }

        NoteDenormal(x, ref s);
        NoteDenormal(y, ref s);
        uint sign = Sign(y);
        bool left = Sign(x) != 0;
        if (IsInfinite(x) && IsInfinite(y))
        {
            WideFloat quarter = new(false, -1, Pi.Significand);
            return Rounded(Signed(left ? quarter.Plus(quarter.Twice()) : quarter, sign), ref s);
        }

        if (IsZero(y) || IsInfinite(x))
        {
            return left ? Rounded(Signed(Pi, sign), ref s) : Zero(sign);
        }

        WideFloat half = new(false, 0, Pi.Significand);
        if (IsZero(x) || IsInfinite(y))
        {
            return Rounded(Signed(half, sign), ref s);
        }

        WideFloat across = Magnitude(x), up = Magnitude(y);
        bool steep = up.Exponent > across.Exponent || (up.Exponent == across.Exponent && up.Significand > across.Significand);
        WideFloat angle = ArcTangentOf(steep ? across.Over(up) : up.Over(across));
        angle = steep ? half.Plus((left ? angle : angle.Negate())) : left ? Pi.Plus(angle.Negate()) : angle;
        return Rounded(Signed(angle, sign), ref s);
    }

    private static WideFloat Signed(in WideFloat value, uint sign) => sign != 0 ? value.Negate() : value;

    private static WideFloat Magnitude(X87Register value)
    {
        int exponent = Unpack(value, out ulong significand);
        return new WideFloat(false, exponent - Bias, (UInt128)significand << 64);
    }

    /// <summary>A finite number that is not zero.</summary>
    private static WideFloat Wide(X87Register value) => Signed(Magnitude(value), Sign(value));

    /// <summary>Rounds what is never exact.</summary>
    private static X87Register Rounded(in WideFloat value, ref X87Status s) => Round(
        value.Negative ? SignBit : 0, value.Exponent + Bias, (ulong)(value.Significand >> 64), (ulong)value.Significand | 1, ref s, 0);
}
