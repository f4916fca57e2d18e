namespace Quadwalk.Tests;

/// <summary>The operands at which x86 arithmetic changes its mind, without duplicates.</summary>
public static class OperandBoundaries
{
    private static readonly ulong[][] IntegerTables = [BuildIntegers(8), BuildIntegers(16), BuildIntegers(32), BuildIntegers(64)];
    private static readonly uint[] SingleTable = BuildSingles();
    private static readonly ulong[] DoubleTable = BuildDoubles();

    /// <summary>Bits of binary32 boundary values.</summary>
    public static ReadOnlySpan<uint> Singles => SingleTable;

    /// <summary>Bits of binary64 boundary values.</summary>
    public static ReadOnlySpan<ulong> Doubles => DoubleTable;

    /// <summary>
    /// Zero, one, minus one, the signed extremes, every power of two and its neighbours, and alternating patterns, zero-extended.
    /// </summary>
    /// <param name="bits">8, 16, 32 or 64.</param>
    public static ReadOnlySpan<ulong> Integers(int bits) => bits switch
    {
        8 => IntegerTables[0],
        16 => IntegerTables[1],
        32 => IntegerTables[2],
        64 => IntegerTables[3],
        _ => throw new ArgumentOutOfRangeException(nameof(bits), bits, "an operand has 8, 16, 32 or 64 bits"),
    };

    private static ulong[] BuildIntegers(int bits)
    {
        ulong mask = ulong.MaxValue >> (64 - bits);
        List<ulong> values =
        [
            0, 1, mask, mask >> 1, (mask >> 1) + 1,
            0x5555_5555_5555_5555 & mask, 0xAAAA_AAAA_AAAA_AAAA & mask,
            0x0F0F_0F0F_0F0F_0F0F & mask, 0x00FF_00FF_00FF_00FF & mask, 0x0123_4567_89AB_CDEF & mask,
        ];
        for (int i = 0; i < bits; i++)
        {
            values.AddRange([1ul << i, (1ul << i) - 1, ((1ul << i) + 1) & mask, (~(1ul << i) + 1) & mask]);
        }

        return [.. values.Distinct()];
    }

    private static uint[] BuildSingles()
    {
        List<uint> positive =
        [
            0, 1, 2, 0x0040_0000, 0x007F_FFFF, 0x0080_0000, 0x0080_0001, // zero, denormals, the smallest normals
            0x7F7F_FFFF, 0x7F80_0000,                                    // the largest, infinity
            0x7F80_0001, 0x7FA0_1234, 0x7FBF_FFFF,                       // signalling NaNs
            0x7FC0_0000, 0x7FC0_0001, 0x7FE5_4321, 0x7FFF_FFFF,          // quiet NaNs
        ];
        foreach (float value in (float[])[0.25f, 0.5f, 1, 1.5f, 2, 2.5f, 3, 10, 1f / 3, 8388608f, 16777216f])
        {
            Neighbours(positive, BitConverter.SingleToUInt32Bits(value));
        }

        foreach (double limit in IntegerLimits)
        {
            Neighbours(positive, BitConverter.SingleToUInt32Bits((float)limit));
        }

        return [.. positive.SelectMany(bits => (uint[])[bits, bits | 0x8000_0000]).Distinct()];
    }

    private static ulong[] BuildDoubles()
    {
        List<ulong> positive =
        [
            0, 1, 2, 0x0008_0000_0000_0000, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x0010_0000_0000_0001,
            0x7FEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000,
            0x7FF0_0000_0000_0001, 0x7FF4_0000_0000_1234, 0x7FF7_FFFF_FFFF_FFFF,
            0x7FF8_0000_0000_0000, 0x7FF8_0000_0000_0001, 0x7FFC_5678_9ABC_DEF0, 0x7FFF_FFFF_FFFF_FFFF,
            0x36A0_0000_0000_0000, 0x3690_0000_0000_0000, 0x380F_FFFF_FFFF_FFFF, 0x3810_0000_0000_0000, // where binary32 becomes denormal, then zero
            0x47EF_FFFF_E000_0000, 0x47EF_FFFF_F000_0000,                                               // and where it overflows
        ];
        foreach (double value in (double[])[0.25, 0.5, 1, 1.5, 2, 2.5, 3, 10, 1.0 / 3, 4503599627370496, 9007199254740992])
        {
            Neighbours(positive, BitConverter.DoubleToUInt64Bits(value));
        }

        foreach (double limit in IntegerLimits)
        {
            Neighbours(positive, BitConverter.DoubleToUInt64Bits(limit));
            Neighbours(positive, BitConverter.DoubleToUInt64Bits(limit - 0.5));
            Neighbours(positive, BitConverter.DoubleToUInt64Bits(limit + 0.5));
        }

        return [.. positive.SelectMany(bits => (ulong[])[bits, bits | (1ul << 63)]).Distinct()];
    }

    private static double[] IntegerLimits => [127, 255, 32767, 65535, 2147483647, 2147483648, 4294967295, 9223372036854775808, 18446744073709551616.0];

    private static void Neighbours(List<uint> values, uint bits) => values.AddRange([bits - 1, bits, bits + 1]);

    private static void Neighbours(List<ulong> values, ulong bits) => values.AddRange([bits - 1, bits, bits + 1]);
}
