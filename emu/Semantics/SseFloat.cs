using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>An arithmetic operation on numbers of one format, on the host's arithmetic and exactly.</summary>
internal interface IFloatOperation
{
    /// <summary>Whether it has one operand, the source.</summary>
    static abstract bool IsUnary { get; }

    /// <summary>Whether it never rounds.</summary>
    static abstract bool IsExact { get; }

    /// <summary>Rounded to nearest.</summary>
    static abstract T Apply<T>(T a, T b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>;

    /// <summary>Rounded to nearest.</summary>
    static abstract Vector128<T> Apply<T>(Vector128<T> a, Vector128<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>;

    /// <summary>As MXCSR says.</summary>
    static abstract ulong Apply<T>(ulong a, ulong b, ref FloatStatus status)
        where T : unmanaged;
}

internal readonly struct FloatAdd : IFloatOperation
{
    public static bool IsUnary => false;

    public static bool IsExact => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T a, T b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Apply<T>(Vector128<T> a, Vector128<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a + b;

    public static ulong Apply<T>(ulong a, ulong b, ref FloatStatus status)
        where T : unmanaged => SoftFloat<T>.Add(a, b, ref status);
}

internal readonly struct FloatSubtract : IFloatOperation
{
    public static bool IsUnary => false;

    public static bool IsExact => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T a, T b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Apply<T>(Vector128<T> a, Vector128<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a - b;

    public static ulong Apply<T>(ulong a, ulong b, ref FloatStatus status)
        where T : unmanaged => SoftFloat<T>.Subtract(a, b, ref status);
}

internal readonly struct FloatMultiply : IFloatOperation
{
    public static bool IsUnary => false;

    public static bool IsExact => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T a, T b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Apply<T>(Vector128<T> a, Vector128<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a * b;

    public static ulong Apply<T>(ulong a, ulong b, ref FloatStatus status)
        where T : unmanaged => SoftFloat<T>.Multiply(a, b, ref status);
}

internal readonly struct FloatDivide : IFloatOperation
{
    public static bool IsUnary => false;

    public static bool IsExact => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T a, T b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Apply<T>(Vector128<T> a, Vector128<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a / b;

    public static ulong Apply<T>(ulong a, ulong b, ref FloatStatus status)
        where T : unmanaged => SoftFloat<T>.Divide(a, b, ref status);
}

internal readonly struct FloatSquareRoot : IFloatOperation
{
    public static bool IsUnary => true;

    public static bool IsExact => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T a, T b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => T.Sqrt(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Apply<T>(Vector128<T> a, Vector128<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => Vector128.Sqrt(b);

    public static ulong Apply<T>(ulong a, ulong b, ref FloatStatus status)
        where T : unmanaged => SoftFloat<T>.SquareRoot(b, ref status);
}

internal readonly struct FloatMinimum : IFloatOperation
{
    public static bool IsUnary => false;

    public static bool IsExact => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T a, T b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a < b ? a : b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Apply<T>(Vector128<T> a, Vector128<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        Vector128.ConditionalSelect(Vector128.LessThan(a, b), a, b);

    public static ulong Apply<T>(ulong a, ulong b, ref FloatStatus status)
        where T : unmanaged => SoftFloat<T>.Minimum(a, b, ref status);
}

internal readonly struct FloatMaximum : IFloatOperation
{
    public static bool IsUnary => false;

    public static bool IsExact => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T a, T b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => a > b ? a : b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> Apply<T>(Vector128<T> a, Vector128<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        Vector128.ConditionalSelect(Vector128.GreaterThan(a, b), a, b);

    public static ulong Apply<T>(ulong a, ulong b, ref FloatStatus status)
        where T : unmanaged => SoftFloat<T>.Maximum(a, b, ref status);
}

/// <summary>
/// When the host's arithmetic gives what the guest's processor would, flags included: MXCSR rounds to nearest with everything masked
/// and PE already set, and operands and result are ordinary numbers, from which nothing but PE can follow.
/// </summary>
internal static unsafe class FloatFastPath
{
    private const uint Examined = Mxcsr.Control & ~(Mxcsr.DAZ | Mxcsr.FTZ) | Mxcsr.PE;
    private const uint Wanted = SseState.MxcsrDefault | Mxcsr.PE;

    /// <summary>Whether MXCSR allows it. DAZ and FTZ change nothing for ordinary numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsOpen(uint mxcsr) => (mxcsr & Examined) == Wanted;

    /// <summary>Neither zero, denormal, infinite nor NaN, and not at either end of the range of exponents.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsOrdinary<T>(T value)
        where T : unmanaged => sizeof(T) == sizeof(float)
            ? ((Unsafe.BitCast<T, uint>(value) + (2u << 23)) & (0xFCu << 23)) != 0
            : ((Unsafe.BitCast<T, ulong>(value) + (2UL << 52)) & (0x7FCUL << 52)) != 0;

    /// <summary>Plus or minus zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsZero<T>(T value)
        where T : unmanaged => sizeof(T) == sizeof(float)
            ? Unsafe.BitCast<T, uint>(value) << 1 == 0
            : Unsafe.BitCast<T, ulong>(value) << 1 == 0;

    /// <summary>Ordinary or zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPlain<T>(T value)
        where T : unmanaged => IsOrdinary(value) || IsZero(value);

    /// <summary>Whether every lane is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsOrdinary<T>(Vector128<T> value)
        where T : unmanaged => sizeof(T) == sizeof(float)
            ? !Vector128.EqualsAny((value.AsUInt32() + Vector128.Create(2u << 23)) & Vector128.Create(0xFCu << 23), Vector128<uint>.Zero)
            : !Vector128.EqualsAny((value.AsUInt64() + Vector128.Create(2UL << 52)) & Vector128.Create(0x7FCUL << 52), Vector128<ulong>.Zero);
}

/// <summary>One lane off the fastest path.</summary>
internal static class FloatLane<TOperation, T>
    where TOperation : struct, IFloatOperation
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>The result: by the host where zeros take part, which are exact too, else in software.</summary>
    public static T Apply(T a, T b, ref FloatStatus status)
    {
        if (status.IsFastPathOpen && FloatFastPath.IsPlain(a) && FloatFastPath.IsPlain(b))
        {
            T result = TOperation.Apply(a, b);
            bool exactZero = FloatFastPath.IsZero(result) && (FloatFastPath.IsZero(a) || FloatFastPath.IsZero(b));
            if (exactZero || FloatFastPath.IsOrdinary(result))
            {
                return result;
            }
        }

        return SoftFloat<T>.Value(TOperation.Apply<T>(SoftFloat<T>.Bits(a), SoftFloat<T>.Bits(b), ref status));
    }
}

/// <summary>ADDSD and its kin: the low lane.</summary>
internal readonly struct ScalarFloat<TOperation, T> : ISseForm
    where TOperation : struct, IFloatOperation
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, T>(ref cpu, ref op, vcpu, out T b))
        {
            return false;
        }

        T a = TOperation.IsUnary ? b : CpuState.At<T>(ref cpu, op.Dst);
        if (FloatFastPath.IsOrdinary(b) && (TOperation.IsUnary || FloatFastPath.IsOrdinary(a)) && (TOperation.IsExact || FloatFastPath.IsOpen(cpu.Mxcsr)))
        {
            T result = TOperation.Apply(a, b);
            if (TOperation.IsExact || FloatFastPath.IsOrdinary(result))
            {
                CpuState.At<T>(ref cpu, op.Dst) = result;
                return true;
            }
        }

        return Exact(ref cpu, ref op, vcpu, a, b);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Exact(ref CpuState cpu, ref Op op, Vcpu vcpu, T a, T b)
    {
        FloatStatus status = new(cpu.Mxcsr);
        T result = FloatLane<TOperation, T>.Apply(a, b, ref status);
        if (!status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<T>(ref cpu, op.Dst) = result;
        return true;
    }
}

/// <summary>ADDPD and its kin: every lane.</summary>
internal readonly struct PackedFloat<TOperation, T> : ISseForm
    where TOperation : struct, IFloatOperation
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, Vector128<T>>(ref cpu, ref op, vcpu, out Vector128<T> b))
        {
            return false;
        }

        Vector128<T> a = TOperation.IsUnary ? b : CpuState.At<Vector128<T>>(ref cpu, op.Dst);
        if (FloatFastPath.IsOrdinary(b) && (TOperation.IsUnary || FloatFastPath.IsOrdinary(a)) && (TOperation.IsExact || FloatFastPath.IsOpen(cpu.Mxcsr)))
        {
            Vector128<T> result = TOperation.Apply(a, b);
            if (TOperation.IsExact || FloatFastPath.IsOrdinary(result))
            {
                CpuState.At<Vector128<T>>(ref cpu, op.Dst) = result;
                return true;
            }
        }

        return Exact(ref cpu, ref op, vcpu, a, b);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Exact(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<T> a, Vector128<T> b)
    {
        FloatStatus status = new(cpu.Mxcsr);
        Vector128<T> result = default;
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            result = result.WithElement(i, FloatLane<TOperation, T>.Apply(a[i], b[i], ref status));
        }

        if (!status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<Vector128<T>>(ref cpu, op.Dst) = result;
        return true;
    }
}
