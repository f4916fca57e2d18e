using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A named address of a guest image.</summary>
/// <param name="Name">The name, safe to print.</param>
/// <param name="Address">The first byte.</param>
/// <param name="Size">The size in bytes, cut at the end of its segment; zero when the image does not say.</param>
/// <param name="IsFunction">Whether it names a function, rather than data or a label.</param>
public readonly record struct Symbol(string Name, Gva Address, ulong Size, bool IsFunction);
