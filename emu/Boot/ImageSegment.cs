using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A contiguous part of a guest image.</summary>
/// <param name="Address">The guest-virtual address of the first byte; it need not be page aligned.</param>
/// <param name="MemorySize">The size in memory, in bytes, never zero; what <paramref name="Contents"/> leaves over is zeros.</param>
/// <param name="Contents">The leading bytes: a window into the file that was parsed, at most <paramref name="MemorySize"/> long.</param>
/// <param name="Rights">The rights asked for.</param>
public sealed record ImageSegment(Gva Address, ulong MemorySize, ReadOnlyMemory<byte> Contents, SegmentRights Rights)
{
    /// <summary>The address of the last byte.</summary>
    public Gva Last => new(Address.Value + (MemorySize - 1));

    /// <summary>Whether <paramref name="address"/> lies in this segment.</summary>
    public bool Contains(Gva address) => address.Value - Address.Value < MemorySize;
}
