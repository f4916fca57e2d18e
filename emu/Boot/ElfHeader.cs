namespace Quadwalk.Emulation;

/// <summary>The checked file header of an ELF64 x86-64 executable (System V ABI, chapter 4).</summary>
internal readonly struct ElfHeader
{
    public const int Size = 64;
    public const int ProgramHeaderSize = 56;
    public const int SectionHeaderSize = 64;

    private const string What = "the ELF header";

    // Linux takes at most 64 KiB of program headers (fs/binfmt_elf.c, load_elf_phdrs).
    private const int MaximumProgramHeaders = 65536 / ProgramHeaderSize;

    public ulong Entry { get; private init; }

    public ulong ProgramHeaders { get; private init; }

    public int ProgramHeaderCount { get; private init; }

    /// <summary>The file offset of the section headers; zero when there are none.</summary>
    public ulong SectionHeaders { get; private init; }

    public int SectionHeaderCount { get; private init; }

    /// <summary>Whether the file is ET_DYN, to be loaded anywhere.</summary>
    public bool IsPositionIndependent { get; private init; }

    /// <summary>Reads the header of an image to boot: ET_EXEC, with what it says of sections.</summary>
    public static ElfHeader Read(ImageBytes file)
    {
        ElfHeader header = ReadProgram(file);
        if (header.IsPositionIndependent)
        {
            throw new ImageFormatException(
                "the ELF header: e_type (offset 0x10) is ET_DYN, a position-independent file, and relocations are not applied: link with -static -no-pie");
        }

        ulong sectionOffset = file.UInt64(40, What);
        int sections = file.UInt16(60, What);
        if (sectionOffset != 0)
        {
            Require(sectionOffset >= Size, "e_shoff (offset 0x28)", sectionOffset, "an offset behind the ELF header");
            Require(sections > 0, "e_shnum (offset 0x3c)", (ulong)sections, "the number of section headers (extended numbering is not supported): strip the file");
            Require(file.UInt16(58, What) == SectionHeaderSize, "e_shentsize (offset 0x3a)", file.UInt16(58, What), "64");
            _ = file.Slice(sectionOffset, (ulong)sections * SectionHeaderSize, "the section headers (e_shoff, e_shnum)");
        }
        else
        {
            Require(sections == 0, "e_shnum (offset 0x3c)", (ulong)sections, "0, as e_shoff is 0");
        }

        return header with { SectionHeaders = sectionOffset, SectionHeaderCount = sections };
    }

    /// <summary>Reads what running a program needs, ET_EXEC or ET_DYN, and leaves sections aside.</summary>
    public static ElfHeader ReadProgram(ImageBytes file)
    {
        if (file.Length < 4 || !file.Slice(0, 4, What).Span.SequenceEqual("\u007fELF"u8))
        {
            throw new ImageFormatException("the ELF header: the file does not start with 7f 45 4c 46: give an ELF file, or load it as a flat image");
        }

        ReadOnlySpan<byte> ident = file.Slice(0, Size, What).Span;
        Require(ident[4] == 2, "EI_CLASS (offset 4)", ident[4], "a 64-bit file (2): compile with -m64");
        Require(ident[5] == 1, "EI_DATA (offset 5)", ident[5], "a little-endian file (1)");
        Require(ident[6] == 1, "EI_VERSION (offset 6)", ident[6], "version 1");

        int type = file.UInt16(16, What);
        Require(type is 2 or 3, "e_type (offset 0x10)", (ulong)type, "an executable, ET_EXEC (2): link the object with -static -no-pie");
        Require(file.UInt16(18, What) == 62, "e_machine (offset 0x12)", file.UInt16(18, What), "EM_X86_64 (62): build for x86-64");
        Require(file.UInt32(20, What) == 1, "e_version (offset 0x14)", file.UInt32(20, What), "version 1");
        Require(file.UInt16(52, What) == Size, "e_ehsize (offset 0x34)", file.UInt16(52, What), "64");

        int programHeaders = file.UInt16(56, What);
        Require(programHeaders is > 0 and <= MaximumProgramHeaders, "e_phnum (offset 0x38)", (ulong)programHeaders, $"1 to {MaximumProgramHeaders} program headers");
        Require(file.UInt16(54, What) == ProgramHeaderSize, "e_phentsize (offset 0x36)", file.UInt16(54, What), "56");
        ulong programOffset = file.UInt64(32, What);
        Require(programOffset >= Size, "e_phoff (offset 0x20)", programOffset, "an offset behind the ELF header");
        _ = file.Slice(programOffset, (ulong)programHeaders * ProgramHeaderSize, "the program headers (e_phoff, e_phnum)");
        return new ElfHeader
        {
            Entry = file.UInt64(24, What),
            ProgramHeaders = programOffset,
            ProgramHeaderCount = programHeaders,
            IsPositionIndependent = type == 3,
        };
    }

    private static void Require(bool holds, string field, ulong value, string expected)
    {
        if (!holds)
        {
            throw new ImageFormatException($"the ELF header: {field} is {value}, expected {expected}");
        }
    }
}
