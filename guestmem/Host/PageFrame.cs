using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>What the host knows of one frame: its struct page, in 32 bytes where Linux has 64.</summary>
/// <remarks>
/// <code>
///  0          4          8          12    13     16         20        24         32
///  +----------+----------+----------+-----+------+----------+---------+----------+
///  | refcount | mapcount | pincount | order, flags          | mapping | index    |
///  +----------+----------+----------+-----+------+----------+---------+----------+
/// </code>
/// A tail of a compound page has its own mapcount and the number of its head in <see cref="Index"/>; everything else is the head's.
/// In a free block the first frame's <see cref="Index"/> links the list of free blocks.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
public struct PageFrame
{
    /// <summary>References; 0 means that nobody counts, or that the frame is free.</summary>
    public int RefCount;

    /// <summary>How many page-table entries of processes map it.</summary>
    public int MapCount;

    /// <summary>References of the FOLL_PIN kind, each counted in <see cref="RefCount"/> too.</summary>
    public int PinCount;

    /// <summary>The state.</summary>
    public FrameFlags Flags;

    /// <summary>log2 of the number of frames of the compound page or free block that begins here.</summary>
    public int Order;

    /// <summary>The number of the mapping (file, process) that owns the page; 0: none.</summary>
    public int Mapping;

    /// <summary>The page's place in its mapping; of a tail the number of its head.</summary>
    public ulong Index;

    /// <summary>Whether all of <paramref name="flags"/> are set.</summary>
    public readonly bool Has(FrameFlags flags) => (Flags & flags) == flags;
}
