using System.Buffers.Binary;
using System.Text;

namespace Quadwalk.Tests;

/// <summary>Builds a small ELF64 executable: code, data with bss, a ring note, three symbols, and the section headers last.</summary>
internal sealed class ElfBuilder
{
    public const ulong Code = 0x401000;
    public const ulong Data = 0x402000;
    public const int CodeHeader = 0x40, DataHeader = 0x78, NoteHeader = 0xb0;

    public ulong CodeAddress { get; init; } = Code;

    public ulong DataAddress { get; init; } = Data;

    public ulong? Entry { get; init; }

    public uint? Ring { get; init; } = 3;

    public bool HasSections { get; init; } = true;

    public List<(string Name, ulong Address, ulong Size, byte Info)> Symbols { get; init; } =
        [("_start", Code, 8, 0x12), ("inner", Code + 4, 2, 0x02), ("counter", Data + 4, 4, 0x11)];

    public int NoteAt { get; private set; }

    public int SymbolsAt { get; private set; }

    public int StringsAt { get; private set; }

    public int SectionsAt { get; private set; }

    public byte[] Build()
    {
        var file = new List<byte>(new byte[64 + 3 * 56]);
        int codeAt = file.Count;
        file.AddRange([0x31, 0xc0, 0x0f, 0x05, 0x90, 0x90, 0xeb, 0xfe]);
        int dataAt = file.Count;
        file.AddRange([1, 2, 3, 4]);
        NoteAt = file.Count;
        if (Ring is { } ring)
        {
            file.AddRange([.. U32(9), .. U32(4), .. U32(1), .. "Quadwalk\0\0\0\0"u8, .. U32(ring)]);
        }

        int noteEnd = file.Count;
        StringsAt = file.Count;
        List<byte> names = [0], symbols = [.. new byte[24]];
        foreach ((string name, ulong address, ulong size, byte info) in Symbols)
        {
            symbols.AddRange([.. U32((uint)names.Count), info, 0, 1, 0, .. U64(address), .. U64(size)]);
            names.AddRange([.. Encoding.UTF8.GetBytes(name), 0]);
        }

        int sections = HasSections ? 3 : 0;
        if (HasSections)
        {
            file.AddRange(names);
            SymbolsAt = file.Count;
            file.AddRange(symbols);
            SectionsAt = file.Count;
            file.AddRange(new byte[64]);
            file.AddRange(Section(2, SymbolsAt, symbols.Count, 2, 24));
            file.AddRange(Section(3, StringsAt, names.Count, 0, 0));
        }

        byte[] bytes = [.. file];
        byte[] header =
        [
            0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, .. new byte[8], 2, 0, 62, 0, .. U32(1), .. U64(Entry ?? CodeAddress), .. U64(64),
            .. U64((ulong)SectionsAt), .. U32(0), 64, 0, 56, 0, 3, 0, (byte)(HasSections ? 64 : 0), 0, (byte)sections, 0, 0, 0,
            .. Program(1, 5, codeAt, CodeAddress, 8, 8),
            .. Program(1, 6, dataAt, DataAddress, 4, 0x1800),
            .. Program(4, 4, NoteAt, 0, (ulong)(noteEnd - NoteAt), (ulong)(noteEnd - NoteAt)),
        ];
        header.CopyTo(bytes, 0);
        return bytes;
    }

    public static void Put16(byte[] file, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), value);

    public static void Put32(byte[] file, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), value);

    public static void Put64(byte[] file, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), value);

    private static byte[] Program(uint type, uint flags, int offset, ulong address, ulong fileSize, ulong memorySize) =>
        [.. U32(type), .. U32(flags), .. U64((ulong)offset), .. U64(address), .. U64(address), .. U64(fileSize), .. U64(memorySize), .. U64(4)];

    private static byte[] Section(uint type, int offset, int size, uint link, ulong entrySize) =>
        [.. U32(0), .. U32(type), .. U64(0), .. U64(0), .. U64((ulong)offset), .. U64((ulong)size), .. U32(link), .. U32(0), .. U64(1), .. U64(entrySize)];

    private static byte[] U32(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return bytes;
    }

    private static byte[] U64(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }
}
