using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Reads the static symbol table, <c>.symtab</c> (System V ABI, chapter 4).</summary>
internal static class ElfSymbols
{
    private const uint SymbolTableType = 2;
    private const uint StringTableType = 3;
    private const int SymbolSize = 24;

    private readonly record struct Section(uint Type, ulong Offset, ulong Size, uint Link, ulong EntrySize);

    /// <summary>
    /// The symbols that name code or data inside <paramref name="segments"/>. A table that lies about its place or size is
    /// an error; a single symbol that is undefined, unnamed, outside the segments or named outside the string table is left out.
    /// </summary>
    public static SymbolTable Read(ImageBytes file, in ElfHeader header, ReadOnlySpan<ImageSegment> segments)
    {
        int table = Find(file, header);
        if (table < 0)
        {
            return SymbolTable.Empty;
        }

        Section symbols = ReadSection(file, header, table);
        if (symbols.EntrySize != SymbolSize || symbols.Size % SymbolSize != 0)
        {
            throw new ImageFormatException(
                $"section {table} (.symtab): sh_entsize {symbols.EntrySize} with sh_size 0x{symbols.Size:x} is not a table of 24-byte symbols: strip or rebuild the file");
        }

        ReadOnlySpan<byte> entries = file.Slice(symbols.Offset, symbols.Size, "the symbol table, section", table).Span;
        ReadOnlyMemory<byte> names = ReadNames(file, header, symbols, table);
        var found = new List<SymbolTable.Entry>(entries.Length / SymbolSize);
        for (; !entries.IsEmpty; entries = entries[SymbolSize..])
        {
            if (ParseSymbol(entries, (uint)names.Length, segments) is { } entry)
            {
                found.Add(entry);
            }
        }

        return found.Count == 0 ? SymbolTable.Empty : new SymbolTable([.. found], names);
    }

    private static int Find(ImageBytes file, in ElfHeader header)
    {
        int table = -1;
        for (int i = 0; i < header.SectionHeaderCount; i++)
        {
            if (ReadSection(file, header, i).Type != SymbolTableType)
            {
                continue;
            }

            if (table >= 0)
            {
                throw new ImageFormatException($"section {i}: a second symbol table beside section {table}, and ELF allows one: strip or rebuild the file");
            }

            table = i;
        }

        return table;
    }

    private static ReadOnlyMemory<byte> ReadNames(ImageBytes file, in ElfHeader header, Section symbols, int table)
    {
        if (symbols.Link >= header.SectionHeaderCount)
        {
            throw new ImageFormatException(
                $"section {table} (.symtab): sh_link {symbols.Link} is not one of the {header.SectionHeaderCount} sections: strip or rebuild the file");
        }

        Section strings = ReadSection(file, header, (int)symbols.Link);
        ReadOnlyMemory<byte> names = strings.Type == StringTableType
            ? file.Slice(strings.Offset, strings.Size, "the string table, section", (int)symbols.Link)
            : throw new ImageFormatException($"section {table} (.symtab): sh_link {symbols.Link} is not a string table: strip or rebuild the file");
        return names.IsEmpty || names.Span[^1] == 0
            ? names
            : throw new ImageFormatException($"section {symbols.Link} (.strtab): the last name is not terminated: strip or rebuild the file");
    }

    private static Section ReadSection(ImageBytes file, in ElfHeader header, int index)
    {
        ReadOnlySpan<byte> raw = file.Slice(
            header.SectionHeaders + (ulong)index * ElfHeader.SectionHeaderSize, ElfHeader.SectionHeaderSize, "section header", index).Span;
        return new Section(
            BinaryPrimitives.ReadUInt32LittleEndian(raw[4..]),
            BinaryPrimitives.ReadUInt64LittleEndian(raw[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(raw[32..]),
            BinaryPrimitives.ReadUInt32LittleEndian(raw[40..]),
            BinaryPrimitives.ReadUInt64LittleEndian(raw[56..]));
    }

    private static SymbolTable.Entry? ParseSymbol(ReadOnlySpan<byte> raw, uint nameBytes, ReadOnlySpan<ImageSegment> segments)
    {
        const int noType = 0, @object = 1, function = 2, indirectFunction = 10;
        uint name = BinaryPrimitives.ReadUInt32LittleEndian(raw);
        int type = raw[4] & 15;
        bool isGlobal = raw[4] >> 4 != 0;
        ushort section = BinaryPrimitives.ReadUInt16LittleEndian(raw[6..]);
        ulong address = BinaryPrimitives.ReadUInt64LittleEndian(raw[8..]);
        ulong size = BinaryPrimitives.ReadUInt64LittleEndian(raw[16..]);
        if (type is not (noType or @object or function or indirectFunction) || section == 0 || name == 0 || name >= nameBytes)
        {
            return null;
        }

        int low = 0;
        for (int high = segments.Length; low < high;)
        {
            int middle = (low + high) / 2;
            (low, high) = segments[middle].Address.Value <= address ? (middle + 1, high) : (low, middle);
        }

        if (low == 0 || !segments[low - 1].Contains(new Gva(address)))
        {
            return null;
        }

        ulong room = segments[low - 1].MemorySize - (address - segments[low - 1].Address.Value);
        bool isFunction = type is function or indirectFunction;
        return new SymbolTable.Entry(address, Math.Min(size, room), room, name, isFunction, isGlobal);
    }
}
