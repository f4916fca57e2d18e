using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>An operation on one operand: INC, DEC, NEG, NOT.</summary>
internal interface IUnaryOperation
{
    /// <summary>Computes, and sets the flags.</summary>
    static abstract T Apply<T>(ref LazyFlags flags, T a)
        where T : unmanaged, IBinaryInteger<T>;
}

internal readonly struct Inc : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a)
        where T : unmanaged, IBinaryInteger<T>
    {
        bool carry = flags.CF;
        T result = a + T.One;
        flags.SetAdd(a, T.One, result);
        flags.SetCF(carry);
        return result;
    }
}

internal readonly struct Dec : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a)
        where T : unmanaged, IBinaryInteger<T>
    {
        bool carry = flags.CF;
        T result = a - T.One;
        flags.SetSub(a, T.One, result);
        flags.SetCF(carry);
        return result;
    }
}

internal readonly struct Neg : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a)
        where T : unmanaged, IBinaryInteger<T> =>
        Sub.Apply(ref flags, T.Zero, a);
}

internal readonly struct Not : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T a)
        where T : unmanaged, IBinaryInteger<T> => ~a;
}

/// <summary>On a register.</summary>
internal readonly struct UnaryReg<TOperation, T> : IInstruction
    where TOperation : struct, IUnaryOperation
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, TOperation.Apply(ref cpu.Flags, CpuState.At<T>(ref cpu, op.Dst)));
        return true;
    }
}

/// <summary>On memory.</summary>
internal readonly struct UnaryMem<TOperation, T, TAddress> : IInstruction
    where TOperation : struct, IUnaryOperation
    where T : unmanaged, IBinaryInteger<T>
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = TAddress.Of(ref cpu, ref op);
        if (!TPort.BeginModify(ref cpu, vcpu, gva, out T before, out nint location))
        {
            return false;
        }

        TPort.CommitModify(ref cpu, vcpu, gva, location, TOperation.Apply(ref cpu.Flags, before));
        return true;
    }
}
