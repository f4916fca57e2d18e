using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Quadwalk.Emulation;

/// <summary>An operation of BMI1 or BMI2 on two sources (SDM Vol. 2, the instruction's own page).</summary>
internal interface IBitPair
{
    /// <summary>Computes, and sets the flags that the instruction defines.</summary>
    static abstract T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T>;
}

/// <summary>ANDN.</summary>
internal readonly struct AndNot : IBitPair
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = ~first & second;
        flags.SetLogic(result);
        return result;
    }
}

/// <summary>BEXTR: the field that starts at bit <c>second[7:0]</c> and has <c>second[15:8]</c> bits.</summary>
internal readonly struct ExtractField : IBitPair
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T>
    {
        int start = int.CreateTruncating(second) & 0xFF;
        int length = (int.CreateTruncating(second) >> 8) & 0xFF;
        ulong field = start < 64 ? ulong.CreateTruncating(first) >> start : 0;
        T result = T.CreateTruncating(length < 64 ? field & ~(ulong.MaxValue << length) : field);
        flags.SetLogic(result);
        return result;
    }
}

/// <summary>BZHI: the bits below <c>second[7:0]</c>; CF when that lies beyond the operand.</summary>
internal readonly struct ZeroHighBits : IBitPair
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T>
    {
        int index = int.CreateTruncating(second) & 0xFF;
        bool beyond = index >= ShiftCount.Bits<T>();
        T result = beyond ? first : first & ~(T.AllBitsSet << index);
        flags.SetResult(result, beyond, of: false);
        return result;
    }
}

/// <summary>SHLX: no flags, as the two that follow.</summary>
internal readonly struct ShiftLeft : IBitPair
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T> => first << ShiftCount.Mask<T>(int.CreateTruncating(second));
}

/// <summary>SHRX.</summary>
internal readonly struct ShiftRight : IBitPair
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T> => first >>> ShiftCount.Mask<T>(int.CreateTruncating(second));
}

/// <summary>SARX.</summary>
internal readonly struct ShiftArithmetic : IBitPair
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T> => T.CreateTruncating(ShiftCount.Signed(first) >> ShiftCount.Mask<T>(int.CreateTruncating(second)));
}

/// <summary>PDEP: the low bits of the first, put where the second has ones.</summary>
internal readonly struct DepositBits : IBitPair
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T>
    {
        ulong value = ulong.CreateTruncating(first), mask = ulong.CreateTruncating(second);
        return T.CreateTruncating(Bmi2.X64.IsSupported ? Bmi2.X64.ParallelBitDeposit(value, mask) : Portable(value, mask));
    }

    /// <summary>For hosts without the instruction.</summary>
    public static ulong Portable(ulong value, ulong mask)
    {
        ulong result = 0;
        for (; mask != 0; mask &= mask - 1, value >>= 1)
        {
            result |= (value & 1) != 0 ? mask & (0 - mask) : 0;
        }

        return result;
    }
}

/// <summary>PEXT: the bits of the first where the second has ones, put together at the bottom.</summary>
internal readonly struct ExtractBits : IBitPair
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T first, T second)
        where T : unmanaged, IBinaryInteger<T>
    {
        ulong value = ulong.CreateTruncating(first), mask = ulong.CreateTruncating(second);
        return T.CreateTruncating(Bmi2.X64.IsSupported ? Bmi2.X64.ParallelBitExtract(value, mask) : Portable(value, mask));
    }

    /// <summary>For hosts without the instruction.</summary>
    public static ulong Portable(ulong value, ulong mask)
    {
        ulong result = 0;
        for (int at = 0; mask != 0; mask &= mask - 1, at++)
        {
            result |= ((value >> BitOperations.TrailingZeroCount(mask)) & 1) << at;
        }

        return result;
    }
}

/// <summary><see cref="Op.Third"/>.</summary>
internal readonly struct ThirdRegister : IOperand
{
    /// <inheritdoc/>
    public static bool Read<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged
    {
        value = CpuState.At<T>(ref cpu, op.Third);
        return true;
    }
}

/// <summary>A register from two sources, at most one of them memory.</summary>
internal readonly struct BitPair<TOperation, T, TFirst, TSecond> : IInstruction
    where TOperation : struct, IBitPair
    where T : unmanaged, IBinaryInteger<T>
    where TFirst : struct, IOperand
    where TSecond : struct, IOperand
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TFirst.Read<TPort, T>(ref cpu, ref op, vcpu, out T first) || !TSecond.Read<TPort, T>(ref cpu, ref op, vcpu, out T second))
        {
            return false;
        }

        CpuState.Set(ref cpu, op.Dst, TOperation.Apply(ref cpu.Flags, first, second));
        return true;
    }
}

/// <summary>MULX: RDX times the source, the high half to the first register and the low half to the second; one register for both gets the high half.</summary>
internal readonly struct MultiplyWithoutFlags<T, TSource> : IInstruction
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

        ulong multiplicand = ulong.CreateTruncating(WidePair.High<T>(ref cpu));
        ulong high = Math.BigMul(multiplicand, ulong.CreateTruncating(source), out ulong low);
        high = ShiftCount.Bits<T>() == 64 ? high : low >> ShiftCount.Bits<T>();
        CpuState.Set(ref cpu, op.Src, T.CreateTruncating(low));
        CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(high));
        return true;
    }
}
