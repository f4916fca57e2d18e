using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Bare bytes placed at an address, readable, writable and executable.</summary>
public sealed class FlatImage : GuestImage
{
    private FlatImage(Gva entry, IReadOnlyList<ImageSegment> segments, int ring)
        : base(entry, segments, ring, SymbolTable.Empty)
    {
    }

    /// <summary>Makes an image of <paramref name="bytes"/>, which must not change while the image is in use.</summary>
    /// <param name="bytes">The contents.</param>
    /// <param name="address">Where the first byte goes.</param>
    /// <param name="ramBytes">The RAM the image must fit in.</param>
    /// <param name="entry">The first instruction; the first byte when null.</param>
    /// <param name="ring">The privilege level to start in: 0 or 3.</param>
    /// <exception cref="ImageFormatException">The image is empty, does not fit, or does not hold its entry.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="ring"/> is neither 0 nor 3.</exception>
    public static FlatImage Create(ReadOnlyMemory<byte> bytes, Gva address, ulong ramBytes, Gva? entry = null, int ring = 0)
    {
        if (ring is not (0 or 3))
        {
            throw new ArgumentOutOfRangeException(nameof(ring), ring, "a flat image starts in ring 0 or 3");
        }

        if (bytes.IsEmpty)
        {
            throw new ImageFormatException("the flat image is empty: give a file with at least one byte");
        }

        var segment = new ImageSegment(
            address, (ulong)bytes.Length, bytes, SegmentRights.Read | SegmentRights.Write | SegmentRights.Execute);
        SegmentLayout.RequireCanonical(segment.Address, segment.MemorySize, "the flat image");
        ImageSegment[] segments = [segment];
        SegmentLayout.Check(segments, ramBytes);
        Gva start = entry ?? address;
        SegmentLayout.RequireEntry(segments, start);
        return new FlatImage(start, segments, ring);
    }
}
