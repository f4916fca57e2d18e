using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>A segment register with its hidden part (SDM Vol. 3A, 3.4.3).</summary>
[SuppressMessage("Design", "CA1051:Do not declare visible instance fields", Justification = "A record of machine words.")]
public struct SegmentRegister
{
    /// <summary>The base; in 64-bit mode only that of FS, GS, LDTR and TR counts.</summary>
    public ulong Base;

    /// <summary>The limit in bytes, scaled by G.</summary>
    public uint Limit;

    /// <summary>Bits 8 to 23 of the descriptor's upper half, as they stand there: type, S, DPL, P, AVL, L, D/B, G.</summary>
    public uint Attributes;

    /// <summary>The selector.</summary>
    public ushort Selector;
}

/// <summary>ES, CS, SS, DS, FS and GS in encoding order.</summary>
[InlineArray(6)]
public struct SegmentRegisters
{
    private SegmentRegister first;
}

/// <summary>Indices into <see cref="SegmentRegisters"/>.</summary>
public static class SegmentIndex
{
    /// <summary>ES.</summary>
    public const int Es = 0;

    /// <summary>CS.</summary>
    public const int Cs = 1;

    /// <summary>SS.</summary>
    public const int Ss = 2;

    /// <summary>DS.</summary>
    public const int Ds = 3;

    /// <summary>FS.</summary>
    public const int Fs = 4;

    /// <summary>GS.</summary>
    public const int Gs = 5;
}

/// <summary>GDTR or IDTR.</summary>
[SuppressMessage("Design", "CA1051:Do not declare visible instance fields", Justification = "A record of machine words.")]
public struct DescriptorTableRegister
{
    /// <summary>The linear address of the table.</summary>
    public ulong Base;

    /// <summary>The offset of the table's last byte.</summary>
    public ushort Limit;
}

/// <summary>Bits of a segment descriptor's upper 32 bits (SDM Vol. 3A, figure 3-8).</summary>
public static class DescriptorBits
{
    /// <summary>A: accessed.</summary>
    public const uint Accessed = 1 << 8;

    /// <summary>W of a data segment, R of a code segment.</summary>
    public const uint WritableOrReadable = 1 << 9;

    /// <summary>C of a code segment, E of a data segment.</summary>
    public const uint ConformingOrExpandDown = 1 << 10;

    /// <summary>Code rather than data.</summary>
    public const uint Code = 1 << 11;

    /// <summary>S: code or data rather than system.</summary>
    public const uint CodeOrData = 1 << 12;

    /// <summary>The position of DPL.</summary>
    public const int DplShift = 13;

    /// <summary>P: present.</summary>
    public const uint Present = 1 << 15;

    /// <summary>L: 64-bit code.</summary>
    public const uint Code64 = 1 << 21;

    /// <summary>D/B: 32-bit operands by default.</summary>
    public const uint Default32 = 1 << 22;

    /// <summary>G: the limit counts 4 KiB units.</summary>
    public const uint Granularity = 1 << 23;

    /// <summary>The bits that <see cref="SegmentRegister.Attributes"/> keeps.</summary>
    public const uint Kept = 0x00F0_FF00;
}
