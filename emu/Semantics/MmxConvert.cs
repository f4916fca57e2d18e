using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>CVTPI2PS: two integers into the low half of a vector register, whose upper half stays.</summary>
internal readonly struct MmxToSingles : ISseForm
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong source))
        {
            return false;
        }

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        float low = FromIntegerConversion<int, float>.Apply((int)source, ref status);
        float high = FromIntegerConversion<int, float>.Apply((int)(source >> 32), ref status);
        if (!status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<ulong>(ref cpu, op.Dst) = Vector128.Create(low, high, 0, 0).AsUInt64().ToScalar();
        return true;
    }
}

/// <summary>CVTPS2PI, CVTPD2PI and their truncating kin: two numbers into an MMX register. Doubles in memory must be aligned.</summary>
internal readonly struct MmxFromFloats<T, TTruncates> : ISseForm
    where T : unmanaged
    where TTruncates : struct, IFlag
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        Vector128<T> source;
        if (sizeof(T) == sizeof(float))
        {
            if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong pair))
            {
                return false;
            }

            source = Vector128.CreateScalar(pair).As<ulong, T>();
        }
        else if (!TSource.TryGet<TPort, Vector128<T>>(ref cpu, ref op, vcpu, out source))
        {
            return false;
        }

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        int low = ToIntegerConversion<T, int, TTruncates>.Apply(source[0], ref status);
        int high = ToIntegerConversion<T, int, TTruncates>.Apply(source[1], ref status);
        if (!status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<ulong>(ref cpu, op.Dst) = ((ulong)(uint)high << 32) | (uint)low;
        return true;
    }
}
