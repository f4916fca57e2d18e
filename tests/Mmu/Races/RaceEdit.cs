namespace Quadwalk.Tests;

/// <summary>A store by another processor, atomic, just before the walker's access of this number.</summary>
/// <param name="At">The walker's access before which it happens, from 0.</param>
/// <param name="Address">The 8-byte word.</param>
/// <param name="Keep">The bits that stay.</param>
/// <param name="Set">The bits that become 1.</param>
/// <param name="Flip">The bits that change.</param>
internal readonly record struct RaceEdit(int At, ulong Address, ulong Keep = ulong.MaxValue, ulong Set = 0, ulong Flip = 0)
{
    public ulong Apply(ulong word) => ((word & Keep) | Set) ^ Flip;
}
