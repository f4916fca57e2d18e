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

/// <summary>Any form: 16- and 32-bit address size, FS and GS, and every segment outside 64-bit mode.</summary>
internal readonly struct AnyAddress : IAddress
{
    private const OpFlags Usual = OpFlags.Segmented | OpFlags.Address32;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ref CpuState cpu, ref Op op) =>
        (op.Flags & Usual) == Usual ? SegmentedAddress.Of(op.Segment, (uint)BaseIndex.Of(ref cpu, ref op)) : OfOther(ref cpu, ref op);

    /// <summary>The effective address, before segmentation: what LEA computes.</summary>
    public static ulong Offset(ref CpuState cpu, ref Op op) => Masked(ref op, BaseIndex.Of(ref cpu, ref op));

    /// <summary>The address of an offset in the operation's segment, as a port takes it; in 64-bit mode only FS and GS have a base.</summary>
    public static ulong At(ref CpuState cpu, ref Op op, ulong offset)
    {
        if ((op.Flags & OpFlags.Segmented) != 0)
        {
            return SegmentedAddress.Of(op.Segment, (uint)offset);
        }

        return op.Segment >= SegmentIndex.Fs ? offset + cpu.Segments[op.Segment].Base : offset;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong OfOther(ref CpuState cpu, ref Op op) => At(ref cpu, ref op, Offset(ref cpu, ref op));

    /// <summary>An effective address, or a register that counts or indexes, as the address size sees it.</summary>
    public static ulong Masked(ref Op op, ulong value) =>
        (op.Flags & (OpFlags.Address32 | OpFlags.Address16)) == 0 ? value
        : (op.Flags & OpFlags.Address32) != 0 ? (uint)value
        : (ushort)value;

    /// <summary>Writes a register that counts or indexes, as the address size sees it: 16 bits leave the others alone.</summary>
    public static void Store(ref CpuState cpu, ref Op op, int register, ulong value) =>
        cpu.Gpr[register] = (op.Flags & OpFlags.Address16) != 0 ? (cpu.Gpr[register] & ~(ulong)ushort.MaxValue) | (ushort)value : Masked(ref op, value);
}
