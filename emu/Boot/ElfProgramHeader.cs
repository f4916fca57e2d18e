namespace Quadwalk.Emulation;

/// <summary>One entry of the program header table (System V ABI, chapter 5).</summary>
internal readonly struct ElfProgramHeader
{
    public const uint Load = 1;
    public const uint Dynamic = 2;
    public const uint Interpreter = 3;
    public const uint Note = 4;

    public uint Type { get; private init; }

    public uint Flags { get; private init; }

    public ulong Offset { get; private init; }

    public ulong Address { get; private init; }

    public ulong FileSize { get; private init; }

    public ulong MemorySize { get; private init; }

    public ulong Alignment { get; private init; }

    public static ElfProgramHeader Read(ImageBytes file, in ElfHeader header, int index)
    {
        const string what = "a program header";
        ulong at = header.ProgramHeaders + (ulong)index * ElfHeader.ProgramHeaderSize;
        return new ElfProgramHeader
        {
            Type = file.UInt32(at, what),
            Flags = file.UInt32(at + 4, what),
            Offset = file.UInt64(at + 8, what),
            Address = file.UInt64(at + 16, what),
            FileSize = file.UInt64(at + 32, what),
            MemorySize = file.UInt64(at + 40, what),
            Alignment = file.UInt64(at + 48, what),
        };
    }
}
