using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>A shift of every lane by the same count, which may be any number.</summary>
internal interface IPackedShift
{
    /// <summary>The lanes shifted.</summary>
    static abstract Vector128<byte> Apply(Vector128<byte> value, ulong count);

    /// <summary>The lanes shifted; a shift of whole vectors takes each half by itself.</summary>
    static abstract Vector256<byte> Apply(Vector256<byte> value, ulong count);
}

/// <summary>PSLLW, PSLLD, PSLLQ.</summary>
internal readonly unsafe struct PackedShiftLeft<T> : IPackedShift
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> value, ulong count) =>
        count >= (ulong)(8 * sizeof(T)) ? Vector128<byte>.Zero : (value.As<byte, T>() << (int)count).AsByte();

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Apply(Vector256<byte> value, ulong count) =>
        count >= (ulong)(8 * sizeof(T)) ? Vector256<byte>.Zero : (value.As<byte, T>() << (int)count).AsByte();
}

/// <summary>PSRLW, PSRLD, PSRLQ.</summary>
internal readonly unsafe struct PackedShiftRight<T> : IPackedShift
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> value, ulong count) =>
        count >= (ulong)(8 * sizeof(T)) ? Vector128<byte>.Zero : (value.As<byte, T>() >>> (int)count).AsByte();

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Apply(Vector256<byte> value, ulong count) =>
        count >= (ulong)(8 * sizeof(T)) ? Vector256<byte>.Zero : (value.As<byte, T>() >>> (int)count).AsByte();
}

/// <summary>PSRAW, PSRAD; <typeparamref name="T"/> is signed.</summary>
internal readonly unsafe struct PackedShiftArithmetic<T> : IPackedShift
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> value, ulong count) =>
        (value.As<byte, T>() >> (int)Math.Min(count, (ulong)((8 * sizeof(T)) - 1))).AsByte();

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Apply(Vector256<byte> value, ulong count) =>
        (value.As<byte, T>() >> (int)Math.Min(count, (ulong)((8 * sizeof(T)) - 1))).AsByte();
}

/// <summary>PSLLDQ.</summary>
internal readonly struct WholeShiftLeft : IPackedShift
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> value, ulong count) =>
        count >= 16 ? Vector128<byte>.Zero : Unsafe.BitCast<UInt128, Vector128<byte>>(Unsafe.BitCast<Vector128<byte>, UInt128>(value) << (8 * (int)count));

    /// <inheritdoc/>
    public static Vector256<byte> Apply(Vector256<byte> value, ulong count) =>
        Vector256.Create(Apply(value.GetLower(), count), Apply(value.GetUpper(), count));
}

/// <summary>PSRLDQ.</summary>
internal readonly struct WholeShiftRight : IPackedShift
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> value, ulong count) =>
        count >= 16 ? Vector128<byte>.Zero : Unsafe.BitCast<UInt128, Vector128<byte>>(Unsafe.BitCast<Vector128<byte>, UInt128>(value) >> (8 * (int)count));

    /// <inheritdoc/>
    public static Vector256<byte> Apply(Vector256<byte> value, ulong count) =>
        Vector256.Create(Apply(value.GetLower(), count), Apply(value.GetUpper(), count));
}

/// <summary>A shift by an immediate.</summary>
internal readonly struct ShiftByImmediate<TShift> : IInstruction
    where TShift : struct, IPackedShift
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ref Vector128<byte> value = ref CpuState.At<Vector128<byte>>(ref cpu, op.Dst);
        value = TShift.Apply(value, (byte)op.Immediate);
        return true;
    }
}

/// <summary>A shift by the low 64 bits of a vector.</summary>
internal readonly struct ShiftByVector<TShift> : ISseForm
    where TShift : struct, IPackedShift
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, Vector128<ulong>>(ref cpu, ref op, vcpu, out Vector128<ulong> count))
        {
            return false;
        }

        ref Vector128<byte> value = ref CpuState.At<Vector128<byte>>(ref cpu, op.Dst);
        value = TShift.Apply(value, count.ToScalar());
        return true;
    }
}
