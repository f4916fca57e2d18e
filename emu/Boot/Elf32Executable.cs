namespace Quadwalk.Emulation;

/// <summary>The loadable segments of an ELF32 file for the i386 (System V ABI, chapters 4 and 5).</summary>
internal static class Elf32Executable
{
    private const int HeaderSize = 52, ProgramHeaderSize = 32;
    private const int MachineI386 = 3, MachineX86_64 = 62;
    private const uint Load = 1;

    public static MultibootImage Parse(ImageBytes file, Func<uint, List<MultibootSegment>, MultibootImage> make)
    {
        const string what = "the ELF header";
        ReadOnlySpan<byte> header = file.Slice(0, HeaderSize, what).Span;
        if (!header[..4].SequenceEqual("\u007fELF"u8))
        {
            throw new ImageFormatException("a multiboot image without address fields has to be an ELF file, and this one does not start with 7f 45 4c 46");
        }

        int machine = file.UInt16(18, what);
        if (machine == MachineX86_64)
        {
            throw new ImageFormatException("the ELF header: a multiboot image starts in 32-bit mode, and this one is for x86-64: give a 32-bit one (objcopy -O elf32-i386)");
        }

        Require(machine == MachineI386, "e_machine (offset 0x12)", (uint)machine, "EM_386 (3)");
        Require(header[4] == 1, "EI_CLASS (offset 4)", header[4], "a 32-bit file (1)");
        Require(header[5] == 1, "EI_DATA (offset 5)", header[5], "a little-endian file (1)");
        uint count = file.UInt16(44, what);
        Require(count == 0 || file.UInt16(42, what) == ProgramHeaderSize, "e_phentsize (offset 0x2a)", file.UInt16(42, what), "32");
        uint table = file.UInt32(28, what);
        _ = file.Slice(table, count * ProgramHeaderSize, "the program headers (e_phoff, e_phnum)");
        uint entry = file.UInt32(24, what);
        uint physicalEntry = entry;
        List<MultibootSegment> segments = [];
        for (uint i = 0; i < count; i++)
        {
            ulong at = table + (ulong)i * ProgramHeaderSize;
            uint memorySize = file.UInt32(at + 20, what);
            if (file.UInt32(at, what) != Load || memorySize == 0)
            {
                continue;
            }

            uint address = file.UInt32(at + 8, what);
            uint physical = file.UInt32(at + 12, what);
            uint fileSize = file.UInt32(at + 16, what);
            if (fileSize > memorySize)
            {
                throw new ImageFormatException($"program header {i}: p_filesz 0x{fileSize:x} is larger than p_memsz 0x{memorySize:x}");
            }

            segments.Add(new MultibootSegment(physical, memorySize, file.Slice(file.UInt32(at + 4, what), fileSize, "the PT_LOAD program header", (int)i)));
            physicalEntry = entry - address < memorySize ? entry - address + physical : physicalEntry;
        }

        return segments.Count != 0 ? make(physicalEntry, segments) : throw new ImageFormatException("the ELF file has nothing to load: no PT_LOAD program header");
    }

    private static void Require(bool holds, string field, uint value, string expected)
    {
        if (!holds)
        {
            throw new ImageFormatException($"the ELF header: {field} is {value}, expected {expected}");
        }
    }
}
