using System.Buffers.Binary;

namespace Quadwalk.Tests;

/// <summary>Programs that run for ever within their memory: fused pairs, branches both ways, calls, rep strings and memory traffic.</summary>
internal static class RandomProgram
{
    private const int Length = 0x1800;

    private static readonly byte[][] Instructions =
    [
        [0x48, 0x01, 0xD8], [0x48, 0x29, 0xC3], [0x48, 0x0F, 0xAF, 0xC3], [0x48, 0xC1, 0xC8, 0x07], [0x48, 0x89, 0x06], [0x48, 0x03, 0x06], [0x48, 0xFF, 0xC3],
        [0x0F, 0xB6, 0x06], [0x48, 0x31, 0x46, 0x08], [0x90], [0x0F, 0x94, 0xC2], [0x48, 0x87, 0x16], [0x50, 0x5B], [0x48, 0x8D, 0x44, 0x18, 0x35], [0xF0, 0x48, 0x0F, 0xC1, 0x06],
        [0xB1, 0x09, 0x0F, 0xB6, 0xC9, 0xF3, 0xAA, 0x48, 0x8D, 0x7E, 0x40],
        [0xB9, 5, 0, 0, 0, 0xF3, 0xA5, 0x48, 0x83, 0xEE, 0x14, 0x48, 0x8D, 0x7E, 0x40],
        [0xB9, 7, 0, 0, 0, 0xF2, 0xAE, 0x48, 0x8D, 0x7E, 0x40],
        [0x49, 0xFF, 0xC8],
    ];

    private static readonly byte[][] Compares =
        [[0x39, 0xD8], [0x48, 0x83, 0xF8, 0x10], [0xA8, 0x11], [0x84, 0xDB], [0x48, 0x3B, 0x06], [0x29, 0xD8], [0x01, 0xC3], [0x83, 0xE0, 0x7F], [0x80, 0x3E, 0x20], [0x48, 0xFF, 0xC8]];

    /// <summary>
    /// A program for any address; RSI and RDI must point into data, RSP into a stack. It ends in a jump to its start, and other
    /// branches are short and lead forward, but for loops by R8 and ECX.
    /// </summary>
    public static byte[] Make(OperandSource source)
    {
        List<byte> code = [];
        while (code.Count < Length)
        {
            int kind = source.NextIndex(12);
            if (kind < 6)
            {
                code.AddRange(Instructions[source.NextIndex(Instructions.Length)]);
            }
            else if (kind < 9)
            {
                byte[] skipped = Instructions[source.NextIndex(Instructions.Length)];
                code.AddRange(Compares[source.NextIndex(Compares.Length)]);
                code.AddRange([(byte)(0x70 + source.NextIndex(16)), (byte)skipped.Length, .. skipped]);
            }
            else if (kind == 9)
            {
                code.AddRange([0xB9, (byte)(1 + source.NextIndex(4)), 0, 0, 0, 0x48, 0xFF, 0xC0, 0xE2, 0xFB]);
            }
            else if (kind == 10)
            {
                code.AddRange([0xEB, 0x01, 0xC3, 0xE8, 0xFA, 0xFF, 0xFF, 0xFF]);
            }
            else
            {
                code.AddRange([0xEB, 0x02, 0xEB, 0x02, 0xEB, 0xFC]);
            }
        }

        byte[] back = [0xE9, 0, 0, 0, 0];
        BinaryPrimitives.WriteInt32LittleEndian(back.AsSpan(1), -(code.Count + back.Length));
        return [.. code, .. back];
    }
}
