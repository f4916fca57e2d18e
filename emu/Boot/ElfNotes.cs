using System.Buffers.Binary;

namespace Quadwalk.Emulation;

/// <summary>Reads the notes of an image: name <c>Quadwalk</c>, type 1, holds the ring to start in as a 32-bit word.</summary>
internal static class ElfNotes
{
    private const uint RingNote = 1;

    /// <summary>The ring that the notes of one PT_NOTE segment ask for, or null; other notes are passed over.</summary>
    public static int? ReadRing(ReadOnlyMemory<byte> notes, ulong alignment, int segment)
    {
        var file = new ImageBytes(notes);
        ulong padding = alignment == 8 ? 7UL : 3UL;
        int? ring = null;
        for (ulong at = 0; at < file.Length;)
        {
            const string what = "a note in the PT_NOTE program header";
            ReadOnlySpan<byte> header = file.Slice(at, 12, what, segment).Span;
            ulong nameSize = BinaryPrimitives.ReadUInt32LittleEndian(header);
            ulong dataSize = BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
            ulong dataAt = (at + 12 + nameSize + padding) & ~padding;
            ReadOnlySpan<byte> name = file.Slice(at + 12, nameSize, what, segment).Span;
            ReadOnlySpan<byte> data = file.Slice(dataAt, dataSize, what, segment).Span;
            if (type == RingNote && name.TrimEnd((byte)0).SequenceEqual("Quadwalk"u8))
            {
                ring = Combine(ring, ParseRing(data, segment), segment);
            }

            at = (dataAt + dataSize + padding) & ~padding;
        }

        return ring;
    }

    /// <summary>Joins what two notes say, which must agree.</summary>
    public static int? Combine(int? first, int? second, int segment)
    {
        if (first is { } a && second is { } b && a != b)
        {
            throw new ImageFormatException($"program header {segment}: the image asks for ring {a} and for ring {b}: keep one Quadwalk note");
        }

        return first ?? second;
    }

    private static int ParseRing(ReadOnlySpan<byte> data, int segment)
    {
        if (data.Length != 4)
        {
            throw new ImageFormatException($"program header {segment}: the Quadwalk ring note holds {data.Length} bytes: give it one 4-byte word");
        }

        uint ring = BinaryPrimitives.ReadUInt32LittleEndian(data);
        return ring is 0 or 3
            ? (int)ring
            : throw new ImageFormatException($"program header {segment}: the Quadwalk note asks for ring {ring}: ask for ring 0 or 3");
    }
}
