using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// A static ELF64 x86-64 executable. The file may be hostile: whatever its bytes, parsing ends with an image or an
/// <see cref="ImageFormatException"/>, in time and memory proportional to the length of the file.
/// </summary>
/// <remarks>
/// Segments are copied, not mapped, so <c>p_align</c> and the congruence of offset and address are not looked at, nor is
/// <c>p_paddr</c>. A file without section headers has no symbols; one whose section headers or symbol table point outside
/// the file is rejected, because it is most likely cut short.
/// </remarks>
public sealed class ElfImage : GuestImage
{
    private ElfImage(Gva entry, IReadOnlyList<ImageSegment> segments, int ring, SymbolTable symbols)
        : base(entry, segments, ring, symbols)
    {
    }

    /// <summary>Parses <paramref name="file"/>, which must not change while the image is in use.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="ramBytes">The RAM that the segments, in pages of 4 KiB, must fit in.</param>
    /// <exception cref="ImageFormatException">The file is malformed or needs what this machine does not offer.</exception>
    public static ElfImage Parse(ReadOnlyMemory<byte> file, ulong ramBytes)
    {
        var bytes = new ImageBytes(file);
        ElfHeader header = ElfHeader.Read(bytes);
        var segments = new List<ImageSegment>();
        int? ring = null;
        ulong noteBytes = 0;
        for (int i = 0; i < header.ProgramHeaderCount; i++)
        {
            ElfProgramHeader program = ElfProgramHeader.Read(bytes, header, i);
            switch (program.Type)
            {
                case ElfProgramHeader.Load:
                    AddSegment(segments, bytes, program, i);
                    break;
                case ElfProgramHeader.Interpreter:
                    throw new ImageFormatException($"program header {i}: PT_INTERP asks for a dynamic linker, and there is none: link with -static");
                case ElfProgramHeader.Dynamic:
                    throw new ImageFormatException($"program header {i}: PT_DYNAMIC asks for dynamic linking, which is not done: link with -static -no-pie");
                case ElfProgramHeader.Note:
                    ReadOnlyMemory<byte> notes = bytes.Slice(program.Offset, program.FileSize, "the PT_NOTE program header", i);
                    noteBytes += (ulong)notes.Length;
                    RequireDistinctNotes(noteBytes, bytes.Length, i);
                    ring = ElfNotes.Combine(ring, ElfNotes.ReadRing(notes, program.Alignment, i), i);
                    break;
            }
        }

        ImageSegment[] sorted = [.. segments.OrderBy(segment => segment.Address.Value)];
        SegmentLayout.Check(sorted, ramBytes);
        var entry = new Gva(header.Entry);
        SegmentLayout.RequireEntry(sorted, entry);
        return new ElfImage(entry, sorted, ring ?? 0, ElfSymbols.Read(bytes, header, sorted));
    }

    private static void AddSegment(List<ImageSegment> segments, ImageBytes file, in ElfProgramHeader program, int index)
    {
        if (program.FileSize > program.MemorySize)
        {
            throw new ImageFormatException(
                $"program header {index}: p_filesz 0x{program.FileSize:x} is larger than p_memsz 0x{program.MemorySize:x}: the header is corrupt, relink the image");
        }

        ReadOnlyMemory<byte> contents = file.Slice(program.Offset, program.FileSize, "the PT_LOAD program header", index);
        if (program.MemorySize == 0)
        {
            return;
        }

        SegmentLayout.RequireCanonical(new Gva(program.Address), program.MemorySize, $"program header {index}");
        segments.Add(new ImageSegment(new Gva(program.Address), program.MemorySize, contents, (SegmentRights)(program.Flags & 7)));
    }

    private static void RequireDistinctNotes(ulong noteBytes, ulong fileBytes, int index)
    {
        if (noteBytes > fileBytes)
        {
            throw new ImageFormatException($"program header {index}: the PT_NOTE segments together are longer than the file: they overlap, relink the image");
        }
    }
}
