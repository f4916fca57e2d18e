using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>How the address of a memory operand is computed; the shape is known when the instruction is decoded.</summary>
internal interface IAddress
{
    /// <summary>The linear address.</summary>
    static abstract ulong Of(ref CpuState cpu, ref Op op);
}

/// <summary>Base and displacement; RIP-relative and absolute addresses too, whose base is the zero register.</summary>
internal readonly struct BaseDisplacement : IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ref CpuState cpu, ref Op op) => CpuState.At<ulong>(ref cpu, op.Base) + op.Displacement;
}

/// <summary>Base, scaled index and displacement.</summary>
internal readonly struct BaseIndex : IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ref CpuState cpu, ref Op op) =>
        CpuState.At<ulong>(ref cpu, op.Base) + (CpuState.At<ulong>(ref cpu, op.Index) << op.Scale) + op.Displacement;
}

/// <summary>Any form: 32-bit address size, FS and GS.</summary>
internal readonly struct AnyAddress : IAddress
{
    /// <inheritdoc/>
    public static ulong Of(ref CpuState cpu, ref Op op) => Offset(ref cpu, ref op) + SegmentBase(ref cpu, ref op);

    /// <summary>The effective address, before segmentation: what LEA computes.</summary>
    public static ulong Offset(ref CpuState cpu, ref Op op)
    {
        ulong offset = BaseIndex.Of(ref cpu, ref op);
        return (op.Flags & OpFlags.Address32) != 0 ? (uint)offset : offset;
    }

    /// <summary>In 64-bit mode only FS and GS have a base.</summary>
    public static ulong SegmentBase(ref CpuState cpu, ref Op op) =>
        op.Segment >= SegmentIndex.Fs ? cpu.Segments[op.Segment].Base : 0;
}
