using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>A range of linear addresses, both ends included, so that it can reach to the last one.</summary>
/// <param name="First">The first address.</param>
/// <param name="Last">The last address; not below <paramref name="First"/>.</param>
public readonly record struct GvaRange(Gva First, Gva Last)
{
    /// <summary>Every 64-bit number.</summary>
    public static GvaRange All => new(new Gva(0), new Gva(ulong.MaxValue));

    /// <summary>The size in bytes, less one.</summary>
    public ulong Span => Last.Value - First.Value;

    /// <summary>Whether an address lies in the range.</summary>
    public bool Contains(Gva address) => address.Value - First.Value <= Span;
}
