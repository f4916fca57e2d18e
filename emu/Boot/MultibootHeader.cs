using System.Buffers.Binary;

namespace Quadwalk.Emulation;

/// <summary>The header by which a multiboot image is known (Multiboot Specification 0.6.96, 3.1), in its first 8 KiB.</summary>
internal readonly record struct MultibootHeader(int Offset, uint Flags)
{
    public const uint Magic = 0x1bad_b002;

    private const int SearchBytes = 8192, SmallestBytes = 12;
    private const uint HasAddresses = 1 << 16;

    // Page alignment of modules, memory information and a video mode; the last is a wish that is not granted.
    private const uint KnownRequirements = 7, Requirements = 0xffff;

    /// <summary>Whether the header says itself where the image goes, rather than its ELF headers.</summary>
    public bool GivesAddresses => (Flags & HasAddresses) != 0;

    /// <summary>Finds the header, on a boundary of 4 bytes; null when there is none.</summary>
    public static MultibootHeader? Find(ReadOnlySpan<byte> file)
    {
        int end = Math.Min(file.Length, SearchBytes) - SmallestBytes;
        for (int at = 0; at <= end; at += 4)
        {
            uint magic = BinaryPrimitives.ReadUInt32LittleEndian(file[at..]);
            uint flags = BinaryPrimitives.ReadUInt32LittleEndian(file[(at + 4)..]);
            uint checksum = BinaryPrimitives.ReadUInt32LittleEndian(file[(at + 8)..]);
            if (magic == Magic && magic + flags + checksum == 0)
            {
                return new MultibootHeader(at, flags);
            }
        }

        return null;
    }

    /// <summary>Refuses an image that requires what is not known here.</summary>
    public void RequireKnown()
    {
        uint unknown = Flags & Requirements & ~KnownRequirements;
        if (unknown != 0)
        {
            throw new ImageFormatException($"the multiboot header at file offset 0x{Offset:x}: the flags 0x{unknown:x} require what this loader does not know");
        }
    }
}
