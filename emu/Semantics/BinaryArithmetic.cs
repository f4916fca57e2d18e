using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>An operation of two operands of one width: ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST.</summary>
internal interface IBinaryOperation
{
    /// <summary>Whether the result goes to the first operand.</summary>
    static abstract bool Writes { get; }

    /// <summary>Computes, and sets the flags.</summary>
    static abstract T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T>;
}

internal readonly struct Add : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = a + b;
        flags.SetAdd(a, b, result);
        return result;
    }
}

internal readonly struct Adc : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = a + b + (flags.CF ? T.One : T.Zero);
        flags.SetAdd(a, b, result);
        return result;
    }
}

internal readonly struct Sub : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = a - b;
        flags.SetSub(a, b, result);
        return result;
    }
}

internal readonly struct Sbb : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = a - b - (flags.CF ? T.One : T.Zero);
        flags.SetSub(a, b, result);
        return result;
    }
}

internal readonly struct Cmp : IBinaryOperation
{
    public static bool Writes => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T> =>
        Sub.Apply(ref flags, a, b);
}

internal readonly struct And : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = a & b;
        flags.SetLogic(result);
        return result;
    }
}

internal readonly struct Or : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = a | b;
        flags.SetLogic(result);
        return result;
    }
}

internal readonly struct Xor : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = a ^ b;
        flags.SetLogic(result);
        return result;
    }
}

internal readonly struct Test : IBinaryOperation
{
    public static bool Writes => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a, T b)
        where T : unmanaged, IBinaryInteger<T> =>
        And.Apply(ref flags, a, b);
}

/// <summary>Register and register.</summary>
internal readonly struct BinaryRegReg<TOperation, T> : IInstruction
    where TOperation : struct, IBinaryOperation
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        T result = TOperation.Apply(ref cpu.Flags, CpuState.At<T>(ref cpu, op.Dst), CpuState.At<T>(ref cpu, op.Src));
        if (TOperation.Writes)
        {
            CpuState.Set(ref cpu, op.Dst, result);
        }

        return true;
    }
}

/// <summary>Register and immediate.</summary>
internal readonly struct BinaryRegImm<TOperation, T> : IInstruction
    where TOperation : struct, IBinaryOperation
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        T result = TOperation.Apply(ref cpu.Flags, CpuState.At<T>(ref cpu, op.Dst), T.CreateTruncating(op.Immediate));
        if (TOperation.Writes)
        {
            CpuState.Set(ref cpu, op.Dst, result);
        }

        return true;
    }
}

/// <summary>Register and memory.</summary>
internal readonly struct BinaryRegMem<TOperation, T, TAddress> : IInstruction
    where TOperation : struct, IBinaryOperation
    where T : unmanaged, IBinaryInteger<T>
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, TAddress.Of(ref cpu, ref op), out T b))
        {
            return false;
        }

        T result = TOperation.Apply(ref cpu.Flags, CpuState.At<T>(ref cpu, op.Dst), b);
        if (TOperation.Writes)
        {
            CpuState.Set(ref cpu, op.Dst, result);
        }

        return true;
    }
}

/// <summary>Memory and register or immediate.</summary>
internal readonly struct BinaryMem<TOperation, T, TAddress, TSource> : IInstruction
    where TOperation : struct, IBinaryOperation
    where T : unmanaged, IBinaryInteger<T>
    where TAddress : struct, IAddress
    where TSource : struct, ISource
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = TAddress.Of(ref cpu, ref op);
        if (!TOperation.Writes)
        {
            if (!TPort.Read(ref cpu, vcpu, gva, out T value))
            {
                return false;
            }

            TOperation.Apply(ref cpu.Flags, value, TSource.Get<T>(ref cpu, ref op));
            return true;
        }

        if (!TPort.BeginModify(ref cpu, vcpu, gva, out T before, out nint location))
        {
            return false;
        }

        TPort.CommitModify(ref cpu, vcpu, gva, location, TOperation.Apply(ref cpu.Flags, before, TSource.Get<T>(ref cpu, ref op)));
        return true;
    }
}

/// <summary>Where a second operand comes from.</summary>
internal interface ISource
{
    /// <summary>The operand.</summary>
    static abstract T Get<T>(ref CpuState cpu, ref Op op)
        where T : unmanaged, IBinaryInteger<T>;
}

/// <summary><see cref="Op.Src"/>.</summary>
internal readonly struct FromRegister : ISource
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Get<T>(ref CpuState cpu, ref Op op)
        where T : unmanaged, IBinaryInteger<T> => CpuState.At<T>(ref cpu, op.Src);
}

/// <summary><see cref="Op.Immediate"/>.</summary>
internal readonly struct FromImmediate : ISource
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Get<T>(ref CpuState cpu, ref Op op)
        where T : unmanaged, IBinaryInteger<T> => T.CreateTruncating(op.Immediate);
}
