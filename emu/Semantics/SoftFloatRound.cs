namespace Quadwalk.Emulation;

/// <content>Rounding to whole numbers.</content>
internal static unsafe partial class SoftFloat<T>
{
    /// <summary>A whole number near <paramref name="value"/>, of its sign even where it is 0. A denormal is not noted.</summary>
    /// <param name="value">The operand.</param>
    /// <param name="mode">Which whole number.</param>
    /// <param name="signalsInexact">Whether PE is set where the operand was not whole.</param>
    /// <param name="status">Receives IE and PE.</param>
    public static ulong ToWhole(ulong value, RoundingMode mode, bool signalsInexact, ref FloatStatus status)
    {
        if (IsNaN(value))
        {
            return Propagate(value, value, ref status);
        }

        value = Flush(value, status);
        ulong sign = value & SignBit, magnitude = value & ~SignBit;
        int exponent = (int)(magnitude >> FractionBits) - Bias;
        if (exponent >= FractionBits || magnitude == 0)
        {
            return value;
        }

        ulong whole, rest;
        if (exponent < 0)
        {
            // In quarters: below a half, a half, above it.
            whole = 0;
            rest = exponent < -1 ? 1ul : (magnitude & FractionMask) == 0 ? 2ul : 3ul;
            status.Flags |= signalsInexact ? Mxcsr.PE : 0;
            return sign | (RoundsUp(whole, rest, 2, sign != 0, mode) ? (ulong)Bias << FractionBits : 0);
        }

        int dropped = FractionBits - exponent;
        whole = magnitude >> dropped;
        rest = magnitude & ((1ul << dropped) - 1);
        status.Flags |= signalsInexact && rest != 0 ? Mxcsr.PE : 0;

        // The bias is odd: even for an exponent of 0 the lowest kept bit is that of the whole part. A carry goes on into the exponent.
        whole += RoundsUp(whole, rest, 1ul << (dropped - 1), sign != 0, mode) ? 1ul : 0;
        return sign | (whole << dropped);
    }
}
