using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>The eight predicates of CMPPS and its kin (SDM Vol. 2A, table 3-1).</summary>
internal static class FloatPredicate
{
    // Bit n says whether the predicate holds for FloatOrder n.
    private static ReadOnlySpan<byte> Holds => [0b0010, 0b0001, 0b0011, 0b1000, 0b1101, 0b1110, 0b1100, 0b0111];

    /// <summary>Whether a predicate holds, with the flags of finding out.</summary>
    public static bool Test<T>(ulong a, ulong b, int predicate, ref FloatStatus status)
        where T : unmanaged
    {
        bool signalsQuiet = (predicate & 3) is 1 or 2;
        return (Holds[predicate] >> (int)SoftFloat<T>.Compare(a, b, signalsQuiet, ref status) & 1) != 0;
    }
}

/// <summary>CMPSS and CMPSD.</summary>
internal readonly struct ScalarFloatCompare<T> : ISseForm
    where T : unmanaged
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, T>(ref cpu, ref op, vcpu, out T b))
        {
            return false;
        }

        FloatStatus status = new(cpu.Mxcsr);
        ulong a = SoftFloat<T>.Bits(CpuState.At<T>(ref cpu, op.Dst));
        bool holds = FloatPredicate.Test<T>(a, SoftFloat<T>.Bits(b), (int)op.Immediate & 7, ref status);
        if (!status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<T>(ref cpu, op.Dst) = SoftFloat<T>.Value(holds ? ulong.MaxValue : 0);
        return true;
    }
}

/// <summary>CMPPS and CMPPD.</summary>
internal readonly struct PackedFloatCompare<T> : ISseForm
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

        FloatStatus status = new(cpu.Mxcsr);
        Vector128<T> a = CpuState.At<Vector128<T>>(ref cpu, op.Dst);
        Vector128<T> result = default;
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            bool holds = FloatPredicate.Test<T>(SoftFloat<T>.Bits(a[i]), SoftFloat<T>.Bits(b[i]), (int)op.Immediate & 7, ref status);
            result = result.WithElement(i, SoftFloat<T>.Value(holds ? ulong.MaxValue : 0));
        }

        if (!status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        CpuState.At<Vector128<T>>(ref cpu, op.Dst) = result;
        return true;
    }
}

/// <summary>COMISS and COMISD; UCOMISS and UCOMISD, for which a quiet NaN is not invalid.</summary>
internal readonly struct FloatCompareToFlags<T, TSignalsQuiet> : ISseForm
    where T : unmanaged
    where TSignalsQuiet : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, T>(ref cpu, ref op, vcpu, out T b))
        {
            return false;
        }

        FloatStatus status = new(cpu.Mxcsr);
        ulong a = SoftFloat<T>.Bits(CpuState.At<T>(ref cpu, op.Dst));
        FloatOrder order = SoftFloat<T>.Compare(a, SoftFloat<T>.Bits(b), TSignalsQuiet.Value, ref status);
        if (status.Flags != 0 && !status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        SetFlags(ref cpu.Flags, order);
        return true;
    }

    /// <summary>ZF, PF, CF: 111 unordered, 000 greater, 001 less, 100 equal; the others are cleared.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void SetFlags(ref LazyFlags flags, FloatOrder order)
    {
        bool zf = order is FloatOrder.Equal or FloatOrder.Unordered;
        flags.SetResult(zf ? 0u : 1u, cf: order is FloatOrder.Less or FloatOrder.Unordered, of: false);
        flags.Delta = order == FloatOrder.Equal ? 1UL : 0;
    }
}
