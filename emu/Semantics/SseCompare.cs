using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>The predicates of CMPPS and its kin, of which only VEX can name the upper 24 (SDM Vol. 2A, table 3-1).</summary>
internal static class FloatPredicate
{
    /// <summary>The predicates that every encoding has.</summary>
    public const int Legacy = 7;

    /// <summary>All of them.</summary>
    public const int All = 31;

    // Bit n says whether the predicate holds for FloatOrder n. The upper sixteen differ from these in which of them signal only.
    private static ReadOnlySpan<byte> Holds =>
    [
        0b0010, 0b0001, 0b0011, 0b1000, 0b1101, 0b1110, 0b1100, 0b0111,
        0b1010, 0b1001, 0b1011, 0b0000, 0b0101, 0b0110, 0b0100, 0b1111,
    ];

    /// <summary>For which outcomes it holds: bit n for <see cref="FloatOrder"/> n.</summary>
    public static int Outcomes(int predicate) => Holds[predicate & 15];

    /// <summary>Whether a predicate holds, with the flags of finding out.</summary>
    public static bool Test<T>(ulong a, ulong b, int predicate, ref FloatStatus status)
        where T : unmanaged
    {
        bool signalsQuiet = ((predicate & 3) is 1 or 2) != (predicate >= 16);
        return (Outcomes(predicate) >> (int)SoftFloat<T>.Compare(a, b, signalsQuiet, ref status) & 1) != 0;
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

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        ulong a = SoftFloat<T>.Bits(CpuState.At<T>(ref cpu, op.Dst));
        bool holds = FloatPredicate.Test<T>(a, SoftFloat<T>.Bits(b), (int)op.Immediate & FloatPredicate.Legacy, ref status);
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

        ref FloatStatus status = ref FloatStatus.Begin(ref cpu);
        Vector128<T> a = CpuState.At<Vector128<T>>(ref cpu, op.Dst);
        Vector128<T> result = default;
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            bool holds = FloatPredicate.Test<T>(SoftFloat<T>.Bits(a[i]), SoftFloat<T>.Bits(b[i]), (int)op.Immediate & FloatPredicate.Legacy, ref status);
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
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
    where TSignalsQuiet : struct, IFlag
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

        T a = CpuState.At<T>(ref cpu, op.Dst);
        if (!FloatFastPath.IsPlain(a) || !FloatFastPath.IsPlain(b))
        {
            return Exact(ref cpu, vcpu, a, b);
        }

        SetFlags(ref cpu.Flags, zf: a == b, pf: false, cf: a < b);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Exact(ref CpuState cpu, Vcpu vcpu, T a, T b)
    {
        FloatStatus status = new(cpu.Mxcsr);
        FloatOrder order = SoftFloat<T>.Compare(SoftFloat<T>.Bits(a), SoftFloat<T>.Bits(b), TSignalsQuiet.Value, ref status);
        if (!status.Commit(ref cpu, vcpu))
        {
            return false;
        }

        bool unordered = order == FloatOrder.Unordered;
        SetFlags(ref cpu.Flags, zf: order == FloatOrder.Equal || unordered, pf: unordered, cf: order == FloatOrder.Less || unordered);
        return true;
    }

    /// <summary>OF, SF and AF are cleared. A result of 0 has even parity, one of 1 odd.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void SetFlags(ref LazyFlags flags, bool zf, bool pf, bool cf)
    {
        flags.SetResult(zf ? 0u : 1u, cf, of: false);
        flags.Delta = zf && !pf ? 1UL : 0;
    }
}
