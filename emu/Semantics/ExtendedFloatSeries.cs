namespace Quadwalk.Emulation;

/// <content>
/// Power series in fixed point, coefficients and arguments in units of 2^-128; each is long enough for an error below 2^-120 over the
/// range to which arguments are reduced.
/// </content>
internal static partial class ExtendedFloat
{
    private const int SineTerms = 17;
    private const int ExponentialTerms = 33;
    private const int ArcTangentTerms = 16;
    private const int LogarithmTerms = 26;
    private const int TangentSteps = 16;

    private static readonly UInt128[] SineCoefficients = InverseFactorials(first: 3, step: 2, SineTerms);
    private static readonly UInt128[] CosineCoefficients = InverseFactorials(first: 2, step: 2, SineTerms);
    private static readonly UInt128[] ExponentialCoefficients = InverseFactorials(first: 2, step: 1, ExponentialTerms);
    private static readonly UInt128[] OddReciprocals = Reciprocals();

    private static readonly WideFloat Pi = new(false, 1, new UInt128(ConstantPi.Significand, ConstantPi.Rest));
    private static readonly WideFloat Log2OfE = new(false, 0, new UInt128(ConstantLog2OfE.Significand, ConstantLog2OfE.Rest));
    private static readonly WideFloat LnOf2 = new(false, -1, new UInt128(ConstantLnOf2.Significand, ConstantLnOf2.Rest));

    /// <summary>The arc tangents of 0, 1/16, 2/16 to 1.</summary>
    private static readonly WideFloat[] ArcTangents = ArcTangentTable();

    private static UInt128[] InverseFactorials(int first, int step, int count)
    {
        UInt128[] table = new UInt128[count];
        UInt128 inverse = UInt128.MaxValue;
        for (int n = 2; n < first + (step * count); n++)
        {
            inverse /= (uint)n;
            if (n >= first && (n - first) % step == 0)
            {
                table[(n - first) / step] = inverse;
            }
        }

        return table;
    }

    private static UInt128[] Reciprocals()
    {
        UInt128[] table = new UInt128[LogarithmTerms];
        for (int i = 0; i < table.Length; i++)
        {
            table[i] = UInt128.MaxValue / (uint)((2 * i) + 3);
        }

        return table;
    }

    /// <summary>By the sum formula, from each to the next.</summary>
    private static WideFloat[] ArcTangentTable()
    {
        WideFloat[] table = new WideFloat[TangentSteps + 1];
        for (int i = 1; i < table.Length; i++)
        {
            WideFloat step = WideFloat.FromInteger(TangentSteps).Over(WideFloat.FromInteger((TangentSteps * TangentSteps) + (i * (i - 1))));
            table[i] = table[i - 1].Plus(SmallArcTangent(step));
        }

        return table;
    }

    /// <summary>c0 - z * (c1 - z * (c2 - ...)), times z.</summary>
    private static UInt128 Alternating(ReadOnlySpan<UInt128> coefficients, UInt128 z)
    {
        UInt128 sum = 0;
        for (int i = coefficients.Length - 1; i >= 0; i--)
        {
            sum = coefficients[i] - WideFloat.MultiplyHigh(sum, z);
        }

        return WideFloat.MultiplyHigh(sum, z);
    }

    /// <summary>c0 + z * (c1 + z * (c2 + ...)), times z.</summary>
    private static UInt128 Positive(ReadOnlySpan<UInt128> coefficients, UInt128 z)
    {
        UInt128 sum = 0;
        for (int i = coefficients.Length - 1; i >= 0; i--)
        {
            sum = coefficients[i] + WideFloat.MultiplyHigh(sum, z);
        }

        return WideFloat.MultiplyHigh(sum, z);
    }

    private static UInt128 Square(in WideFloat value)
    {
        UInt128 fraction = value.Fraction();
        return WideFloat.MultiplyHigh(fraction, fraction);
    }

    /// <summary>Of an argument of at most pi/4.</summary>
    private static WideFloat SmallSine(in WideFloat r) => r.Times(WideFloat.OneLess(Alternating(SineCoefficients, Square(r))));

    /// <summary>Of an argument of at most pi/4.</summary>
    private static WideFloat SmallCosine(in WideFloat r) => WideFloat.OneLess(Alternating(CosineCoefficients, Square(r)));

    /// <summary>Of an argument of at most 1/16.</summary>
    private static WideFloat SmallArcTangent(in WideFloat u) =>
        u.Times(WideFloat.OneLess(Alternating(OddReciprocals.AsSpan(0, ArcTangentTerms), Square(u))));

    /// <summary>Of the quotient of two positive numbers.</summary>
    private static WideFloat ArcTangentOf(in WideFloat quotient)
    {
        int step = quotient.Exponent < -5 ? 0 : (int)((((quotient.Significand >> (122 - quotient.Exponent)) + 1) >> 1));
        if (step == 0)
        {
            return SmallArcTangent(quotient);
        }

        WideFloat near = WideFloat.FromInteger(step).Over(WideFloat.FromInteger(TangentSteps));
        WideFloat rest = quotient.Plus(near.Negate()).Over(WideFloat.One.Plus(quotient.Times(near)));
        return rest.IsZero ? ArcTangents[step] : ArcTangents[step].Plus(SmallArcTangent(rest));
    }

    /// <summary>2^x - 1 of x from 0 to 1.</summary>
    private static WideFloat SmallExponential(in WideFloat x)
    {
        WideFloat y = x.Times(LnOf2);
        return y.Times(WideFloat.OneAnd(Positive(ExponentialCoefficients, y.Fraction())));
    }

    /// <summary>The binary logarithm of (1 + s) / (1 - s), |s| at most 0.172.</summary>
    private static WideFloat LogarithmOfRatio(in WideFloat s) =>
        s.Times(Log2OfE).Twice().Times(WideFloat.OneAnd(Positive(OddReciprocals, Square(s))));

    /// <summary>The binary logarithm of a positive number that is not 1.</summary>
    private static WideFloat LogarithmOf(in WideFloat value)
    {
        bool high = value.Significand >> 96 > 0xB504_F333;
        int exponent = value.Exponent + (high ? 1 : 0);
        WideFloat significand = new(false, high ? -1 : 0, value.Significand);
        WideFloat less = significand.Plus(WideFloat.One.Negate());
        WideFloat whole = WideFloat.FromInteger(exponent);
        return less.IsZero ? whole : whole.Plus(LogarithmOfRatio(less.Over(significand.Plus(WideFloat.One))));
    }
}
