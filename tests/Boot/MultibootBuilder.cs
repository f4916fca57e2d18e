using System.Buffers.Binary;

namespace Quadwalk.Tests;

/// <summary>Builds multiboot images: an ELF32 file of two segments with the header in the first, and a flat file with address fields.</summary>
internal static class MultibootBuilder
{
    public const uint Magic = 0x1bad_b002;
    public const int HeaderAt = 0x100, FirstHeader = 52, SecondHeader = 84;
    public const uint Start = 0x10_0000;

    public static byte[] Elf(uint flags = 0)
    {
        byte[] file = new byte[0x200];
        byte[] ident = [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1];
        ident.CopyTo(file, 0);
        ElfBuilder.Put16(file, 16, 2);
        ElfBuilder.Put16(file, 18, 3);
        ElfBuilder.Put32(file, 20, 1);
        ElfBuilder.Put32(file, 24, 0xc000_0010);
        ElfBuilder.Put32(file, 28, FirstHeader);
        ElfBuilder.Put16(file, 42, 32);
        ElfBuilder.Put16(file, 44, 2);
        Program(file, FirstHeader, HeaderAt, 0xc000_0000, Start, 0x40, 0x40);
        Program(file, SecondHeader, 0x180, 0xc000_2000, Start + 0x2000, 4, 0x1801);
        Header(file, flags);
        new byte[] { 1, 2, 3, 4 }.CopyTo(file, 0x180);
        return file;
    }

    /// <summary>A file whose header, at 0x100, describes an image that begins at file offset 0x80.</summary>
    public static byte[] Flat(uint headerAddress = Start + 0x80, uint load = Start, uint loadEnd = Start + 0x100, uint bssEnd = Start + 0x1000, uint entry = Start + 0xa0)
    {
        byte[] file = new byte[0x200];
        Header(file, 1 << 16);
        uint[] fields = [headerAddress, load, loadEnd, bssEnd, entry];
        for (int i = 0; i < fields.Length; i++)
        {
            ElfBuilder.Put32(file, HeaderAt + 12 + i * 4, fields[i]);
        }

        file[0x80] = 0x5a;
        return file;
    }

    public static void Header(byte[] file, uint flags, int at = HeaderAt)
    {
        ElfBuilder.Put32(file, at, Magic);
        ElfBuilder.Put32(file, at + 4, flags);
        ElfBuilder.Put32(file, at + 8, unchecked(0 - Magic - flags));
    }

    public static uint Get(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));

    private static void Program(byte[] file, int at, uint offset, uint address, uint physical, uint fileSize, uint memorySize)
    {
        uint[] fields = [1, offset, address, physical, fileSize, memorySize, 7, 4];
        for (int i = 0; i < fields.Length; i++)
        {
            ElfBuilder.Put32(file, at + i * 4, fields[i]);
        }
    }
}
