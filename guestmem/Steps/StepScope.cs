namespace Quadwalk.GuestMemory;

/// <summary>
/// Hands out the bits by which steps say what they read and change. There are 64; from the 65th thing on bits are shared, which costs a
/// search some of its shortcuts and none of its truth.
/// </summary>
public sealed class StepScope
{
    private int next;

    /// <summary>A bit for one more thing.</summary>
    public ulong Take() => 1UL << (next++ & 63);
}
