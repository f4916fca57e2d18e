using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>VADDPS and its kin.</summary>
internal readonly struct FloatVex<TOperation, T> : IVexOperation<Vector128<T>, Vector128<T>>, IVexOperation<Vector256<T>, Vector256<T>>, IVexOperation<T, Vector128<T>>
    where TOperation : struct, IFloatOperation
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<T> b, out Vector128<T> result) =>
        FloatArithmetic<TOperation, T>.TryApply(ref cpu, vcpu, TOperation.IsUnary ? b : VexRegister.First<Vector128<T>>(ref cpu, ref op), b, out result);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<T> b, out Vector256<T> result) =>
        FloatArithmetic<TOperation, T>.TryApply(ref cpu, vcpu, TOperation.IsUnary ? b : VexRegister.First<Vector256<T>>(ref cpu, ref op), b, out result);

    /// <summary>The low lane; the others are the first source's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out Vector128<T> result)
    {
        Vector128<T> a = VexRegister.First<Vector128<T>>(ref cpu, ref op);
        bool done = FloatArithmetic<TOperation, T>.TryApply(ref cpu, vcpu, TOperation.IsUnary ? b : a.ToScalar(), b, out T low);
        result = a.WithElement(0, low);
        return done;
    }
}

/// <summary>VCMPPS and its kin.</summary>
internal readonly struct CompareVex<T> : IVexOperation<Vector128<T>, Vector128<T>>, IVexOperation<Vector256<T>, Vector256<T>>, IVexOperation<T, Vector128<T>>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<T> b, out Vector128<T> result)
    {
        Vector128<T> a = VexRegister.First<Vector128<T>>(ref cpu, ref op);
        if (FloatFastPath.IsOrdinary(a) && FloatFastPath.IsOrdinary(b))
        {
            int outcomes = FloatPredicate.Outcomes((int)op.Immediate & FloatPredicate.All);
            result = ((outcomes & 1) != 0 ? Vector128.LessThan(a, b) : default)
                | ((outcomes & 2) != 0 ? Vector128.Equals(a, b) : default)
                | ((outcomes & 4) != 0 ? Vector128.GreaterThan(a, b) : default);
            return true;
        }

        bool done = TryExactly(ref cpu, ref op, vcpu, a, b);
        result = CpuState.Result<Vector128<T>>(ref cpu);
        return done;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<T> b, out Vector256<T> result)
    {
        Vector256<T> a = VexRegister.First<Vector256<T>>(ref cpu, ref op);
        if (FloatFastPath.IsOrdinary(a) && FloatFastPath.IsOrdinary(b))
        {
            int outcomes = FloatPredicate.Outcomes((int)op.Immediate & FloatPredicate.All);
            result = ((outcomes & 1) != 0 ? Vector256.LessThan(a, b) : default)
                | ((outcomes & 2) != 0 ? Vector256.Equals(a, b) : default)
                | ((outcomes & 4) != 0 ? Vector256.GreaterThan(a, b) : default);
            return true;
        }

        bool done = TryExactly(ref cpu, ref op, vcpu, a, b);
        result = CpuState.Result<Vector256<T>>(ref cpu);
        return done;
    }

    /// <summary>The low lane; the others are the first source's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out Vector128<T> result)
    {
        Vector128<T> a = VexRegister.First<Vector128<T>>(ref cpu, ref op);
        bool done = TryExactly(ref cpu, ref op, vcpu, a.ToScalar(), b);
        result = a.WithElement(0, CpuState.Result<T>(ref cpu));
        return done;
    }

    /// <summary>Leaves the result in <see cref="CpuState.Result"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryExactly<TVector>(ref CpuState cpu, ref Op op, Vcpu vcpu, TVector a, TVector b)
        where TVector : unmanaged
    {
        FloatStatus status = new(cpu.Mxcsr);
        ref TVector result = ref CpuState.Result<TVector>(ref cpu);
        for (int i = 0; i < Lanes<TVector, T>.Count; i++)
        {
            ulong x = SoftFloat<T>.Bits(Lanes<TVector, T>.At(ref a, i)), y = SoftFloat<T>.Bits(Lanes<TVector, T>.At(ref b, i));
            bool holds = FloatPredicate.Test<T>(x, y, (int)op.Immediate & FloatPredicate.All, ref status);
            Lanes<TVector, T>.At(ref result, i) = SoftFloat<T>.Value(holds ? ulong.MaxValue : 0);
        }

        return status.Commit(ref cpu, vcpu);
    }
}

/// <summary>VCVTPS2PD and its kin: as many lanes as both have, the rest cleared.</summary>
internal readonly struct ConvertVex<TConversion, TFrom, TTo> :
    IVexOperation<Vector128<TFrom>, Vector128<TTo>>, IVexOperation<Vector256<TFrom>, Vector256<TTo>>, IVexOperation<ulong, Vector128<TTo>>,
    IVexOperation<Vector128<TFrom>, Vector256<TTo>>, IVexOperation<Vector256<TFrom>, Vector128<TTo>>
    where TConversion : struct, IConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<TFrom> b, out Vector128<TTo> result)
    {
        bool done = TryConvert<Vector128<TFrom>, Vector128<TTo>>(ref cpu, vcpu, b);
        result = CpuState.Result<Vector128<TTo>>(ref cpu);
        return done;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<TFrom> b, out Vector256<TTo> result)
    {
        bool done = TryConvert<Vector256<TFrom>, Vector256<TTo>>(ref cpu, vcpu, b);
        result = CpuState.Result<Vector256<TTo>>(ref cpu);
        return done;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong b, out Vector128<TTo> result)
    {
        bool done = TryConvert<ulong, Vector128<TTo>>(ref cpu, vcpu, b);
        result = CpuState.Result<Vector128<TTo>>(ref cpu);
        return done;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<TFrom> b, out Vector256<TTo> result)
    {
        bool done = TryConvert<Vector128<TFrom>, Vector256<TTo>>(ref cpu, vcpu, b);
        result = CpuState.Result<Vector256<TTo>>(ref cpu);
        return done;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<TFrom> b, out Vector128<TTo> result)
    {
        bool done = TryConvert<Vector256<TFrom>, Vector128<TTo>>(ref cpu, vcpu, b);
        result = CpuState.Result<Vector128<TTo>>(ref cpu);
        return done;
    }

    /// <summary>Leaves the result in <see cref="CpuState.Result"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryConvert<TSource, TResult>(ref CpuState cpu, Vcpu vcpu, TSource source)
        where TSource : unmanaged
        where TResult : unmanaged
    {
        FloatStatus status = new(cpu.Mxcsr);
        ref TResult result = ref CpuState.Result<TResult>(ref cpu);
        result = default;
        for (int i = 0; i < Math.Min(Lanes<TSource, TFrom>.Count, Lanes<TResult, TTo>.Count); i++)
        {
            Lanes<TResult, TTo>.At(ref result, i) = TConversion.Apply(Lanes<TSource, TFrom>.At(ref source, i), ref status);
        }

        return status.Flags == 0 || status.Commit(ref cpu, vcpu);
    }
}

/// <summary>VCVTSI2SD and its kin: the low lane; the others are the first source's.</summary>
internal readonly struct ConvertLowVex<TConversion, TFrom, TTo> : IVexOperation<TFrom, Vector128<TTo>>
    where TConversion : struct, IConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    /// <inheritdoc cref="IVexOperation{TFrom, TTo}.IsApart"/>
    public static bool IsApart => true;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, TFrom b, out Vector128<TTo> result)
    {
        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        result = VexRegister.First<Vector128<TTo>>(ref cpu, ref op).WithElement(0, TConversion.Apply(b, ref status));
        return status.Flags == 0 || status.Commit(ref cpu, vcpu);
    }
}

/// <summary>VRCPPS and VRSQRTPS.</summary>
internal readonly struct ReciprocalVex<TOperation> :
    IVexOperation<Vector128<float>, Vector128<float>>, IVexOperation<Vector256<float>, Vector256<float>>, IVexOperation<float, Vector128<float>>
    where TOperation : struct, IReciprocal
{
    /// <inheritdoc cref="IVexOperation{TFrom, TTo}.IsApart"/>
    public static bool IsApart => true;

    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<float> b, out Vector128<float> result)
    {
        result = Each(b);
        return true;
    }

    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<float> b, out Vector256<float> result)
    {
        result = Each(b);
        return true;
    }

    /// <summary>The low lane; the others are the first source's.</summary>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, float b, out Vector128<float> result)
    {
        result = VexRegister.First<Vector128<float>>(ref cpu, ref op).WithElement(0, ReciprocalLane.Apply<TOperation>(b));
        return true;
    }

    private static TVector Each<TVector>(TVector value)
        where TVector : unmanaged
    {
        for (int i = 0; i < Lanes<TVector, float>.Count; i++)
        {
            ref float lane = ref Lanes<TVector, float>.At(ref value, i);
            lane = ReciprocalLane.Apply<TOperation>(lane);
        }

        return value;
    }
}

/// <summary>VADDSUBPS, VHADDPD, VDPPS, VROUNDPS and their kin; in 256 bits on each half.</summary>
internal readonly struct CombinedVex<TOperation, T> : IVexOperation<Vector128<T>, Vector128<T>>, IVexOperation<Vector256<T>, Vector256<T>>
    where TOperation : struct, ICombinedFloat<T>
    where T : unmanaged
{
    /// <inheritdoc cref="IVexOperation{TFrom, TTo}.IsApart"/>
    public static bool IsApart => true;

    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<T> b, out Vector128<T> result)
    {
        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        result = TOperation.Apply(VexRegister.First<Vector128<T>>(ref cpu, ref op), b, (byte)op.Immediate, ref status);
        return status.Flags == 0 || status.Commit(ref cpu, vcpu);
    }

    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<T> b, out Vector256<T> result)
    {
        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        Vector256<T> a = VexRegister.First<Vector256<T>>(ref cpu, ref op);
        Vector128<T> lower = TOperation.Apply(a.GetLower(), b.GetLower(), (byte)op.Immediate, ref status);
        Vector128<T> upper = TOperation.Apply(a.GetUpper(), b.GetUpper(), (byte)op.Immediate, ref status);
        result = Vector256.Create(lower, upper);
        return status.Flags == 0 || status.Commit(ref cpu, vcpu);
    }
}

/// <summary>VROUNDSS and VROUNDSD: the low lane; the others are the first source's.</summary>
internal readonly struct RoundLowVex<T> : IVexOperation<T, Vector128<T>>
    where T : unmanaged
{
    /// <inheritdoc cref="IVexOperation{TFrom, TTo}.IsApart"/>
    public static bool IsApart => true;

    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out Vector128<T> result)
    {
        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        result = VexRegister.First<Vector128<T>>(ref cpu, ref op).WithElement(0, RoundControl.Apply(b, (byte)op.Immediate, ref status));
        return status.Flags == 0 || status.Commit(ref cpu, vcpu);
    }
}
