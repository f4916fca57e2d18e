namespace Quadwalk.Tests;

/// <summary>A stream of extended-precision operands: the encodings at which the x87 unit changes its mind, and random ones.</summary>
public sealed class ExtendedOperands(OperandSource source)
{
    private const int Bias = 16383;
    private const ulong IntegerBit = 1UL << 63;

    private static readonly UInt128[] Boundaries =
    [
        Make(0, 0), Make(0, 1), Make(0, 2), Make(0, IntegerBit >> 1), Make(0, IntegerBit - 1), // zero and denormals
        Make(0, IntegerBit), Make(0, IntegerBit | 1), Make(0, ulong.MaxValue), // pseudo-denormals
        Make(1, IntegerBit), Make(1, IntegerBit | 1), Make(1, ulong.MaxValue), Make(2, IntegerBit), Make(64, IntegerBit), Make(65, ulong.MaxValue), // the least normals
        Make(0x7FFE, ulong.MaxValue), Make(0x7FFE, IntegerBit), Make(0x7FFE, 0xFFFF_FF80_0000_0000), Make(0x7FFE, 0xFFFF_FFFF_FFFF_FC00), // the largest
        Make(0x7FFF, IntegerBit), // infinity
        Make(0x7FFF, IntegerBit | 1), Make(0x7FFF, 0xBFFF_FFFF_FFFF_FFFF), Make(0x7FFF, 0xA000_0000_0000_1234), // signaling
        Make(0x7FFF, 0xC000_0000_0000_0000), Make(0x7FFF, 0xC000_0000_0000_0001), Make(0x7FFF, ulong.MaxValue), Make(0x7FFF, 0xE000_0000_0000_1234), // quiet
        Make(0x7FFF, 0), Make(0x7FFF, 1), Make(0x7FFF, IntegerBit >> 1), Make(0x7FFF, IntegerBit - 1), // pseudo-infinity, pseudo-NaNs
        Make(Bias, 0), Make(Bias, IntegerBit >> 1), Make(1, 1), Make(0x7FFE, IntegerBit - 1), // unnormals
        Make(Bias, IntegerBit), Make(Bias, IntegerBit | 1), Make(Bias - 1, ulong.MaxValue), Make(Bias - 1, IntegerBit), // 1 and its neighbours, one half
        Make(Bias, 0xC000_0000_0000_0000), Make(Bias + 1, IntegerBit), Make(Bias + 1, 0xA000_0000_0000_0000), Make(Bias + 1, 0xC000_0000_0000_0000), // 1.5, 2, 2.5, 3
        Make(Bias, 0xFFFF_FF7F_FFFF_FFFF), Make(Bias, 0xFFFF_FF80_0000_0000), Make(Bias, 0xFFFF_FFFF_FFFF_FBFF), Make(Bias, 0xFFFF_FFFF_FFFF_FC00), // ties at 24 and 53 bits
        Make(Bias, 0x8000_0080_0000_0000), Make(Bias, 0x8000_0080_0000_0001), Make(Bias, 0x8000_0000_0000_0400), Make(Bias, 0x8000_0000_0000_0401),
        Make(Bias + 14, 0xFFFE_0000_0000_0000), Make(Bias + 15, IntegerBit), Make(Bias + 14, 0xFFFF_0000_0000_0000), // about 2^15
        Make(Bias + 30, 0xFFFF_FFFE_0000_0000), Make(Bias + 30, 0xFFFF_FFFF_0000_0000), Make(Bias + 31, IntegerBit), // about 2^31
        Make(Bias + 62, ulong.MaxValue), Make(Bias + 62, ulong.MaxValue - 1), Make(Bias + 63, IntegerBit), Make(Bias + 63, ulong.MaxValue), Make(Bias + 64, IntegerBit), // 2^63, 2^64
        Make(Bias + 59, 0xDE0B_6B3A_763F_FFF0), Make(Bias + 59, 0xDE0B_6B3A_763F_FFF8), Make(Bias + 59, 0xDE0B_6B3A_763F_FFF7), Make(Bias + 59, 0xDE0B_6B3A_7640_0000), // 10^18
        Make(Bias + 127, 0xFFFF_FF00_0000_0000), Make(Bias + 127, 0xFFFF_FF7F_FFFF_FFFF), Make(Bias + 127, 0xFFFF_FF80_0000_0000), // where singles end
        Make(Bias - 126, IntegerBit), Make(Bias - 127, ulong.MaxValue), Make(Bias - 127, 0xFFFF_FF7F_FFFF_FFFF), Make(Bias - 149, IntegerBit), Make(Bias - 150, IntegerBit), Make(Bias - 150, IntegerBit | 1),
        Make(Bias + 1023, 0xFFFF_FFFF_FFFF_F800), Make(Bias + 1023, 0xFFFF_FFFF_FFFF_FBFF), Make(Bias + 1023, 0xFFFF_FFFF_FFFF_FC00), // where doubles end
        Make(Bias - 1022, IntegerBit), Make(Bias - 1023, ulong.MaxValue), Make(Bias - 1074, IntegerBit), Make(Bias - 1075, IntegerBit), Make(Bias - 1075, IntegerBit | 1),
        Make(Bias + 1, 0xC90F_DAA2_2168_C235), Make(Bias, 0xC90F_DAA2_2168_C235), Make(Bias - 1, 0xC90F_DAA2_2168_C235), // pi, its half and its quarter
    ];

    /// <summary>An operand, in the low 80 bits.</summary>
    public UInt128 Next()
    {
        uint sign = (uint)source.NextBits() & 0x8000;
        ulong bits = source.NextBits();
        return Signed(sign, source.NextIndex(8) switch
        {
            0 or 1 => Boundaries[source.NextIndex(Boundaries.Length)],
            2 => Make((uint)source.NextIndex(0x8000), bits),
            3 => Make((uint)source.NextIndex(0x8000), bits | IntegerBit),
            4 => Make((uint)(Bias + source.NextIndex(20)), IntegerBit | (bits & ~(ulong.MaxValue >> (1 + source.NextIndex(20))))),
            5 => Make((uint)(Bias - 3 + source.NextIndex(7)), bits | IntegerBit),
            6 => Make((uint)(Bias - 70 + source.NextIndex(141)), IntegerBit | (bits & ~(ulong.MaxValue >> source.NextIndex(64)))),
            _ => Make((uint)(Bias - 70 + source.NextIndex(141)), bits | IntegerBit),
        });
    }

    /// <summary>A normal number near 1, in whose arithmetic nothing special happens but rounding.</summary>
    public UInt128 NextOrdinary() =>
        Signed((uint)source.NextBits() & 0x8000, Make((uint)(Bias - 4 + source.NextIndex(9)), source.NextBits() | IntegerBit));

    private static UInt128 Make(uint exponent, ulong significand) => new(exponent, significand);

    private static UInt128 Signed(uint sign, UInt128 magnitude) => magnitude | ((UInt128)sign << 64);
}
