using System.Buffers.Binary;

namespace Quadwalk.Emulation;

/// <summary>A file in memory whose every access goes through one bounds check that no sum can overflow.</summary>
internal readonly struct ImageBytes(ReadOnlyMemory<byte> bytes)
{
    public ulong Length => (ulong)bytes.Length;

    /// <summary>The <paramref name="length"/> bytes at <paramref name="offset"/>, or an error that names them.</summary>
    public ReadOnlyMemory<byte> Slice(ulong offset, ulong length, string what, int index = -1)
    {
        if (length > Length || offset > Length - length)
        {
            string name = index < 0 ? what : $"{what} {index}";
            throw new ImageFormatException(
                $"{name}: 0x{length:x} bytes at file offset 0x{offset:x} lie outside the file of 0x{Length:x} bytes: the file is cut short or corrupt, build or copy it again");
        }

        return bytes.Slice((int)offset, (int)length);
    }

    public ushort UInt16(ulong offset, string what) => BinaryPrimitives.ReadUInt16LittleEndian(Slice(offset, 2, what).Span);

    public uint UInt32(ulong offset, string what) => BinaryPrimitives.ReadUInt32LittleEndian(Slice(offset, 4, what).Span);

    public ulong UInt64(ulong offset, string what) => BinaryPrimitives.ReadUInt64LittleEndian(Slice(offset, 8, what).Span);
}
