using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>An operation on vectors of numbers that is not the same for every lane, or takes an immediate.</summary>
internal interface ICombinedFloat<T>
    where T : unmanaged
{
    /// <summary>The result, as MXCSR says.</summary>
    static abstract Vector128<T> Apply(Vector128<T> a, Vector128<T> b, int control, ref FloatStatus status);
}

/// <summary>ADDSUBPS, HADDPS, DPPS, ROUNDPS and their kin.</summary>
internal readonly struct CombinedFloat<TOperation, T> : ISseForm
    where TOperation : struct, ICombinedFloat<T>
    where T : unmanaged
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, Vector128<T>>(ref cpu, ref op, vcpu, out Vector128<T> b))
        {
            return false;
        }

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        ref Vector128<T> a = ref CpuState.At<Vector128<T>>(ref cpu, op.Dst);
        Vector128<T> result = TOperation.Apply(a, b, (int)op.Immediate, ref status);
        if (status.Flags != 0 && !status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        a = result;
        return true;
    }
}

/// <summary>ADDSUBPS, ADDSUBPD: differences in the lanes of even number, sums in the others.</summary>
internal readonly struct AddAndSubtract<T> : ICombinedFloat<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    public static Vector128<T> Apply(Vector128<T> a, Vector128<T> b, int control, ref FloatStatus status)
    {
        Vector128<T> result = default;
        for (int i = 0; i < Vector128<T>.Count; i += 2)
        {
            result = result.WithElement(i, FloatLane<FloatSubtract, T>.Apply(a[i], b[i], ref status));
            result = result.WithElement(i + 1, FloatLane<FloatAdd, T>.Apply(a[i + 1], b[i + 1], ref status));
        }

        return result;
    }
}

/// <summary>HADDPS, HSUBPD and their kin: neighbouring lanes of the first operand, then of the second.</summary>
internal readonly struct HorizontalFloat<TOperation, T> : ICombinedFloat<T>
    where TOperation : struct, IFloatOperation
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    public static Vector128<T> Apply(Vector128<T> a, Vector128<T> b, int control, ref FloatStatus status)
    {
        Vector128<T> result = default;
        int half = Vector128<T>.Count / 2;
        for (int i = 0; i < half; i++)
        {
            result = result.WithElement(i, FloatLane<TOperation, T>.Apply(a[2 * i], a[(2 * i) + 1], ref status));
            result = result.WithElement(half + i, FloatLane<TOperation, T>.Apply(b[2 * i], b[(2 * i) + 1], ref status));
        }

        return result;
    }
}

/// <summary>
/// DPPS, DPPD: products of the lanes that bits 4 and up name, their sum by pairs into the lanes that bits 0 and up name. Each round of
/// products or sums raises its exceptions before the next (SDM Vol. 2A, "DPPS").
/// </summary>
internal readonly struct DotProduct<T> : ICombinedFloat<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    public static Vector128<T> Apply(Vector128<T> a, Vector128<T> b, int control, ref FloatStatus status)
    {
        Vector128<T> terms = default;
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            if ((control >> (4 + i) & 1) != 0)
            {
                terms = terms.WithElement(i, FloatLane<FloatMultiply, T>.Apply(a[i], b[i], ref status));
            }
        }

        for (int count = Vector128<T>.Count; count > 1 && status.EndStep(); count /= 2)
        {
            for (int i = 0; i < count / 2; i++)
            {
                terms = terms.WithElement(i, FloatLane<FloatAdd, T>.Apply(terms[2 * i], terms[(2 * i) + 1], ref status));
            }
        }

        Vector128<T> result = default;
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            result = result.WithElement(i, (control >> i & 1) != 0 ? terms[0] : default);
        }

        return result;
    }
}

/// <summary>The control of ROUNDPS and its kin (SDM Vol. 2B, "ROUNDPD", table 4-21).</summary>
internal static class RoundControl
{
    private const int UsesMxcsr = 1 << 2;
    private const int SuppressesPrecision = 1 << 3;

    /// <summary>One lane rounded to a whole number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T value, int control, ref FloatStatus status)
        where T : unmanaged
    {
        RoundingMode mode = (control & UsesMxcsr) != 0 ? status.Rounding : (RoundingMode)(control & 3);
        return SoftFloat<T>.Value(SoftFloat<T>.ToWhole(SoftFloat<T>.Bits(value), mode, (control & SuppressesPrecision) == 0, ref status));
    }
}

/// <summary>ROUNDPS, ROUNDPD.</summary>
internal readonly struct PackedRound<T> : ICombinedFloat<T>
    where T : unmanaged
{
    /// <inheritdoc/>
    public static Vector128<T> Apply(Vector128<T> a, Vector128<T> b, int control, ref FloatStatus status)
    {
        Vector128<T> result = default;
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            result = result.WithElement(i, RoundControl.Apply(b[i], control, ref status));
        }

        return result;
    }
}

/// <summary>ROUNDSS, ROUNDSD.</summary>
internal readonly struct ScalarRound<T> : ISseForm
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, T>(ref cpu, ref op, vcpu, out T value))
        {
            return false;
        }

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        T result = RoundControl.Apply(value, (int)op.Immediate, ref status);
        if (status.Flags != 0 && !status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<T>(ref cpu, op.Dst) = result;
        return true;
    }
}
