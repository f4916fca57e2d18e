using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>
/// Arithmetic on the 80-bit extended format with the exceptions and the NaN rules of the x87 unit (SDM Vol. 1, 4.8 and 8.5).
/// </summary>
internal static partial class ExtendedFloat
{
    public const int Bias = 16383;
    public const int MaxExponent = 0x7FFF;
    public const uint SignBit = 0x8000;
    public const ulong IntegerBit = 1UL << 63;
    public const ulong QuietBit = 1UL << 62;

    private const ulong Half = 1UL << 63;

    /// <summary>By how much the exponent of an unmasked overflow or underflow is moved back into range (SDM Vol. 1, 8.5.4 and 8.5.5).</summary>
    private const int Wrap = 24576;

    /// <summary>The QNaN that an invalid operation gives.</summary>
    public static X87Register Indefinite => new(SignBit | MaxExponent, IntegerBit | QuietBit);

    /// <summary>1.</summary>
    public static X87Register One => new(Bias, IntegerBit);

    /// <summary>A zero.</summary>
    public static X87Register Zero(uint sign) => new(sign, 0);

    /// <summary>An infinity.</summary>
    public static X87Register Infinity(uint sign) => new(sign | MaxExponent, IntegerBit);

    /// <summary>The sign, where it stands in <see cref="X87Register.SignExponent"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Sign(X87Register value) => value.SignExponent & SignBit;

    /// <summary>The biased exponent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Exponent(X87Register value) => value.SignExponent & MaxExponent;

    /// <summary>Whether it is a zero.</summary>
    public static bool IsZero(X87Register value) => Exponent(value) == 0 && value.Significand == 0;

    /// <summary>Whether it is an infinity.</summary>
    public static bool IsInfinite(X87Register value) => Exponent(value) == MaxExponent && value.Significand == IntegerBit;

    /// <summary>Whether it is a NaN.</summary>
    public static bool IsNaN(X87Register value) => Exponent(value) == MaxExponent && value.Significand > IntegerBit;

    /// <summary>Whether it is a NaN that signals.</summary>
    public static bool IsSignaling(X87Register value) => IsNaN(value) && (value.Significand & QuietBit) == 0;

    /// <summary>Whether it is a denormal or a pseudo-denormal.</summary>
    public static bool IsDenormal(X87Register value) => Exponent(value) == 0 && value.Significand != 0;

    /// <summary>Whether it is an unnormal, a pseudo-infinity or a pseudo-NaN, which no operation takes (SDM Vol. 1, table 8-3).</summary>
    public static bool IsUnsupported(X87Register value) => Exponent(value) != 0 && (long)value.Significand >= 0;

    /// <summary>Whether it is a normal number: not zero, denormal, infinite, NaN or unsupported.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsNormal(X87Register value) => (uint)(Exponent(value) - 1) < MaxExponent - 1 && (long)value.Significand < 0;

    /// <summary>A finite number that is not zero as exponent and normalized significand; the exponent of a denormal is 0 or less.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Unpack(X87Register value, out ulong significand)
    {
        int exponent = Exponent(value);
        significand = value.Significand;
        if (exponent != 0)
        {
            return exponent;
        }

        int shift = BitOperations.LeadingZeroCount(significand);
        significand <<= shift;
        return 1 - shift;
    }

    /// <summary>
    /// The result where an operand is a NaN or unsupported (SDM Vol. 1, table 4-7): a QNaN rather than an SNaN, else the NaN with the
    /// larger significand, else the positive one.
    /// </summary>
    public static X87Register Propagate(X87Register a, X87Register b, ref X87Status s)
    {
        if (IsUnsupported(a) || IsUnsupported(b))
        {
            return s.Invalid();
        }

        bool aSignals = IsSignaling(a), bSignals = IsSignaling(b);
        s.Flags |= aSignals || bSignals ? X87Bits.IE : 0;
        if (!IsNaN(a) || !IsNaN(b))
        {
            return Quiet(IsNaN(a) ? a : b);
        }

        if (aSignals != bSignals)
        {
            return aSignals ? b : a;
        }

        bool first = a.Significand != b.Significand ? a.Significand > b.Significand : a.SignExponent < b.SignExponent;
        return Quiet(first ? a : b);
    }

    /// <summary>As <see cref="Propagate(X87Register, X87Register, ref X87Status)"/> for one operand.</summary>
    public static X87Register Propagate(X87Register a, ref X87Status s)
    {
        if (IsUnsupported(a))
        {
            return s.Invalid();
        }

        s.Flags |= IsSignaling(a) ? X87Bits.IE : 0;
        return Quiet(a);
    }

    /// <summary>Whether <see cref="Propagate(X87Register, ref X87Status)"/> gives the result.</summary>
    public static bool Propagates(X87Register a) => IsNaN(a) || IsUnsupported(a);

    private static X87Register Quiet(X87Register value) => new(value.SignExponent, value.Significand | QuietBit);

    private static void NoteDenormal(X87Register a, ref X87Status s) => s.Flags |= IsDenormal(a) ? X87Bits.DE : 0;

    /// <summary>
    /// Rounds and packs at <paramref name="dropped"/> bits less than 64. The top bit of <paramref name="high"/> is set and counts
    /// 2^(<paramref name="exponent"/> - bias); bit 0 of <paramref name="low"/> says also whether anything nonzero lies below.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static X87Register Round(uint sign, int exponent, ulong high, ulong low, ref X87Status s, int dropped)
    {
        if (dropped != 0 || s.Rounding != RoundingMode.Nearest || (uint)(exponent - 1) >= MaxExponent - 2)
        {
            return RoundAny(sign, exponent, high, low, ref s, dropped);
        }

        if (low != 0)
        {
            bool up = low > Half || (low == Half && (high & 1) != 0);
            s.Flags |= up ? X87Bits.PE | X87Bits.C1 : X87Bits.PE;
            high += up ? 1UL : 0;
            if (high == 0)
            {
                high = IntegerBit;
                exponent++;
            }
        }

        return new X87Register(sign | (uint)exponent, high);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static X87Register RoundAny(uint sign, int exponent, ulong high, ulong low, ref X87Status s, int dropped)
    {
        ulong rounded = RoundAt(high, low, dropped, sign != 0, s.Rounding, out bool inexact, out bool up);
        bool carry = rounded == 0;
        int next = exponent + (carry ? 1 : 0);
        if (exponent < 1)
        {
            if (next < 1 && !s.Masks(X87Bits.UE))
            {
                return Wrapped(sign, next + Wrap, carry ? IntegerBit : rounded, X87Bits.UE, inexact, up, ref s);
            }

            ShiftRightJam(ref high, ref low, 1 - exponent);
            rounded = RoundAt(high, low, dropped, sign != 0, s.Rounding, out inexact, out up);
            s.Flags |= inexact ? X87Bits.PE | (next < 1 ? X87Bits.UE : 0) : 0;
            s.Flags |= up ? X87Bits.C1 : 0;
            return new X87Register(sign | (uint)(rounded >> 63), rounded);
        }

        if (next >= MaxExponent)
        {
            if (!s.Masks(X87Bits.OE))
            {
                return Wrapped(sign, next - Wrap, carry ? IntegerBit : rounded, X87Bits.OE, inexact, up, ref s);
            }

            bool away = s.Rounding == RoundingMode.Nearest || s.Rounding == (sign != 0 ? RoundingMode.Down : RoundingMode.Up);
            s.Flags |= X87Bits.OE | X87Bits.PE | (away ? X87Bits.C1 : 0);
            return away ? Infinity(sign) : new X87Register(sign | (MaxExponent - 1), ulong.MaxValue << dropped);
        }

        s.Flags |= (inexact ? X87Bits.PE : 0) | (up ? X87Bits.C1 : 0);
        return new X87Register(sign | (uint)next, carry ? IntegerBit : rounded);
    }

    /// <summary>An unmasked overflow or underflow in a register; what even the adjusted exponent cannot hold becomes an infinity or a zero.</summary>
    private static X87Register Wrapped(uint sign, int exponent, ulong significand, uint exception, bool inexact, bool up, ref X87Status s)
    {
        s.Flags |= exception | (inexact ? X87Bits.PE : 0) | (up ? X87Bits.C1 : 0);
        return exponent >= MaxExponent ? Infinity(sign)
            : exponent < 1 ? Zero(sign)
            : new X87Register(sign | (uint)exponent, significand);
    }

    /// <summary>Rounds a 128-bit significand to 64 - <paramref name="dropped"/> bits; 0 stands for a carry out of the top.</summary>
    private static ulong RoundAt(ulong high, ulong low, int dropped, bool negative, RoundingMode mode, out bool inexact, out bool up)
    {
        ulong unit = 1UL << dropped;
        ulong rest = high & (unit - 1);
        ulong kept = high - rest;
        inexact = (rest | low) != 0;
        up = inexact && mode switch
        {
            RoundingMode.Nearest => RoundsUp(rest, low, dropped, (kept & unit) != 0),
            RoundingMode.Down => negative,
            RoundingMode.Up => !negative,
            _ => false,
        };
        return up ? kept + unit : kept;
    }

    private static bool RoundsUp(ulong rest, ulong low, int dropped, bool odd)
    {
        if (dropped == 0)
        {
            return low > Half || (low == Half && odd);
        }

        ulong half = 1UL << (dropped - 1);
        return rest > half || (rest == half && (low != 0 || odd));
    }

    /// <summary>A right shift of 128 bits that keeps in bit 0 whether it lost anything.</summary>
    private static void ShiftRightJam(ref ulong high, ref ulong low, int count)
    {
        if (count >= 128)
        {
            low = (high | low) != 0 ? 1UL : 0;
            high = 0;
        }
        else if (count >= 64)
        {
            bool lost = low != 0 || (count > 64 && high << (128 - count) != 0);
            low = (high >> (count - 64)) | (lost ? 1UL : 0);
            high = 0;
        }
        else if (count > 0)
        {
            bool lost = low << (64 - count) != 0;
            low = (low >> count) | (high << (64 - count)) | (lost ? 1UL : 0);
            high >>= count;
        }
    }
}
