using System.Numerics;

namespace Quadwalk.Emulation;

/// <content>Conversions from and to singles, doubles, integers and packed decimals.</content>
internal static partial class ExtendedFloat
{
    /// <summary>What a conversion to a packed decimal gives for an operand out of range (SDM Vol. 1, 4.8.3.7).</summary>
    public static X87Register DecimalIndefinite => new(0xFFFF, 0xC000_0000_0000_0000);

    private const long DecimalLimit = 999_999_999_999_999_999;

    /// <summary>An integer, exactly.</summary>
    public static X87Register FromInteger(long value)
    {
        if (value == 0)
        {
            return default;
        }

        ulong magnitude = value < 0 ? 0UL - (ulong)value : (ulong)value;
        int shift = BitOperations.LeadingZeroCount(magnitude);
        return new X87Register((value < 0 ? SignBit : 0) | (uint)(Bias + 63 - shift), magnitude << shift);
    }

    /// <summary>The bits of a single, exactly: an SNaN still signals. A denormal is noted in <paramref name="s"/>.</summary>
    public static X87Register FromSingle(uint bits, ref X87Status s) =>
        FromFormat((bits >> 16) & SignBit, (int)(bits >> 23) & 0xFF, 0xFF, 127, (ulong)bits << 40, ref s);

    /// <summary>The bits of a double, exactly: an SNaN still signals. A denormal is noted in <paramref name="s"/>.</summary>
    public static X87Register FromDouble(ulong bits, ref X87Status s) =>
        FromFormat((uint)(bits >> 48) & SignBit, (int)(bits >> 52) & 0x7FF, 0x7FF, 1023, bits << 11, ref s);

    /// <summary>A single, its bits in the low half; flags as FST sets them.</summary>
    public static ulong ToSingle(X87Register value, ref X87Status s) => ToFormat(value, 23, 8, ref s);

    /// <summary>The bits of a double; flags as FST sets them.</summary>
    public static ulong ToDouble(X87Register value, ref X87Status s)
    {
        int exponent = Exponent(value) - (Bias - 1023);
        return (uint)(exponent - 1) < 0x7FE - 1 && (long)value.Significand < 0 && (value.Significand & 0x7FF) == 0
            ? ((ulong)Sign(value) << 48) | ((ulong)exponent << 52) | (value.Significand << 1 >> 12)
            : ToFormat(value, 52, 11, ref s);
    }

    /// <summary>Rounds to an integer of <paramref name="bits"/> bits; out of range the integer indefinite with IE.</summary>
    public static long ToInteger(X87Register value, int bits, RoundingMode mode, ref X87Status s)
    {
        long indefinite = long.MinValue >> (64 - bits);
        if (Exponent(value) >= Bias + 64 || IsUnsupported(value))
        {
            s.Flags |= X87Bits.IE;
            return indefinite;
        }

        ulong magnitude = ToMagnitude(value, mode, out bool inexact, out bool up);
        bool negative = Sign(value) != 0;
        ulong limit = (1UL << (bits - 1)) - (negative ? 0UL : 1);
        if (magnitude > limit)
        {
            s.Flags |= X87Bits.IE;
            return indefinite;
        }

        s.Flags |= (inexact ? X87Bits.PE : 0) | (up ? X87Bits.C1 : 0);
        return negative ? (long)(0UL - magnitude) : (long)magnitude;
    }

    /// <summary>FRNDINT.</summary>
    public static X87Register RoundToInteger(X87Register value, ref X87Status s)
    {
        if (Propagates(value))
        {
            return Propagate(value, ref s);
        }

        NoteDenormal(value, ref s);
        if (Exponent(value) >= Bias + 63 || IsZero(value))
        {
            return value;
        }

        ulong magnitude = ToMagnitude(value, s.Rounding, out bool inexact, out bool up);
        s.Flags |= (inexact ? X87Bits.PE : 0) | (up ? X87Bits.C1 : 0);
        if (magnitude == 0)
        {
            return Zero(Sign(value));
        }

        int shift = BitOperations.LeadingZeroCount(magnitude);
        return new X87Register(Sign(value) | (uint)(Bias + 63 - shift), magnitude << shift);
    }

    /// <summary>A packed decimal of 18 digits and a sign, laid out as significand and exponent of a register.</summary>
    public static X87Register ToDecimal(X87Register value, ref X87Status s)
    {
        bool finite = Exponent(value) < Bias + 63 && !IsUnsupported(value);
        bool inexact = false, up = false;
        ulong magnitude = finite ? ToMagnitude(value, s.Rounding, out inexact, out up) : ulong.MaxValue;
        if (magnitude > DecimalLimit)
        {
            s.Flags |= X87Bits.IE;
            return DecimalIndefinite;
        }

        s.Flags |= (inexact ? X87Bits.PE : 0) | (up ? X87Bits.C1 : 0);
        UInt128 digits = 0;
        for (int i = 0; magnitude != 0; i += 4)
        {
            (magnitude, ulong digit) = Math.DivRem(magnitude, 10);
            digits |= (UInt128)digit << i;
        }

        return new X87Register(Sign(value) | (uint)(digits >> 64), (ulong)digits);
    }

    /// <summary>The value of a packed decimal; digits above 9 count for what they are, which the SDM leaves open.</summary>
    public static X87Register FromDecimal(ulong low, ushort high)
    {
        ulong value = 0;
        for (int i = 4; i >= 0; i -= 4)
        {
            value = (value * 10) + (uint)(high >> i & 15);
        }

        for (int i = 60; i >= 0; i -= 4)
        {
            value = (value * 10) + (low >> i & 15);
        }

        X87Register magnitude = FromInteger((long)value);
        return new X87Register((high & SignBit) | magnitude.SignExponent, magnitude.Significand);
    }

    /// <summary>The magnitude of a number below 2^64, rounded to an integer, which may be 2^64: then 0 with a carry cannot occur, since such a number is an integer.</summary>
    private static ulong ToMagnitude(X87Register value, RoundingMode mode, out bool inexact, out bool up)
    {
        ulong high = value.Significand, low = 0;
        ShiftRightJam(ref high, ref low, Bias + 63 - Math.Max(Exponent(value), 1));
        return RoundAt(high, low, 0, Sign(value) != 0, mode, out inexact, out up);
    }

    private static X87Register FromFormat(uint sign, int exponent, int maxExponent, int bias, ulong fraction, ref X87Status s)
    {
        fraction &= ~IntegerBit;
        if (exponent == maxExponent)
        {
            return new X87Register(sign | MaxExponent, fraction | IntegerBit);
        }

        if (exponent != 0)
        {
            return new X87Register(sign | (uint)(exponent - bias + Bias), fraction | IntegerBit);
        }

        if (fraction == 0)
        {
            return Zero(sign);
        }

        s.SourceIsDenormal = true;
        int shift = BitOperations.LeadingZeroCount(fraction);
        return new X87Register(sign | (uint)(1 - bias - shift + Bias), fraction << shift);
    }

    private static ulong ToFormat(X87Register value, int fractionBits, int exponentBits, ref X87Status s)
    {
        ulong sign = (ulong)(Sign(value) >> 15) << (fractionBits + exponentBits);
        ulong maxExponent = (1UL << exponentBits) - 1;
        ulong infinity = maxExponent << fractionBits;
        int bias = (int)(maxExponent >> 1);
        int dropped = 63 - fractionBits;
        if (IsUnsupported(value))
        {
            s.Flags |= X87Bits.IE;
            return (1UL << (fractionBits + exponentBits)) | infinity | (1UL << (fractionBits - 1));
        }

        if (Exponent(value) == MaxExponent)
        {
            s.Flags |= IsSignaling(value) ? X87Bits.IE : 0;
            ulong fraction = value.Significand << 1 >> (64 - fractionBits);
            return sign | infinity | fraction | (IsNaN(value) ? 1UL << (fractionBits - 1) : 0);
        }

        if (value.Significand == 0)
        {
            return sign;
        }

        int exponent = Unpack(value, out ulong high) - Bias + bias;
        ulong low = 0;
        ulong rounded = RoundAt(high, low, dropped, sign != 0, s.Rounding, out bool inexact, out bool up);
        int next = exponent + (rounded == 0 ? 1 : 0);
        if (exponent < 1)
        {
            ShiftRightJam(ref high, ref low, 1 - exponent);
            rounded = RoundAt(high, low, dropped, sign != 0, s.Rounding, out inexact, out up);
            s.Flags |= (inexact ? X87Bits.PE : 0) | (up ? X87Bits.C1 : 0);
            s.Flags |= next < 1 && (inexact || !s.Masks(X87Bits.UE)) ? X87Bits.UE : 0;
            return sign | (rounded >> dropped);
        }

        if (next >= (int)maxExponent)
        {
            bool away = s.Rounding == RoundingMode.Nearest || s.Rounding == (sign != 0 ? RoundingMode.Down : RoundingMode.Up);
            s.Flags |= X87Bits.OE | X87Bits.PE | (away ? X87Bits.C1 : 0);
            return sign | (away ? infinity : infinity - 1);
        }

        s.Flags |= (inexact ? X87Bits.PE : 0) | (up ? X87Bits.C1 : 0);
        return sign | ((ulong)next << fractionBits) | (rounded << 1 >> (64 - fractionBits));
    }
}
