namespace Quadwalk.Emulation;

/// <summary>
/// A multiboot 1 image: an ELF32 executable for the i386, loaded at its physical addresses, or a file whose multiboot header says
/// where it goes. The file may be hostile: parsing ends with an image or an <see cref="ImageFormatException"/>.
/// </summary>
/// <remarks>Symbols are not read. An entry point within a segment's virtual addresses is taken to its physical one.</remarks>
public sealed class MultibootImage
{
    private const ulong FourGiB = 1UL << 32;

    private MultibootImage(uint entry, IReadOnlyList<MultibootSegment> segments)
    {
        Entry = entry;
        Segments = segments;
    }

    /// <summary>The guest-physical address of the first instruction.</summary>
    public uint Entry { get; }

    /// <summary>The segments in ascending order of address; there is one at least, and they do not overlap.</summary>
    public IReadOnlyList<MultibootSegment> Segments { get; }

    /// <summary>The lowest address.</summary>
    public uint Start => Segments[0].Address;

    /// <summary>The address behind the last byte.</summary>
    public ulong End => Segments[^1].End;

    /// <summary>Whether <paramref name="file"/> has a multiboot header.</summary>
    public static bool IsMultiboot(ReadOnlySpan<byte> file) => MultibootHeader.Find(file) is not null;

    /// <summary>Parses <paramref name="file"/>, which must not change while the image is in use.</summary>
    /// <exception cref="ImageFormatException">The file is no multiboot image, or is malformed.</exception>
    public static MultibootImage Parse(ReadOnlyMemory<byte> file)
    {
        MultibootHeader header = MultibootHeader.Find(file.Span)
            ?? throw new ImageFormatException("no multiboot header: the first 8192 bytes hold no 1badb002 with flags and a checksum that sum to zero");
        header.RequireKnown();
        var bytes = new ImageBytes(file);
        return header.GivesAddresses ? ParseAddresses(bytes, header) : Elf32Executable.Parse(bytes, Make);
    }

    private static MultibootImage Make(uint entry, List<MultibootSegment> segments)
    {
        segments.Sort((left, right) => left.Address.CompareTo(right.Address));
        for (int i = 0; i < segments.Count; i++)
        {
            MultibootSegment segment = segments[i];
            if (segment.End > FourGiB)
            {
                throw new ImageFormatException($"the segment of 0x{segment.MemorySize:x} bytes at 0x{segment.Address:x} ends beyond 4 GiB");
            }

            if (i != 0 && segments[i - 1].End > segment.Address)
            {
                throw new ImageFormatException($"the segments at 0x{segments[i - 1].Address:x} and 0x{segment.Address:x} overlap");
            }
        }

        return new MultibootImage(entry, segments);
    }

    private static MultibootImage ParseAddresses(ImageBytes file, MultibootHeader header)
    {
        const string what = "the address fields of the multiboot header";
        ulong at = (ulong)header.Offset;
        uint headerAddress = file.UInt32(at + 12, what);
        uint load = file.UInt32(at + 16, what);
        uint loadEnd = file.UInt32(at + 20, what);
        uint bssEnd = file.UInt32(at + 24, what);
        uint entry = file.UInt32(at + 28, what);
        if (headerAddress < load || headerAddress - load > at)
        {
            throw new ImageFormatException($"{what}: header_addr 0x{headerAddress:x} and load_addr 0x{load:x} place the image before its file begins");
        }

        ulong offset = at - (headerAddress - load);
        if (loadEnd != 0 && loadEnd < load)
        {
            throw new ImageFormatException($"{what}: load_end_addr 0x{loadEnd:x} is below load_addr 0x{load:x}");
        }

        ulong size = loadEnd != 0 ? loadEnd - load : file.Length - offset;
        if (bssEnd != 0 && bssEnd < load + size)
        {
            throw new ImageFormatException($"{what}: bss_end_addr 0x{bssEnd:x} is below the end of what is loaded, 0x{load + size:x}");
        }

        ulong memory = bssEnd != 0 ? bssEnd - load : size;
        if (memory == 0 || memory > uint.MaxValue)
        {
            throw new ImageFormatException($"{what}: the image has 0x{memory:x} bytes");
        }

        return Make(entry, [new MultibootSegment(load, (uint)memory, file.Slice(offset, size, "the image that the multiboot header describes"))]);
    }
}
