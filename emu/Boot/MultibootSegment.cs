namespace Quadwalk.Emulation;

/// <summary>A part of a multiboot image.</summary>
/// <param name="Address">The guest-physical address of the first byte.</param>
/// <param name="MemorySize">The size in memory in bytes, never zero; what <paramref name="Contents"/> leaves over is zeros.</param>
/// <param name="Contents">The leading bytes: a window into the file.</param>
public sealed record MultibootSegment(uint Address, uint MemorySize, ReadOnlyMemory<byte> Contents)
{
    /// <summary>The address behind the last byte, at most 4 GiB.</summary>
    public ulong End => (ulong)Address + MemorySize;
}
