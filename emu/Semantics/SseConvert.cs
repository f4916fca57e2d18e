using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>One number converted to one of another type.</summary>
internal interface IConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    /// <summary>Converts as MXCSR says.</summary>
    static abstract TTo Apply(TFrom value, ref FloatStatus status);
}

/// <summary>To the other floating-point format.</summary>
internal readonly struct FormatConversion<TFrom, TTo> : IConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    /// <inheritdoc/>
    public static unsafe TTo Apply(TFrom value, ref FloatStatus status)
    {
        if (sizeof(TFrom) == sizeof(float) && FloatFastPath.IsOrdinary(value))
        {
            return Unsafe.BitCast<double, TTo>(Unsafe.BitCast<TFrom, float>(value));
        }

        if (sizeof(TFrom) == sizeof(double) && FloatFastPath.IsOrdinary(value) && status.IsFastPathOpen)
        {
            float narrow = (float)Unsafe.BitCast<TFrom, double>(value);
            if (FloatFastPath.IsOrdinary(narrow))
            {
                return Unsafe.BitCast<float, TTo>(narrow);
            }
        }

        return SoftFloat<TTo>.Value(SoftFloat<TTo>.FromFormat<TFrom>(SoftFloat<TFrom>.Bits(value), ref status));
    }
}

/// <summary>From a 32-bit or 64-bit integer.</summary>
internal readonly struct FromIntegerConversion<TFrom, TTo> : IConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    private const double ExactlyDouble = 1L << 53;

    /// <inheritdoc/>
    public static unsafe TTo Apply(TFrom value, ref FloatStatus status)
    {
        long integer = sizeof(TFrom) == sizeof(int) ? Unsafe.BitCast<TFrom, int>(value) : Unsafe.BitCast<TFrom, long>(value);
        if (sizeof(TTo) == sizeof(double) && (double)integer is double wide && (sizeof(TFrom) == sizeof(int) || Math.Abs(wide) < ExactlyDouble))
        {
            return Unsafe.BitCast<double, TTo>(wide);
        }

        return SoftFloat<TTo>.Value(SoftFloat<TTo>.FromInteger(integer, ref status));
    }
}

/// <summary>To a 32-bit or 64-bit integer, truncated or rounded.</summary>
internal readonly struct ToIntegerConversion<TFrom, TTo, TTruncates> : IConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
    where TTruncates : struct, IFlag
{
    /// <inheritdoc/>
    public static unsafe TTo Apply(TFrom value, ref FloatStatus status)
    {
        RoundingMode mode = TTruncates.Value ? RoundingMode.Zero : status.Rounding;
        long integer = SoftFloat<TFrom>.ToInteger(SoftFloat<TFrom>.Bits(value), 8 * sizeof(TTo), mode, ref status);
        return sizeof(TTo) == sizeof(int) ? Unsafe.BitCast<int, TTo>((int)integer) : Unsafe.BitCast<long, TTo>(integer);
    }
}

/// <summary>CVTSS2SD, CVTSI2SD and the like: into the low lane of a vector register.</summary>
internal readonly struct ScalarConvert<TFrom, TTo, TConversion> : ISseForm
    where TFrom : unmanaged
    where TTo : unmanaged
    where TConversion : struct, IConversion<TFrom, TTo>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, TFrom>(ref cpu, ref op, vcpu, out TFrom value))
        {
            return false;
        }

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        TTo result = TConversion.Apply(value, ref status);
        if (status.Flags != 0 && !status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<TTo>(ref cpu, op.Dst) = result;
        return true;
    }
}

/// <summary>CVTSD2SI and the like: into a general register.</summary>
internal readonly struct ScalarConvertToGeneral<TFrom, TTo, TConversion> : ISseForm
    where TFrom : unmanaged
    where TTo : unmanaged
    where TConversion : struct, IConversion<TFrom, TTo>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, TFrom>(ref cpu, ref op, vcpu, out TFrom value))
        {
            return false;
        }

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        TTo result = TConversion.Apply(value, ref status);
        if (status.Flags != 0 && !status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.Set(ref cpu, op.Dst, result);
        return true;
    }
}

/// <summary>
/// CVTPS2PD, CVTPD2DQ and the like: the lower lanes of one into the lower lanes of the other, the rest cleared. A source narrower
/// than the result is 8 bytes of memory.
/// </summary>
internal readonly struct PackedConvert<TFrom, TTo, TConversion> : ISseForm
    where TFrom : unmanaged
    where TTo : unmanaged
    where TConversion : struct, IConversion<TFrom, TTo>
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        Vector128<TFrom> source;
        if (sizeof(TFrom) < sizeof(TTo))
        {
            if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong half))
            {
                return false;
            }

            source = Vector128.CreateScalar(half).As<ulong, TFrom>();
        }
        else if (!TSource.TryGet<TPort, Vector128<TFrom>>(ref cpu, ref op, vcpu, out source))
        {
            return false;
        }

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        Vector128<TTo> result = default;
        for (int i = 0; i < Math.Min(Vector128<TFrom>.Count, Vector128<TTo>.Count); i++)
        {
            result = result.WithElement(i, TConversion.Apply(source[i], ref status));
        }

        if (status.Flags != 0 && !status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<Vector128<TTo>>(ref cpu, op.Dst) = result;
        return true;
    }
}
