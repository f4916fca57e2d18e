namespace Quadwalk.Tests;

/// <summary>What the vector guests compute, a number at a time.</summary>
internal static class ExpectedVectors
{
    /// <summary>Blends with weights 0 to 255 in turn; the lower image's pixels go up by 77 a pass.</summary>
    public static (ulong Difference, ulong NotBelow, ulong Checksum) Blend(int pixels, int passes)
    {
        byte[] upper = new byte[pixels], lower = new byte[pixels], blended = new byte[pixels];
        int filled = 0;
        foreach (ulong random in ExpectedResults.XorShift64().Take(pixels))
        {
            upper[filled] = (byte)(random >> 56);
            lower[filled++] = (byte)(random >> 48);
        }

        ulong difference = 0, notBelow = 0;
        for (int pass = 0; pass < passes; pass++)
        {
            int weight = pass % 256;
            for (int i = 0; i < pixels; i++)
            {
                int pixel = ((upper[i] * weight) + (lower[i] * (255 - weight)) + 128) / 256;
                difference += (ulong)Math.Abs(pixel - upper[i]);
                notBelow += pixel >= upper[i] ? 1UL : 0;
                blended[i] = (byte)pixel;
                lower[i] = (byte)((lower[i] + 77) % 256);
            }
        }

        return (difference, notBelow, Fold(blended.Select(pixel => (ulong)pixel)));
    }

    /// <summary>A product added to the sum of those before, each element by fused multiply-adds in ascending order.</summary>
    public static ulong MatMul(int size, int passes)
    {
        float[] words = [.. ExpectedResults.XorShift64().Take(2 * size * size).Select(word => ((int)(word >> 40) - (1 << 23)) / (float)(1 << 23))];
        float[] left = words[..(size * size)], right = words[(size * size)..], product = new float[size * size];
        for (int pass = 0; pass < passes; pass++)
        {
            for (int row = 0; row < size; row++)
            {
                Span<float> sums = product.AsSpan(row * size, size);
                for (int k = 0; k < size; k++)
                {
                    float factor = left[(row * size) + k];
                    for (int column = 0; column < size; column++)
                    {
                        sums[column] = MathF.FusedMultiplyAdd(factor, right[(k * size) + column], sums[column]);
                    }
                }
            }
        }

        return Fold(product.Select(element => (ulong)BitConverter.SingleToUInt32Bits(element)));
    }

    private static ulong Fold(IEnumerable<ulong> values) => values.Aggregate(0ul, (checksum, value) => ulong.RotateLeft(checksum, 1) ^ value);
}
