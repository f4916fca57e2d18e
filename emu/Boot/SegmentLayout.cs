using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>The rules that the segments of every image obey.</summary>
internal static class SegmentLayout
{
    /// <summary>Rejects a range of one or more bytes that wraps, or leaves its half of the 48-bit canonical space.</summary>
    public static void RequireCanonical(Gva address, ulong size, string what)
    {
        ulong last = address.Value + (size - 1);
        if (last < address.Value || !IsCanonical(address.Value) || !IsCanonical(last) || address.Value >> 47 != last >> 47)
        {
            throw new ImageFormatException(
                $"{what}: address {address} with size 0x{size:x} wraps or is not canonical in 48 bits: link it at another address");
        }
    }

    /// <summary>Checks segments that are sorted by address, each of them canonical, against each other and the RAM.</summary>
    public static void Check(ReadOnlySpan<ImageSegment> sorted, ulong ramBytes)
    {
        ulong free = ramBytes & ~PageSize.Mask4K;
        for (int i = 0; i < sorted.Length; i++)
        {
            ImageSegment segment = sorted[i];
            ulong firstPage = segment.Address.Value & ~PageSize.Mask4K;
            ulong bytes = (segment.Last.Value & ~PageSize.Mask4K) - firstPage + PageSize.Size4K;
            if (i > 0 && SharesPage(sorted[i - 1], segment))
            {
                bytes -= PageSize.Size4K;
            }

            if (bytes > free)
            {
                throw new ImageFormatException(
                    $"the segment at {segment.Address} of 0x{segment.MemorySize:x} bytes does not fit in the RAM of 0x{ramBytes:x} bytes: give the machine more memory");
            }

            free -= bytes;
        }
    }

    /// <summary>Rejects an entry that lies in no executable segment.</summary>
    public static void RequireEntry(ReadOnlySpan<ImageSegment> segments, Gva entry)
    {
        foreach (ImageSegment segment in segments)
        {
            if (segment.Contains(entry) && (segment.Rights & SegmentRights.Execute) != 0)
            {
                return;
            }
        }

        throw new ImageFormatException($"the entry {entry} lies in no executable segment: give the linker an entry symbol in .text");
    }

    private static bool SharesPage(ImageSegment lower, ImageSegment upper)
    {
        if (upper.Address.Value <= lower.Last.Value)
        {
            throw new ImageFormatException(
                $"the segments at {lower.Address} (ending at {lower.Last}) and {upper.Address} overlap: relink the image");
        }

        return (upper.Address.Value & ~PageSize.Mask4K) <= lower.Last.Value;
    }

    private static bool IsCanonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;
}
