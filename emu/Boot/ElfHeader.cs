namespace Quadwalk.Emulation;

/// <summary>The checked file header of an ELF64 x86-64 executable (System V ABI, chapter 4).</summary>
internal readonly struct ElfHeader
{
    public const int Size = 64;
    public const int ProgramHeaderSize = 56;
    public const int SectionHeaderSize = 64;

    // Linux takes at most 64 KiB of program headers (fs/binfmt_elf.c, load_elf_phdrs).
    private const int MaximumProgramHeaders = 65536 / ProgramHeaderSize;

    public ulong Entry { get; private init; }

    public ulong ProgramHeaders { get; private init; }

    public int ProgramHeaderCount { get; private init; }

    /// <summary>The file offset of the section headers; zero when there are none.</summary>
    public ulong SectionHeaders { get; private init; }

    public int SectionHeaderCount { get; private init; }

    public static ElfHeader Read(ImageBytes file)
    {
        const string what = "the ELF header";
        if (file.Length < 4 || !file.Slice(0, 4, what).Span.SequenceEqual("\u007fELF"u8))
        {
            throw new ImageFormatException("the ELF header: the file does not start with 7f 45 4c 46: give an ELF file, or load it as a flat image");
        }

        ReadOnlySpan<byte> ident = file.Slice(0, Size, what).Span;
        Require(ident[4] == 2, "EI_CLASS (offset 4)", ident[4], "a 64-bit file (2): compile with -m64");
        Require(ident[5] == 1, "EI_DATA (offset 5)", ident[5], "a little-endian file (1)");
        Require(ident[6] == 1, "EI_VERSION (offset 6)", ident[6], "version 1");

        int type = file.UInt16(16, what);
        if (type == 3)
        {
            throw new ImageFormatException(
                "the ELF header: e_type (offset 0x10) is ET_DYN, a position-independent file, and relocations are not applied: link with -static -no-pie");
        }

        Require(type == 2, "e_type (offset 0x10)", (ulong)type, "an executable, ET_EXEC (2): link the object with -static -no-pie");
        Require(file.UInt16(18, what) == 62, "e_machine (offset 0x12)", file.UInt16(18, what), "EM_X86_64 (62): build for x86-64");
        Require(file.UInt32(20, what) == 1, "e_version (offset 0x14)", file.UInt32(20, what), "version 1");
        Require(file.UInt16(52, what) == Size, "e_ehsize (offset 0x34)", file.UInt16(52, what), "64");

        int programHeaders = file.UInt16(56, what);
        Require(programHeaders is > 0 and <= MaximumProgramHeaders, "e_phnum (offset 0x38)", (ulong)programHeaders, $"1 to {MaximumProgramHeaders} program headers");
        Require(file.UInt16(54, what) == ProgramHeaderSize, "e_phentsize (offset 0x36)", file.UInt16(54, what), "56");
        ulong programOffset = file.UInt64(32, what);
        Require(programOffset >= Size, "e_phoff (offset 0x20)", programOffset, "an offset behind the ELF header");
        _ = file.Slice(programOffset, (ulong)programHeaders * ProgramHeaderSize, "the program headers (e_phoff, e_phnum)");

        ulong sectionOffset = file.UInt64(40, what);
        int sections = file.UInt16(60, what);
        if (sectionOffset != 0)
        {
            Require(sectionOffset >= Size, "e_shoff (offset 0x28)", sectionOffset, "an offset behind the ELF header");
            Require(sections > 0, "e_shnum (offset 0x3c)", (ulong)sections, "the number of section headers (extended numbering is not supported): strip the file");
            Require(file.UInt16(58, what) == SectionHeaderSize, "e_shentsize (offset 0x3a)", file.UInt16(58, what), "64");
            _ = file.Slice(sectionOffset, (ulong)sections * SectionHeaderSize, "the section headers (e_shoff, e_shnum)");
        }
        else
        {
            Require(sections == 0, "e_shnum (offset 0x3c)", (ulong)sections, "0, as e_shoff is 0");
        }

        return new ElfHeader
        {
            Entry = file.UInt64(24, what),
            ProgramHeaders = programOffset,
            ProgramHeaderCount = programHeaders,
            SectionHeaders = sectionOffset,
            SectionHeaderCount = sections,
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
