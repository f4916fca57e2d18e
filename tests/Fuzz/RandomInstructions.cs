using System.Runtime.InteropServices;

namespace Quadwalk.Tests;

/// <summary>Generators of code: noise, and valid instructions of every 64-bit opcode that Iced can encode.</summary>
internal sealed class RandomInstructions
{
    private readonly byte[][] encoded;

    /// <summary>Encodes a few forms of each opcode.</summary>
    public RandomInstructions(FormOptions options)
    {
        encoded =
        [
            .. InstructionFamilies.All.SelectMany(family => family.Codes).Distinct()
                .SelectMany(code => InstructionForms.Of(code, options).Where((_, i) => i % 7 == 0)).Select(form => form.Bytes),
            .. ControlFlow,
        ];
    }

    /// <summary>Fills a page with noise.</summary>
    public static void Noise(OperandSource source, Span<byte> page, ulong address)
    {
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(page);
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = source.NextBits();
        }
    }

    /// <summary>Fills a page with instructions one after the other; now and then a byte of noise puts decoding out of step.</summary>
    public void Valid(OperandSource source, Span<byte> page, ulong address)
    {
        int at = 0;
        while (at < page.Length)
        {
            byte[] next = encoded[source.NextIndex(encoded.Length)];
            if (source.NextIndex(64) == 0)
            {
                next = [(byte)source.NextBits()];
            }
            else if (source.NextIndex(8) == 0)
            {
                next = [(byte)(0x70 + source.NextIndex(16)), (byte)source.NextBits()];
            }

            next.AsSpan(0, Math.Min(next.Length, page.Length - at)).CopyTo(page[at..]);
            at += next.Length;
        }
    }

    /// <summary>CALL, RET, JMP, LOOP, JRCXZ, POPFQ, ENTER, LEAVE and system instructions, which the families leave out.</summary>
    private static readonly byte[][] ControlFlow =
    [
        [0xE8, 0x20, 0, 0, 0], [0xE8, 0xF0, 0xFF, 0xFF, 0xFF], [0xC3], [0xC2, 8, 0], [0xEB, 0x05], [0xEB, 0xFE], [0xE9, 0, 1, 0, 0], [0xFF, 0xE0], [0xFF, 0xD1],
        [0xFF, 0x23], [0xE2, 0xF0], [0xE1, 0x10], [0xE3, 0x04], [0x9D], [0x66, 0x9D], [0xC8, 0x10, 0, 3], [0xC9], [0xCC], [0xCD, 0x80], [0x0F, 0x05], [0x0F, 0x0B],
        [0x48, 0xCF], [0xFA], [0xFB], [0x0F, 0x20, 0xC0], [0x0F, 0x22, 0xD8], [0x0F, 0x22, 0xE0], [0x0F, 0x01, 0x38], [0x0F, 0x30], [0x0F, 0x32], [0x0F, 0xA2],
        [0xE6, 0xE9], [0xEC], [0x48, 0x0F, 0xAE, 0x00], [0x0F, 0xAE, 0x08], [0x8E, 0xD8], [0x8C, 0xC8], [0x0F, 0x01, 0xF8], [0x0F, 0x01, 0x10], [0x0F, 0x01, 0x18],
    ];
}
