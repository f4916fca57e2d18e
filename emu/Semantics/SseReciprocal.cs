using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>
/// RCPPS and RSQRTPS. The SDM bounds the relative error by 1.5 * 2^-12 and processors differ within that; here the result is the
/// nearest single. They raise nothing and look at nothing in MXCSR: denormal operands count as zeros, tiny results are zeros.
/// </summary>
internal interface IReciprocal
{
    /// <summary>The approximation for an ordinary number, infinity or zero.</summary>
    static abstract float Apply(float value);
}

/// <summary>1 / x.</summary>
internal readonly struct Reciprocal : IReciprocal
{
    /// <inheritdoc/>
    public static float Apply(float value)
    {
        float result = 1 / value;
        return float.IsSubnormal(result) ? float.CopySign(0, result) : result;
    }
}

/// <summary>1 / sqrt(x); the real indefinite for what is negative.</summary>
internal readonly struct ReciprocalRoot : IReciprocal
{
    /// <inheritdoc/>
    public static float Apply(float value) =>
        value < 0 ? BitConverter.UInt32BitsToSingle((uint)SoftFloat<float>.Indefinite)
        : value == 0 ? 1 / value
        : (float)(1 / Math.Sqrt(value));
}

internal static class ReciprocalLane
{
    public static float Apply<TOperation>(float value)
        where TOperation : struct, IReciprocal
    {
        if (float.IsNaN(value))
        {
            return BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) | 0x0040_0000);
        }

        return TOperation.Apply(float.IsSubnormal(value) ? float.CopySign(0, value) : value);
    }
}

/// <summary>RCPSS and RSQRTSS.</summary>
internal readonly struct ScalarReciprocal<TOperation> : ISseForm
    where TOperation : struct, IReciprocal
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, float>(ref cpu, ref op, vcpu, out float value))
        {
            return false;
        }

        CpuState.At<float>(ref cpu, op.Dst) = ReciprocalLane.Apply<TOperation>(value);
        return true;
    }
}

/// <summary>RCPPS and RSQRTPS.</summary>
internal readonly struct PackedReciprocal<TOperation> : ISseForm
    where TOperation : struct, IReciprocal
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, Vector128<float>>(ref cpu, ref op, vcpu, out Vector128<float> value))
        {
            return false;
        }

        for (int i = 0; i < Vector128<float>.Count; i++)
        {
            CpuState.At<float>(ref cpu, op.Dst + (i * sizeof(float))) = ReciprocalLane.Apply<TOperation>(value[i]);
        }

        return true;
    }
}
