namespace Quadwalk.Tests;

/// <summary>Descriptors as the SDM draws them (Vol. 3A, figures 3-8, 6-8, 7-2 and 9-3).</summary>
internal static class LegacyDescriptor
{
    public const int Code = 0x9B;
    public const int ConformingCode = 0x9F;
    public const int ExecuteOnly = 0x99;
    public const int Data = 0x93;
    public const int ReadOnly = 0x91;
    public const int ExpandDown = 0x97;
    public const int Ring1 = 1 << 5;
    public const int Ring2 = 2 << 5;
    public const int Ring3 = 3 << 5;
    public const int Absent = 0x80;

    public const int Ldt = 0x82;
    public const int Tss16 = 0x81;
    public const int Tss32 = 0x89;
    public const int Busy = 2;
    public const int CallGate16 = 0x84;
    public const int CallGate32 = 0x8C;
    public const int TaskGate = 0x85;
    public const int Interrupt16 = 0x86;
    public const int Trap16 = 0x87;
    public const int Interrupt32 = 0x8E;
    public const int Trap32 = 0x8F;

    public const int Big = 4;
    public const int Long = 2;
    public const int Pages = 8;

    /// <summary>A segment, an LDT or a TSS.</summary>
    /// <param name="start">The base.</param>
    /// <param name="limit">The 20 bits of the limit.</param>
    /// <param name="access">P, DPL, S and type.</param>
    /// <param name="flags">G, D or B, L and AVL.</param>
    public static ulong Segment(uint start, uint limit, int access, int flags = 0) =>
        (limit & 0xFFFF) | ((ulong)(start & 0xFF_FFFF) << 16) | ((ulong)(uint)access << 40)
        | ((ulong)(limit >> 16 & 0xF) << 48) | ((ulong)(uint)flags << 52) | ((ulong)(start >> 24) << 56);

    /// <summary>A gate.</summary>
    public static ulong Gate(ushort selector, uint offset, int access, int parameters = 0) =>
        (offset & 0xFFFF) | ((ulong)selector << 16) | ((ulong)(uint)parameters << 32) | ((ulong)(uint)access << 40) | ((ulong)(offset >> 16) << 48);
}
