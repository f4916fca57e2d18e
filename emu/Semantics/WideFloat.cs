namespace Quadwalk.Emulation;

/// <summary>
/// A number with a significand of 128 bits, for what x87 functions compute on the way: operations are truncated, with a relative
/// error below 2^-120. The value is (-1)^Negative * Significand * 2^(Exponent - 127); the top bit of the significand is set unless it is 0.
/// </summary>
internal readonly struct WideFloat(bool negative, int exponent, UInt128 significand)
{
    public static readonly WideFloat One = new(false, 0, Top);

    private static UInt128 Top => (UInt128)1 << 127;

    public bool Negative { get; } = negative;

    public int Exponent { get; } = exponent;

    public UInt128 Significand { get; } = significand;

    public bool IsZero => Significand == 0;

    /// <summary>A number whose significand is not normalized.</summary>
    public static WideFloat Normalize(bool negative, int exponent, UInt128 significand)
    {
        int shift = (int)UInt128.LeadingZeroCount(significand);
        return significand == 0 ? default : new WideFloat(negative, exponent - shift, significand << shift);
    }

    /// <summary>An integer.</summary>
    public static WideFloat FromInteger(int value) => Normalize(value < 0, 127, (UInt128)(uint)Math.Abs(value));

    /// <summary>The upper half of a product of 256 bits.</summary>
    public static UInt128 MultiplyHigh(UInt128 a, UInt128 b)
    {
        ulong a1 = (ulong)(a >> 64), a0 = (ulong)a, b1 = (ulong)(b >> 64), b0 = (ulong)b;
        ulong high = Math.BigMul(a1, b1, out ulong low);
        ulong crossA = Math.BigMul(a1, b0, out ulong restA), crossB = Math.BigMul(a0, b1, out ulong restB);
        ulong rest = restA + restB;
        ulong carry = rest < restA ? 1UL : 0;
        carry += rest + Math.BigMul(a0, b0, out _) < rest ? 1UL : 0;
        return new UInt128(high, low) + crossA + crossB + carry;
    }

    /// <summary>The magnitude, which must be below 1, in units of 2^-128, rounded down.</summary>
    public UInt128 Fraction() => Exponent < -128 ? 0 : Significand >> (-1 - Exponent);

    /// <summary>One less a fraction in units of 2^-128; the fraction counts for at least one unit, since it never quite is 0.</summary>
    public static WideFloat OneLess(UInt128 fraction) => Normalize(false, -1, 0 - UInt128.Max(fraction, 1));

    /// <summary>One and a fraction in units of 2^-128.</summary>
    public static WideFloat OneAnd(UInt128 fraction) => new(false, 0, Top | (fraction >> 1));

    public WideFloat Times(in WideFloat other) =>
        Normalize(Negative ^ other.Negative, Exponent + other.Exponent + 1, MultiplyHigh(Significand, other.Significand));

    public WideFloat Negate() => new(!Negative, Exponent, Significand);

    public WideFloat Twice() => new(Negative, Exponent + 1, Significand);

    public WideFloat Plus(in WideFloat other)
    {
        if (IsZero || other.IsZero)
        {
            return IsZero ? other : this;
        }

        bool swap = Exponent < other.Exponent || (Exponent == other.Exponent && Significand < other.Significand);
        WideFloat big = swap ? other : this, small = swap ? this : other;
        int distance = big.Exponent - small.Exponent;
        UInt128 addend = distance > 127 ? 0 : small.Significand >> distance;
        if (big.Negative != small.Negative)
        {
            return Normalize(big.Negative, big.Exponent, big.Significand - addend);
        }

        UInt128 sum = big.Significand + addend;
        return sum < addend
            ? new WideFloat(big.Negative, big.Exponent + 1, (sum >> 1) | Top)
            : new WideFloat(big.Negative, big.Exponent, sum);
    }

    /// <summary>A quotient: a reciprocal of 62 bits, sharpened by one step of Newton's method.</summary>
    public WideFloat Over(in WideFloat other)
    {
        ulong divisor = (ulong)(other.Significand >> 64);
        ulong first = divisor == 1UL << 63 ? ulong.MaxValue : ExtendedFloat.Divide(1UL << 63, 0, divisor, out _);
        UInt128 reciprocal = (UInt128)first << 64;
        UInt128 product = MultiplyHigh(reciprocal, other.Significand);
        reciprocal = product > Top
            ? reciprocal - MultiplyHigh(reciprocal, (product - Top) << 1)
            : reciprocal + MultiplyHigh(reciprocal, (Top - product) << 1);
        return Normalize(Negative ^ other.Negative, Exponent - other.Exponent, MultiplyHigh(Significand, reciprocal));
    }
}
