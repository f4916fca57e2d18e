using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>An operation of BMI1, BMI2 or LZCNT on one source (SDM Vol. 2, the instruction's own page).</summary>
internal interface IBitSource
{
    /// <summary>Computes, and sets the flags that the instruction defines.</summary>
    static abstract T Apply<T>(ref LazyFlags flags, T source, ulong immediate)
        where T : unmanaged, IBinaryInteger<T>;
}

/// <summary>TZCNT.</summary>
internal readonly struct TrailingZeros : IBitSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T source, ulong immediate)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = T.TrailingZeroCount(source);
        flags.SetResult(result, source == T.Zero, of: false);
        return result;
    }
}

/// <summary>LZCNT.</summary>
internal readonly struct LeadingZeros : IBitSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T source, ulong immediate)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = T.LeadingZeroCount(source);
        flags.SetResult(result, source == T.Zero, of: false);
        return result;
    }
}

/// <summary>BLSI.</summary>
internal readonly struct IsolateLowest : IBitSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T source, ulong immediate)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = source & (T.Zero - source);
        flags.SetResult(result, source != T.Zero, of: false);
        return result;
    }
}

/// <summary>BLSMSK.</summary>
internal readonly struct MaskToLowest : IBitSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T source, ulong immediate)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = source ^ (source - T.One);
        flags.SetResult(result, source == T.Zero, of: false);
        return result;
    }
}

/// <summary>BLSR.</summary>
internal readonly struct ResetLowest : IBitSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T source, ulong immediate)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = source & (source - T.One);
        flags.SetResult(result, source == T.Zero, of: false);
        return result;
    }
}

/// <summary>RORX: no flags.</summary>
internal readonly struct RotateRight : IBitSource
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T source, ulong immediate)
        where T : unmanaged, IBinaryInteger<T> => T.RotateRight(source, ShiftCount.Mask<T>((int)immediate));
}

/// <summary>A register from a register or memory.</summary>
internal readonly struct BitSource<TOperation, T, TSource> : IInstruction
    where TOperation : struct, IBitSource
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IOperand
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.Read<TPort, T>(ref cpu, ref op, vcpu, out T source))
        {
            return false;
        }

        CpuState.Set(ref cpu, op.Dst, TOperation.Apply(ref cpu.Flags, source, op.Immediate));
        return true;
    }
}
