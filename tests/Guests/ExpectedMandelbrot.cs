using System.Numerics;

namespace Quadwalk.Tests;

/// <summary>What the x87 guest computes: arithmetic that is exact, then rounded to 64 bits, to even where two are as near.</summary>
internal static class ExpectedMandelbrot
{
    /// <summary>The iterations of all pixels, and the last values of z folded.</summary>
    public static (int Iterations, ulong Checksum) Picture(int width, int height, int limit)
    {
        int iterations = 0;
        ulong checksum = 0;
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                Number cr = Number.Ratio(3 * x, width) - new Number(9, -2);
                Number ci = Number.Ratio(2 * y, height) - new Number(1, 0);
                checksum = ulong.RotateLeft(checksum, 1) ^ Follow(cr, ci, limit, ref iterations);
            }
        }

        return (iterations, checksum);
    }

    private static ulong Follow(Number cr, Number ci, int limit, ref int iterations)
    {
        Number zr = default, zi = default;
        for (int i = 0; i < limit; i++, iterations++)
        {
            Number rr = zr * zr, ii = zi * zi;
            if ((new Number(4, 0) - (rr + ii)).Value.Sign < 0)
            {
                break;
            }

            Number product = zr * zi;
            zi = product + product + ci;
            zr = rr - ii + cr;
        }

        return zr.Significand ^ ulong.RotateLeft(zi.Significand, 32);
    }

    /// <summary>Value * 2^Exponent, of at most 64 significant bits.</summary>
    private readonly record struct Number(BigInteger Value, int Exponent)
    {
        private const int Precision = 64;

        /// <summary>The significand with its top bit set; 0 of 0.</summary>
        public ulong Significand => Value.IsZero ? 0 : (ulong)(BigInteger.Abs(Value) << (Precision - Length(Value)));

        /// <summary>A quotient of small numbers: with 160 bits behind the point no tie can be missed.</summary>
        public static Number Ratio(int dividend, int divisor) => Round(((BigInteger)dividend << 160) / divisor, -160);

        public static Number operator *(Number a, Number b) => Round(a.Value * b.Value, a.Exponent + b.Exponent);

        public static Number operator +(Number a, Number b)
        {
            int exponent = Math.Min(a.Exponent, b.Exponent);
            return Round((a.Value << (a.Exponent - exponent)) + (b.Value << (b.Exponent - exponent)), exponent);
        }

        public static Number operator -(Number a, Number b) => a + new Number(-b.Value, b.Exponent);

        private static Number Round(BigInteger value, int exponent)
        {
            int excess = Length(value) - Precision;
            if (excess <= 0)
            {
                return new Number(value, exponent);
            }

            BigInteger magnitude = BigInteger.Abs(value), unit = BigInteger.One << excess, kept = magnitude >> excess;
            BigInteger twice = (magnitude - (kept << excess)) << 1;
            bool up = twice > unit || (twice == unit && !kept.IsEven);
            return new Number((kept + (up ? 1 : 0)) * value.Sign, exponent + excess);
        }

        private static int Length(BigInteger value) => (int)BigInteger.Abs(value).GetBitLength();
    }
}
