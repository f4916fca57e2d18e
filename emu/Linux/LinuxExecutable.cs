using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A statically linked program, position-independent or not, as execve(2) sees it (System V ABI, chapter 5).</summary>
internal sealed class LinuxExecutable
{
    private readonly ReadOnlyMemory<byte> file;
    private readonly List<ElfProgramHeader> segments = [];

    private LinuxExecutable(ReadOnlyMemory<byte> file, in ElfHeader header)
    {
        this.file = file;
        ImageBytes bytes = new(file);
        ProgramHeaderCount = header.ProgramHeaderCount;
        for (int i = 0; i < header.ProgramHeaderCount; i++)
        {
            ElfProgramHeader program = ElfProgramHeader.Read(bytes, header, i);
            if (program.Type == ElfProgramHeader.Interpreter)
            {
                string interpreter = System.Text.Encoding.UTF8.GetString(bytes.Slice(program.Offset, program.FileSize, "the PT_INTERP program header", i).Span);
                throw new ImageFormatException($"dynamically linked: needs INTERP {Printable(interpreter)}, and only static programs are run: link it with -static");
            }

            if (program.Type == ElfProgramHeader.Load && program.MemorySize != 0)
            {
                Check(bytes, program, i);
                segments.Add(program);
            }
        }

        if (segments.Count == 0)
        {
            throw new ImageFormatException("the program has no PT_LOAD segment: relink it");
        }

        ulong lowest = segments.Min(segment => segment.Address) & ~PageSize.Mask4K;
        Bias = header.IsPositionIndependent ? LoadAddress - lowest : 0;
        Entry = header.Entry + Bias;
        ProgramHeaders = FindProgramHeaders(header) + Bias;
        End = segments.Max(segment => segment.Address + segment.MemorySize) + Bias;
    }

    /// <summary>Where position-independent programs are loaded: two thirds into the address space, as Linux without randomization does.</summary>
    public const ulong LoadAddress = 0x5555_5555_4000;

    /// <summary>What was added to the addresses of the file.</summary>
    public ulong Bias { get; }

    /// <summary>AT_ENTRY.</summary>
    public ulong Entry { get; }

    /// <summary>AT_PHDR.</summary>
    public ulong ProgramHeaders { get; }

    /// <summary>AT_PHNUM.</summary>
    public int ProgramHeaderCount { get; }

    /// <summary>The end of the highest segment; the heap begins at the next page.</summary>
    public ulong End { get; }

    /// <summary>Parses a file, hostile or not.</summary>
    /// <exception cref="ImageFormatException">It is no program that can be run.</exception>
    public static LinuxExecutable Parse(ReadOnlyMemory<byte> file) => new(file, ElfHeader.ReadProgram(new ImageBytes(file)));

    /// <summary>Maps the segments; false where the address space refuses one.</summary>
    public bool TryMap(AddressSpace memory)
    {
        foreach (ElfProgramHeader segment in segments)
        {
            ulong start = (segment.Address & ~PageSize.Mask4K) + Bias;
            ulong before = segment.Address & PageSize.Mask4K;
            ulong end = Pages(segment.Address + segment.MemorySize) + Bias;
            ulong fileEnd = segment.FileSize == 0 ? start : Pages(segment.Address + segment.FileSize) + Bias;
            Protection protection = ((segment.Flags & 4) != 0 ? Protection.Read : 0) | ((segment.Flags & 2) != 0 ? Protection.Write : 0)
                | ((segment.Flags & 1) != 0 ? Protection.Execute : 0);
            if (end > AddressSpace.End - AddressSpace.StackBytes || start < AddressSpace.Lowest)
            {
                return false;
            }

            if (fileEnd != start)
            {
                ReadOnlyMemory<byte> contents = file.Slice((int)(segment.Offset - before), (int)(segment.FileSize + before));
                if (!memory.TryMap(new MemoryArea(start, fileEnd, protection) { Source = new BytesSource(contents) }))
                {
                    return false;
                }
            }

            if (fileEnd != end && !memory.TryMap(new MemoryArea(fileEnd, end, protection)))
            {
                return false;
            }
        }

        return true;
    }

    private static ulong Pages(ulong address) => (address + PageSize.Mask4K) & ~PageSize.Mask4K;

    private static string Printable(string text) => string.Concat(text.TrimEnd('\0').Where(letter => !char.IsControl(letter)));

    private static void Check(ImageBytes file, in ElfProgramHeader program, int index)
    {
        _ = file.Slice(program.Offset, program.FileSize, "the PT_LOAD program header", index);
        if (program.FileSize > program.MemorySize)
        {
            throw new ImageFormatException($"program header {index}: p_filesz 0x{program.FileSize:x} is larger than p_memsz 0x{program.MemorySize:x}: relink the program");
        }

        if (((program.Offset ^ program.Address) & PageSize.Mask4K) != 0 || (program.Address & PageSize.Mask4K) > program.Offset)
        {
            throw new ImageFormatException($"program header {index}: p_offset 0x{program.Offset:x} and p_vaddr 0x{program.Address:x} differ within a page: relink the program");
        }

        if (program.Address >= AddressSpace.End || program.MemorySize > AddressSpace.End - program.Address)
        {
            throw new ImageFormatException($"program header {index}: 0x{program.MemorySize:x} bytes at 0x{program.Address:x} are outside the address space: relink the program");
        }
    }

    private ulong FindProgramHeaders(in ElfHeader header)
    {
        foreach (ElfProgramHeader segment in segments)
        {
            if (header.ProgramHeaders >= segment.Offset && header.ProgramHeaders - segment.Offset < segment.FileSize)
            {
                return header.ProgramHeaders - segment.Offset + segment.Address;
            }
        }

        return header.ProgramHeaders + segments[0].Address - segments[0].Offset;
    }
}
