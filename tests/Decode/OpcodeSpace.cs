using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>An encoding of every opcode, found by decoding the opcode space rather than from a list.</summary>
internal static class OpcodeSpace
{
    private static readonly byte[][] Prefixes = [[], [0x66], [0xF3], [0xF2], [0x48], [0x66, 0xF3], [0x66, 0xF2], [0x67, 0x66], [0x66, 0x48], [0xF3, 0x48], [0xF2, 0x48], [0x67], [0x9B]];
    private static readonly byte[][] Escapes = [[], [0x0F], [0x0F, 0x38], [0x0F, 0x3A]];

    /// <summary>ModRM bytes of registers and of memory at RBX: every group and sub-group.</summary>
    public static readonly byte[] ModRms = [.. Enumerable.Range(0, 256).Where(b => b >= 0xC0 || (b < 0x40 && (b & 7) == 3)).Select(b => (byte)b)];

    /// <summary>ModRM bytes of a SIB byte for each first register: what gathers need for an operand.</summary>
    private static readonly byte[] WithSib = [.. Enumerable.Range(0, 8).Select(register => (byte)((register << 3) | 4))];

    /// <summary>RBX, and an index that is neither the register of the last of <see cref="WithSib"/> nor XMM0.</summary>
    private const byte Sib = 0x13;

    /// <summary>The first encoding that was found of each opcode of 64-bit mode.</summary>
    public static IReadOnlyDictionary<Code, byte[]> Find()
    {
        Dictionary<Code, byte[]> found = [];
        foreach ((Instruction instruction, ReadOnlyMemory<byte> bytes) in All(64))
        {
            if (!found.ContainsKey(instruction.Code))
            {
                found.Add(instruction.Code, bytes.ToArray());
            }
        }

        return found;
    }

    /// <summary>The first that was found of each opcode of 64-bit mode with memory, and with registers alone.</summary>
    public static IReadOnlyCollection<Instruction> FindForms()
    {
        Dictionary<(Code, MemorySize), Instruction> found = [];
        foreach ((Instruction instruction, _) in All(64))
        {
            found.TryAdd((instruction.Code, instruction.MemorySize), instruction);
        }

        return found.Values;
    }

    /// <summary>The first encoding of each opcode with an operand in memory, and without one, where code is 16, 32 or 64 bits wide.</summary>
    public static IReadOnlyDictionary<OpcodeShape, byte[]> FindShapes(int bitness)
    {
        Dictionary<OpcodeShape, byte[]> found = [];
        foreach ((Instruction instruction, ReadOnlyMemory<byte> bytes) in All(bitness))
        {
            OpcodeShape shape = OpcodeShape.Of(instruction);
            if (!found.ContainsKey(shape))
            {
                found.Add(shape, bytes.ToArray());
            }
        }

        return found;
    }

    /// <summary>Every encoding; the bytes hold until the next.</summary>
    private static IEnumerable<(Instruction Instruction, ReadOnlyMemory<byte> Bytes)> All(int bitness)
    {
        byte[] all = [.. ModRms, .. WithSib];
        byte[] bytes = new byte[15];
        ByteArrayCodeReader reader = new(bytes);
        Decoder decoder = Decoder.Create(bitness, reader);
        foreach (int length in Heads(bytes))
        {
            byte last = bytes[length + 2];
            for (int opcode = 0; opcode < 256; opcode++)
            {
                bytes[length] = (byte)opcode;
                foreach (byte modRm in all)
                {
                    bytes[length + 1] = modRm;
                    bytes[length + 2] = (modRm & 0xC7) == 4 && last == 0 ? Sib : last;
                    reader.Position = 0;
                    decoder.IP = 0;
                    decoder.Decode(out Instruction instruction);
                    if (!instruction.IsInvalid)
                    {
                        yield return (instruction, bytes.AsMemory(0, instruction.Length));
                    }
                }
            }
        }
    }

    /// <summary>Writes what comes before an opcode and answers its length.</summary>
    private static IEnumerable<int> Heads(byte[] bytes)
    {
        foreach (byte[] prefix in Prefixes)
        {
            foreach (byte[] escape in Escapes)
            {
                yield return Set(bytes, [.. prefix, .. escape]);
            }
        }

        for (int suffix = 0; suffix < 256; suffix++)
        {
            yield return Set3DNow(bytes, (byte)suffix);
        }

        for (int form = 0; form < 64; form++)
        {
            byte last = (byte)(0x78 | (form & 3) | ((form & 4) != 0 ? 0x80 : 0) | ((form & 8) >> 1));
            foreach (int map in (int[])[1, 2, 3, 5, 6, 7])
            {
                yield return Set(bytes, [0xC4, (byte)(0xE0 | map), last]);
                yield return Set(bytes, [0x67, 0xC4, (byte)(0xE0 | map), last]);
                yield return Set(bytes, [0x62, (byte)(0xF0 | map), (byte)((last & 0x83) | 0x7C), (byte)(0x08 | ((form & 0x18) << 2) | (form >> 5))]);
            }

            foreach (int map in (int[])[8, 9, 10])
            {
                yield return Set(bytes, [0x8F, (byte)(0xE0 | map), last]);
            }
        }
    }

    private static int Set(byte[] bytes, byte[] head)
    {
        bytes.AsSpan().Clear();
        head.CopyTo(bytes, 0);
        return head.Length;
    }

    /// <summary>3DNow! has its opcode behind the operands; 0F takes the place of an opcode here.</summary>
    private static int Set3DNow(byte[] bytes, byte suffix)
    {
        int length = Set(bytes, [0x0F]);
        bytes[length + 2] = suffix;
        return length;
    }
}
