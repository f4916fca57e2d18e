using System.Numerics;

namespace Quadwalk.Emulation;

/// <content>Conversions.</content>
internal static unsafe partial class SoftFloat<T>
{
    /// <summary>An integer, rounded.</summary>
    public static ulong FromInteger(long value, ref FloatStatus status)
    {
        if (value == 0)
        {
            return 0;
        }

        ulong magnitude = value < 0 ? (ulong)-value : (ulong)value;
        int shift = BitOperations.LeadingZeroCount(magnitude);
        return Pack(value < 0 ? SignBit : 0, 63 - shift, magnitude << shift, ref status);
    }

    /// <summary>The other format's number in this one.</summary>
    public static ulong FromFormat<TFrom>(ulong value, ref FloatStatus status)
        where TFrom : unmanaged
    {
        ulong sign = (value & SoftFloat<TFrom>.SignBit) != 0 ? SignBit : 0;
        if (SoftFloat<TFrom>.IsNaN(value))
        {
            status.Flags |= SoftFloat<TFrom>.IsSignaling(value) ? Mxcsr.IE : 0;
            ulong payload = (value & SoftFloat<TFrom>.FractionMask) << (63 - SoftFloat<TFrom>.FractionBits);
            return sign | Infinity | QuietBit | (payload >> (63 - FractionBits));
        }

        value = SoftFloat<TFrom>.Take(value, ref status);
        if (SoftFloat<TFrom>.IsInfinite(value) || SoftFloat<TFrom>.IsZero(value))
        {
            return SoftFloat<TFrom>.IsZero(value) ? sign : sign | Infinity;
        }

        (int exponent, ulong significand) = SoftFloat<TFrom>.Unpack(value);
        return Pack(sign, exponent, significand, ref status);
    }

    /// <summary>
    /// A signed integer of <paramref name="bits"/> bits, or the integer indefinite (only the top bit set) where it does not fit.
    /// </summary>
    public static long ToInteger(ulong value, int bits, RoundingMode mode, ref FloatStatus status)
    {
        long indefinite = long.MinValue >> (64 - bits);
        value = Flush(value, status);
        if (IsZero(value))
        {
            return 0;
        }

        (int exponent, ulong significand) = Unpack(value);
        bool negative = (value & SignBit) != 0;
        if (IsNaN(value) || IsInfinite(value) || exponent > 63)
        {
            status.Flags |= Mxcsr.IE;
            return indefinite;
        }

        UInt128 aligned = exponent < -1 ? UInt128.One : (UInt128)significand << (exponent + 1);
        ulong whole = (ulong)(aligned >> 64);
        ulong rest = (ulong)aligned;
        UInt128 rounded = whole + (RoundsUp(whole, rest, 1UL << 63, negative, mode) ? UInt128.One : 0);
        UInt128 limit = (UInt128.One << (bits - 1)) - (negative ? 0 : UInt128.One);
        if (rounded > limit)
        {
            status.Flags |= Mxcsr.IE;
            return indefinite;
        }

        status.Flags |= rest != 0 ? Mxcsr.PE : 0;
        return negative ? -(long)(ulong)rounded : (long)(ulong)rounded;
    }
}
