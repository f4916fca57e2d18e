namespace Quadwalk.Tests;

/// <summary>Segment descriptors by their access byte (P, DPL, S and type) and the flags above the limit (G, D, L and AVL).</summary>
internal static class SegmentDescriptors
{
    public const int Code64 = 0xA;
    public const int Code64AndDefault32 = 0xE;
    public const int Default32 = 0xC;

    /// <summary>A flat segment of 4 GiB at 0.</summary>
    public static ulong Of(int access, int flags) => 0xFFFF | ((ulong)access << 40) | (0xFUL << 48) | ((ulong)flags << 52);
}
