using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds integer arithmetic, logic, shifts and moves.</summary>
internal static class IntegerBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction instruction, ref Op op) => instruction.Mnemonic switch
    {
        Mnemonic.Add => Binary<Add>(instruction, ref op),
        Mnemonic.Or => Binary<Or>(instruction, ref op),
        Mnemonic.Adc => Binary<Adc>(instruction, ref op),
        Mnemonic.Sbb => Binary<Sbb>(instruction, ref op),
        Mnemonic.And => Binary<And>(instruction, ref op),
        Mnemonic.Sub => Binary<Sub>(instruction, ref op),
        Mnemonic.Xor => Binary<Xor>(instruction, ref op),
        Mnemonic.Cmp => Binary<Cmp>(instruction, ref op),
        Mnemonic.Test => Binary<Test>(instruction, ref op),
        Mnemonic.Inc => Unary<Inc>(instruction, ref op),
        Mnemonic.Dec => Unary<Dec>(instruction, ref op),
        Mnemonic.Neg => Unary<Neg>(instruction, ref op),
        Mnemonic.Not => Unary<Not>(instruction, ref op),
        Mnemonic.Shl or Mnemonic.Sal => Shift<Shl>(instruction, ref op),
        Mnemonic.Shr => Shift<Shr>(instruction, ref op),
        Mnemonic.Sar => Shift<Sar>(instruction, ref op),
        Mnemonic.Rol => Shift<Rol>(instruction, ref op),
        Mnemonic.Ror => Shift<Ror>(instruction, ref op),
        Mnemonic.Rcl => Shift<Rcl>(instruction, ref op),
        Mnemonic.Rcr => Shift<Rcr>(instruction, ref op),
        Mnemonic.Shld => DoubleShiftBy<True>(instruction, ref op),
        Mnemonic.Shrd => DoubleShiftBy<False>(instruction, ref op),
        Mnemonic.Mul or Mnemonic.Imul or Mnemonic.Div or Mnemonic.Idiv => MultiplyBinder<TPort>.Bind(instruction, ref op),
        Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc or Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Bswap
            or Mnemonic.Tzcnt or Mnemonic.Lzcnt => BitBinder<TPort>.Bind(instruction, ref op),
        _ => MoveBinder<TPort>.Bind(instruction, ref op),
    };

    private static BindKind Binary<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IBinaryOperation => Operands.Width(i) switch
        {
            1 => Binary<TOperation, byte>(i, ref op),
            2 => Binary<TOperation, ushort>(i, ref op),
            4 => Binary<TOperation, uint>(i, ref op),
            _ => Binary<TOperation, ulong>(i, ref op),
        };

    private static BindKind Binary<TOperation, T>(in Instruction i, ref Op op)
        where TOperation : struct, IBinaryOperation
        where T : unmanaged, IBinaryInteger<T>
    {
        if (i.Op0Kind == OpKind.Register)
        {
            return i.Op1Kind switch
            {
                OpKind.Register => OpBinder<TPort>.Straight<BinaryRegReg<TOperation, T>>(ref op),
                OpKind.Memory => Operands.Shape(op) switch
                {
                    AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<BinaryRegMem<TOperation, T, BaseDisplacement>>(ref op),
                    AddressShape.BaseIndex => OpBinder<TPort>.Straight<BinaryRegMem<TOperation, T, BaseIndex>>(ref op),
                    _ => OpBinder<TPort>.Straight<BinaryRegMem<TOperation, T, AnyAddress>>(ref op),
                },
                _ => OpBinder<TPort>.Straight<BinaryRegImm<TOperation, T>>(ref op),
            };
        }

        return i.Op1Kind == OpKind.Register
            ? BinaryMemory<TOperation, T, FromRegister>(ref op)
            : BinaryMemory<TOperation, T, FromImmediate>(ref op);
    }

    private static BindKind BinaryMemory<TOperation, T, TSource>(ref Op op)
        where TOperation : struct, IBinaryOperation
        where T : unmanaged, IBinaryInteger<T>
        where TSource : struct, ISource => Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<BinaryMem<TOperation, T, BaseDisplacement, TSource>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<BinaryMem<TOperation, T, BaseIndex, TSource>>(ref op),
            _ => OpBinder<TPort>.Straight<BinaryMem<TOperation, T, AnyAddress, TSource>>(ref op),
        };

    private static BindKind Unary<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IUnaryOperation => Operands.Width(i) switch
        {
            1 => Unary<TOperation, byte>(i, ref op),
            2 => Unary<TOperation, ushort>(i, ref op),
            4 => Unary<TOperation, uint>(i, ref op),
            _ => Unary<TOperation, ulong>(i, ref op),
        };

    private static BindKind Unary<TOperation, T>(in Instruction i, ref Op op)
        where TOperation : struct, IUnaryOperation
        where T : unmanaged, IBinaryInteger<T> =>
        i.Op0Kind == OpKind.Register
            ? OpBinder<TPort>.Straight<UnaryReg<TOperation, T>>(ref op)
            : OpBinder<TPort>.Straight<UnaryMem<TOperation, T, AnyAddress>>(ref op);

    private static BindKind Shift<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IShiftOperation =>
        i.Op1Kind == OpKind.Register ? Shift<TOperation, CountCl>(i, ref op) : Shift<TOperation, CountImmediate>(i, ref op);

    private static BindKind Shift<TOperation, TCount>(in Instruction i, ref Op op)
        where TOperation : struct, IShiftOperation
        where TCount : struct, ICount => Operands.Width(i) switch
        {
            1 => Shift<TOperation, byte, TCount>(i, ref op),
            2 => Shift<TOperation, ushort, TCount>(i, ref op),
            4 => Shift<TOperation, uint, TCount>(i, ref op),
            _ => Shift<TOperation, ulong, TCount>(i, ref op),
        };

    private static BindKind Shift<TOperation, T, TCount>(in Instruction i, ref Op op)
        where TOperation : struct, IShiftOperation
        where T : unmanaged, IBinaryInteger<T>
        where TCount : struct, ICount =>
        i.Op0Kind == OpKind.Register
            ? OpBinder<TPort>.Straight<ShiftReg<TOperation, T, TCount>>(ref op)
            : OpBinder<TPort>.Straight<ShiftMem<TOperation, T, TCount>>(ref op);

    private static BindKind DoubleShiftBy<TLeft>(in Instruction i, ref Op op)
        where TLeft : struct, IFlag =>
        i.Op2Kind == OpKind.Register ? DoubleShiftBy<TLeft, CountCl>(i, ref op) : DoubleShiftBy<TLeft, CountImmediate>(i, ref op);

    private static BindKind DoubleShiftBy<TLeft, TCount>(in Instruction i, ref Op op)
        where TLeft : struct, IFlag
        where TCount : struct, ICount => Operands.Width(i) switch
        {
            2 => DoubleShiftBy<TLeft, TCount, ushort>(i, ref op),
            4 => DoubleShiftBy<TLeft, TCount, uint>(i, ref op),
            _ => DoubleShiftBy<TLeft, TCount, ulong>(i, ref op),
        };

    private static BindKind DoubleShiftBy<TLeft, TCount, T>(in Instruction i, ref Op op)
        where TLeft : struct, IFlag
        where TCount : struct, ICount
        where T : unmanaged, IBinaryInteger<T> =>
        i.Op0Kind == OpKind.Register
            ? OpBinder<TPort>.Straight<DoubleShiftReg<T, TCount, TLeft>>(ref op)
            : OpBinder<TPort>.Straight<DoubleShiftMem<T, TCount, TLeft>>(ref op);
}
