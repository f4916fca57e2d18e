using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds VEX-encoded forms by width and by where the last operand is.</summary>
internal static class VexForm<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Whether the first operand, or the second where the first is no vector register, has 256 bits.</summary>
    public static bool IsWide(in Instruction i) => i.Op0Register.IsYMM() || i.Op1Register.IsYMM();

    /// <summary>Binds an operation; memory may be anywhere.</summary>
    public static BindKind Bind<TOperation, TFrom, TTo>(in Instruction i, ref Op op)
        where TOperation : struct, IVexOperation<TFrom, TTo>
        where TFrom : unmanaged
        where TTo : unmanaged
    {
        if (!Arrange(i, ref op))
        {
            return OpBinder<TPort>.Straight<Vex<TOperation, TFrom, TTo, SseRegister>>(ref op);
        }

        return Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<Vex<TOperation, TFrom, TTo, SseUnaligned<BaseDisplacement>>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<Vex<TOperation, TFrom, TTo, SseUnaligned<BaseIndex>>>(ref op),
            _ => OpBinder<TPort>.Straight<Vex<TOperation, TFrom, TTo, SseUnaligned<AnyAddress>>>(ref op),
        };
    }

    /// <summary>Binds a move from memory that must be on a multiple of its size, or from a register.</summary>
    public static BindKind BindAligned<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        if (!Arrange(i, ref op))
        {
            return OpBinder<TPort>.Straight<Vex<MoveVex<T>, T, T, SseRegister>>(ref op);
        }

        return Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<Vex<MoveVex<T>, T, T, SseMemory<BaseDisplacement>>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<Vex<MoveVex<T>, T, T, SseMemory<BaseIndex>>>(ref op),
            _ => OpBinder<TPort>.Straight<Vex<MoveVex<T>, T, T, SseMemory<AnyAddress>>>(ref op),
        };
    }

    /// <summary>Binds an operation on bytes that has the same width in and out.</summary>
    public static BindKind Same<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IVexOperation<Vector128<byte>, Vector128<byte>>, IVexOperation<Vector256<byte>, Vector256<byte>> =>
        IsWide(i)
            ? Bind<TOperation, Vector256<byte>, Vector256<byte>>(i, ref op)
            : Bind<TOperation, Vector128<byte>, Vector128<byte>>(i, ref op);

    /// <summary>Binds an operation on numbers that has the same width in and out.</summary>
    public static BindKind Same<TOperation, T>(in Instruction i, ref Op op)
        where TOperation : struct, IVexOperation<Vector128<T>, Vector128<T>>, IVexOperation<Vector256<T>, Vector256<T>>
        where T : unmanaged =>
        IsWide(i)
            ? Bind<TOperation, Vector256<T>, Vector256<T>>(i, ref op)
            : Bind<TOperation, Vector128<T>, Vector128<T>>(i, ref op);

    /// <summary>Binds a packed operation.</summary>
    public static BindKind Packed<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IPackedOperation => Same<PackedVex<TOperation>>(i, ref op);

    /// <summary>Binds a packed operation that has a form of 256 bits.</summary>
    public static BindKind Wide<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IWideOperation =>
        IsWide(i)
            ? Bind<WideVex<TOperation>, Vector256<byte>, Vector256<byte>>(i, ref op)
            : Bind<PackedVex<TOperation>, Vector128<byte>, Vector128<byte>>(i, ref op);

    /// <summary>Binds a rearrangement by an immediate.</summary>
    public static BindKind Shuffle<TShuffle, TStep>(in Instruction i, ref Op op)
        where TShuffle : struct, IShuffle
        where TStep : struct, IControlStep => Same<ShuffleVex<TShuffle, TStep>>(i, ref op);

    /// <summary>
    /// Puts the registers where <see cref="Vex{TOperation, TFrom, TTo, TSource}"/> looks for them, and an is4 register's offset into
    /// <see cref="Op.Immediate"/>; whether the last operand is in memory.
    /// </summary>
    private static bool Arrange(in Instruction i, ref Op op)
    {
        if (i.OpCount == 4 && i.Op3Kind == OpKind.Register)
        {
            op.Immediate = OperandLayout.OffsetOf(i.Op3Register);
        }

        bool three = i.OpCount > 2 && i.Op2Kind is OpKind.Register or OpKind.Memory;
        if (three)
        {
            op.Third = OperandLayout.OffsetOf(i.Op1Register);
            op.Src = OperandLayout.OffsetOf(i.Op2Register);
        }
        else
        {
            op.Third = op.Dst;
        }

        return (three ? i.Op2Kind : i.Op1Kind) == OpKind.Memory;
    }
}
