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

    /// <summary>Rounded to nearest.</summary>
    static abstract Vector256<T> Apply<T>(Vector256<T> a, Vector256<T> b)
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Apply<T>(Vector256<T> a, Vector256<T> b)
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Apply<T>(Vector256<T> a, Vector256<T> b)
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Apply<T>(Vector256<T> a, Vector256<T> b)
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Apply<T>(Vector256<T> a, Vector256<T> b)
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Apply<T>(Vector256<T> a, Vector256<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> => Vector256.Sqrt(b);

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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Apply<T>(Vector256<T> a, Vector256<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        Vector256.ConditionalSelect(Vector256.LessThan(a, b), a, b);

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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Apply<T>(Vector256<T> a, Vector256<T> b)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        Vector256.ConditionalSelect(Vector256.GreaterThan(a, b), a, b);

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

    /// <summary>Whether every lane is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsOrdinary<T>(Vector256<T> value)
        where T : unmanaged => Others(value) == Vector256<byte>.Zero;

    /// <summary>Whether every lane of both is; one test for both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreOrdinary<T>(Vector256<T> a, Vector256<T> b)
        where T : unmanaged => (Others(a) | Others(b)) == Vector256<byte>.Zero;

    /// <summary>Whether every lane of the three is; one test for all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreOrdinary<T>(Vector256<T> a, Vector256<T> b, Vector256<T> c)
        where T : unmanaged => (Others(a) | Others(b) | Others(c)) == Vector256<byte>.Zero;

    /// <summary>Ones in the lanes that are not ordinary.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Others<T>(Vector256<T> value)
        where T : unmanaged => sizeof(T) == sizeof(float)
            ? Vector256.Equals((value.AsUInt32() + Vector256.Create(2u << 23)) & Vector256.Create(0xFCu << 23), Vector256<uint>.Zero).AsByte()
            : Vector256.Equals((value.AsUInt64() + Vector256.Create(2UL << 52)) & Vector256.Create(0x7FCUL << 52), Vector256<ulong>.Zero).AsByte();
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

/// <summary>An operation on numbers and on vectors of them, with the host's arithmetic where it agrees.</summary>
internal static class FloatArithmetic<TOperation, T>
    where TOperation : struct, IFloatOperation
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <summary>One number; <see langword="false"/> when it raised an exception.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, Vcpu vcpu, T a, T b, out T result)
    {
        if (FloatFastPath.IsOrdinary(b) && (TOperation.IsUnary || FloatFastPath.IsOrdinary(a)) && (TOperation.IsExact || FloatFastPath.IsOpen(cpu.Mxcsr)))
        {
            result = TOperation.Apply(a, b);
            if (TOperation.IsExact || FloatFastPath.IsOrdinary(result))
            {
                return true;
            }
        }

        bool done = TryExactly(ref cpu, vcpu, a, b);
        result = CpuState.Result<T>(ref cpu);
        return done;
    }

    /// <summary>Every lane; <see langword="false"/> when one raised an exception.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, Vcpu vcpu, Vector128<T> a, Vector128<T> b, out Vector128<T> result)
    {
        if (FloatFastPath.IsOrdinary(b) && (TOperation.IsUnary || FloatFastPath.IsOrdinary(a)) && (TOperation.IsExact || FloatFastPath.IsOpen(cpu.Mxcsr)))
        {
            result = TOperation.Apply(a, b);
            if (TOperation.IsExact || FloatFastPath.IsOrdinary(result))
            {
                return true;
            }
        }

        bool done = TryExactly(ref cpu, vcpu, a, b);
        result = CpuState.Result<Vector128<T>>(ref cpu);
        return done;
    }

    /// <summary>Every lane; <see langword="false"/> when one raised an exception.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, Vcpu vcpu, Vector256<T> a, Vector256<T> b, out Vector256<T> result)
    {
        if ((TOperation.IsUnary ? FloatFastPath.IsOrdinary(b) : FloatFastPath.AreOrdinary(a, b)) && (TOperation.IsExact || FloatFastPath.IsOpen(cpu.Mxcsr)))
        {
            result = TOperation.Apply(a, b);
            if (TOperation.IsExact || FloatFastPath.IsOrdinary(result))
            {
                return true;
            }
        }

        bool done = TryExactly(ref cpu, vcpu, a, b);
        result = CpuState.Result<Vector256<T>>(ref cpu);
        return done;
    }

    /// <summary>Leaves the result in <see cref="CpuState.Result"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryExactly<TVector>(ref CpuState cpu, Vcpu vcpu, TVector a, TVector b)
        where TVector : unmanaged
    {
        FloatStatus status = new(cpu.Mxcsr);
        ref TVector result = ref CpuState.Result<TVector>(ref cpu);
        for (int i = 0; i < Lanes<TVector, T>.Count; i++)
        {
            Lanes<TVector, T>.At(ref result, i) = FloatLane<TOperation, T>.Apply(Lanes<TVector, T>.At(ref a, i), Lanes<TVector, T>.At(ref b, i), ref status);
        }

        return status.Commit(ref cpu, vcpu);
    }
}

/// <summary>The elements of a vector, or of a single number, of whatever width.</summary>
internal static unsafe class Lanes<TVector, T>
    where TVector : unmanaged
    where T : unmanaged
{
    /// <summary>How many there are.</summary>
    public static int Count => sizeof(TVector) / sizeof(T);

    /// <summary>One of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref T At(ref TVector vector, int index) => ref Unsafe.Add(ref Unsafe.As<TVector, T>(ref vector), index);
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
        if (!TSource.TryGet<TPort, T>(ref cpu, ref op, vcpu, out T b)
            || !FloatArithmetic<TOperation, T>.TryApply(ref cpu, vcpu, TOperation.IsUnary ? b : CpuState.At<T>(ref cpu, op.Dst), b, out T result))
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
        if (!FloatArithmetic<TOperation, T>.TryApply(ref cpu, vcpu, a, b, out Vector128<T> result))
        {
            return false;
        }

        CpuState.At<Vector128<T>>(ref cpu, op.Dst) = result;
        return true;
    }
}
