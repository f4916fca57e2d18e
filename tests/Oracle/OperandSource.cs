using System.Numerics;

namespace Quadwalk.Tests;

/// <summary>
/// A seeded stream of operands: half boundary values, half random ones. The same seed gives the same stream on every
/// host. Random bits are xoshiro256** seeded by SplitMix64.
/// </summary>
public sealed class OperandSource
{
    private ulong s0, s1, s2, s3;

    public OperandSource(ulong seed)
    {
        s0 = SplitMix(ref seed);
        s1 = SplitMix(ref seed);
        s2 = SplitMix(ref seed);
        s3 = SplitMix(ref seed);
    }

    /// <summary>64 uniform bits.</summary>
    public ulong NextBits()
    {
        ulong result = BitOperations.RotateLeft(s1 * 5, 7) * 9;
        ulong t = s1 << 17;
        s2 ^= s0;
        s3 ^= s1;
        s1 ^= s2;
        s0 ^= s3;
        s2 ^= t;
        s3 = BitOperations.RotateLeft(s3, 45);
        return result;
    }

    /// <summary>A number from zero to <paramref name="count"/> - 1.</summary>
    public int NextIndex(int count) => (int)Math.BigMul(NextBits(), (ulong)count, out _);

    /// <summary>An operand of 8, 16, 32 or 64 bits, zero-extended.</summary>
    public ulong NextInteger(int bits) =>
        Pick(OperandBoundaries.Integers(bits), out ulong boundary) ? boundary : NextBits() & (ulong.MaxValue >> (64 - bits));

    /// <summary>A 64-bit register value: an operand of a random width under random high bits, or a 64-bit operand.</summary>
    public ulong NextRegister()
    {
        int bits = 8 << NextIndex(4);
        ulong low = NextInteger(bits);
        return bits == 64 ? low : low | (NextBits() << bits);
    }

    /// <summary>The bits of a binary32 operand.</summary>
    public uint NextSingle()
    {
        if (Pick(OperandBoundaries.Singles, out uint boundary))
        {
            return boundary;
        }

        uint bits = (uint)NextBits();
        return NextIndex(2) == 0 ? bits : Near(bits, fraction: 23, bias: 127);
    }

    /// <summary>The bits of a binary64 operand.</summary>
    public ulong NextDouble()
    {
        if (Pick(OperandBoundaries.Doubles, out ulong boundary))
        {
            return boundary;
        }

        ulong bits = NextBits();
        return NextIndex(2) == 0 ? bits : Near(bits, fraction: 52, bias: 1023);
    }

    /// <summary>Four binary32 operands.</summary>
    public UInt128 NextSingles() => new(((ulong)NextSingle() << 32) | NextSingle(), ((ulong)NextSingle() << 32) | NextSingle());

    /// <summary>Two binary64 operands.</summary>
    public UInt128 NextDoubles() => new(NextDouble(), NextDouble());

    /// <summary>Packed integers of 8, 16, 32 or 64 bits.</summary>
    public UInt128 NextPacked(int bits)
    {
        UInt128 packed = 0;
        for (int i = 0; i < 128; i += bits)
        {
            packed |= (UInt128)NextInteger(bits) << i;
        }

        return packed;
    }

    /// <summary>A register of singles, doubles or packed integers of any width.</summary>
    public UInt128 NextXmm() => NextIndex(6) switch
    {
        0 => NextSingles(),
        1 => NextDoubles(),
        int width => NextPacked(8 << (width - 2)),
    };

    /// <summary>Any of the 64 settings of CF, PF, AF, ZF, SF and OF.</summary>
    public ulong NextStatusFlags() => NextBits() & HostState.StatusFlags;

    /// <summary>Any rounding mode, DAZ, FTZ and sticky flags, with every exception masked.</summary>
    public uint NextMxcsr() => ((uint)NextBits() & 0xFFFF) | HostState.DefaultMxcsr;

    private bool Pick<T>(ReadOnlySpan<T> boundaries, out T value)
    {
        value = boundaries[NextIndex(boundaries.Length)];
        return NextIndex(2) == 0;
    }

    /// <summary>Replaces the exponent by one within 70 of zero, so that sums and integer conversions are not all overflow.</summary>
    private T Near<T>(T bits, int fraction, int bias)
        where T : IBinaryInteger<T>
    {
        T exponent = T.CreateChecked(bias - 70 + NextIndex(141)) << fraction;
        T exponentMask = T.CreateChecked(2 * bias + 1) << fraction;
        return (bits & ~exponentMask) | exponent;
    }

    private static ulong SplitMix(ref ulong seed)
    {
        ulong z = seed += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
