using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds moves, exchanges, stack and flag instructions.</summary>
internal static class MoveBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov:
                return Move(i, ref op);
            case Mnemonic.Movzx:
                return Extend<False>(i, ref op);
            case Mnemonic.Movsx or Mnemonic.Movsxd:
                return Extend<True>(i, ref op);
            case Mnemonic.Lea:
                return Operands.Width(i) switch
                {
                    2 => OpBinder<TPort>.Straight<Lea<ushort, AnyAddress>>(ref op),
                    4 => Lea<uint>(ref op),
                    _ => Lea<ulong>(ref op),
                };
            case Mnemonic.Push or Mnemonic.Pop or Mnemonic.Pushfq or Mnemonic.Pushfd or Mnemonic.Pushf or Mnemonic.Popfq or Mnemonic.Popfd
                or Mnemonic.Popf or Mnemonic.Pusha or Mnemonic.Pushad or Mnemonic.Popa or Mnemonic.Popad or Mnemonic.Enter or Mnemonic.Leave:
                return StackBinder<TPort>.Bind(i, ref op);
            case Mnemonic.Xchg or Mnemonic.Xadd or Mnemonic.Cmpxchg or Mnemonic.Cmpxchg8b or Mnemonic.Cmpxchg16b:
                return ExchangeBinder<TPort>.Bind(i, ref op);
            case Mnemonic.Nop or Mnemonic.Endbr64 or Mnemonic.Endbr32 or Mnemonic.Pause or Mnemonic.Fnop or Mnemonic.Reservednop
                or Mnemonic.Prefetchnta or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2
                or Mnemonic.Prefetchw or Mnemonic.Prefetch or Mnemonic.Prefetchwt1 or Mnemonic.Prefetchit0 or Mnemonic.Prefetchit1
                or Mnemonic.Cldemote or Mnemonic.Rdsspd or Mnemonic.Rdsspq or Mnemonic.Lfence or Mnemonic.Mfence or Mnemonic.Sfence:
                return i.Mnemonic == Mnemonic.Fnop ? BindKind.Unsupported : OpBinder<TPort>.Straight<Nop>(ref op);
            case Mnemonic.Cbw:
                return OpBinder<TPort>.Straight<SignExtendAccumulator<byte, ushort>>(ref op);
            case Mnemonic.Cwde:
                return OpBinder<TPort>.Straight<SignExtendAccumulator<ushort, uint>>(ref op);
            case Mnemonic.Cdqe:
                return OpBinder<TPort>.Straight<SignExtendAccumulator<uint, ulong>>(ref op);
            case Mnemonic.Cwd:
                return OpBinder<TPort>.Straight<SignIntoDx<ushort>>(ref op);
            case Mnemonic.Cdq:
                return OpBinder<TPort>.Straight<SignIntoDx<uint>>(ref op);
            case Mnemonic.Cqo:
                return OpBinder<TPort>.Straight<SignIntoDx<ulong>>(ref op);
            case Mnemonic.Xlatb:
                op.Base = OperandLayout.OffsetOf(i.MemoryBase);
                op.Index = OperandLayout.OffsetOf(Register.AL);
                return OpBinder<TPort>.Straight<Xlat>(ref op);
            case Mnemonic.Lahf:
                return OpBinder<TPort>.Straight<Lahf>(ref op);
            case Mnemonic.Sahf:
                return OpBinder<TPort>.Straight<Sahf>(ref op);
            case Mnemonic.Clc:
                return OpBinder<TPort>.Straight<SetCarry<False>>(ref op);
            case Mnemonic.Stc:
                return OpBinder<TPort>.Straight<SetCarry<True>>(ref op);
            case Mnemonic.Cmc:
                return OpBinder<TPort>.Straight<ComplementCarry>(ref op);
            case Mnemonic.Cld:
                return OpBinder<TPort>.Straight<SetDirection<False>>(ref op);
            case Mnemonic.Std:
                return OpBinder<TPort>.Straight<SetDirection<True>>(ref op);
            default:
                return ConditionalMove(i, ref op);
        }
    }

    private static BindKind Move(in Instruction i, ref Op op)
    {
        Register register = i.Op0Kind == OpKind.Register ? i.Op0Register : Register.None;
        Register other = i.Op1Kind == OpKind.Register ? i.Op1Register : Register.None;
        if (!(register == Register.None || register.IsGPR()) || !(other == Register.None || other.IsGPR()))
        {
            return BindKind.Unsupported;
        }

        return Operands.Width(i) switch
        {
            1 => Move<byte>(i, ref op),
            2 => Move<ushort>(i, ref op),
            4 => Move<uint>(i, ref op),
            _ => Move<ulong>(i, ref op),
        };
    }

    private static BindKind Move<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T>
    {
        if (i.Op0Kind == OpKind.Register)
        {
            return i.Op1Kind switch
            {
                OpKind.Register => OpBinder<TPort>.Straight<MoveRegReg<T>>(ref op),
                OpKind.Memory => Operands.Shape(op) switch
                {
                    AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<MoveRegMem<T, BaseDisplacement>>(ref op),
                    AddressShape.BaseIndex => OpBinder<TPort>.Straight<MoveRegMem<T, BaseIndex>>(ref op),
                    _ => OpBinder<TPort>.Straight<MoveRegMem<T, AnyAddress>>(ref op),
                },
                _ => OpBinder<TPort>.Straight<MoveRegImm<T>>(ref op),
            };
        }

        return i.Op1Kind == OpKind.Register ? MoveMem<T, FromRegister>(ref op) : MoveMem<T, FromImmediate>(ref op);
    }

    private static BindKind MoveMem<T, TSource>(ref Op op)
        where T : unmanaged, IBinaryInteger<T>
        where TSource : struct, ISource => Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<MoveMem<T, BaseDisplacement, TSource>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<MoveMem<T, BaseIndex, TSource>>(ref op),
            _ => OpBinder<TPort>.Straight<MoveMem<T, AnyAddress, TSource>>(ref op),
        };

    private static BindKind Extend<TSigned>(in Instruction i, ref Op op)
        where TSigned : struct, IFlag => (Operands.Width(i, 1), Operands.Width(i)) switch
        {
            (1, 2) => Extend<byte, ushort, TSigned>(i, ref op),
            (1, 4) => Extend<byte, uint, TSigned>(i, ref op),
            (1, _) => Extend<byte, ulong, TSigned>(i, ref op),
            (2, 2) => Extend<ushort, ushort, TSigned>(i, ref op),
            (2, 4) => Extend<ushort, uint, TSigned>(i, ref op),
            (2, _) => Extend<ushort, ulong, TSigned>(i, ref op),
            (_, 2) => Extend<uint, ushort, TSigned>(i, ref op),
            (_, 4) => Extend<uint, uint, TSigned>(i, ref op),
            _ => Extend<uint, ulong, TSigned>(i, ref op),
        };

    private static BindKind Extend<TFrom, TTo, TSigned>(in Instruction i, ref Op op)
        where TFrom : unmanaged, IBinaryInteger<TFrom>
        where TTo : unmanaged, IBinaryInteger<TTo>
        where TSigned : struct, IFlag
    {
        if (i.Op1Kind == OpKind.Register)
        {
            return OpBinder<TPort>.Straight<ExtendReg<TFrom, TTo, TSigned>>(ref op);
        }

        return Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<ExtendMem<TFrom, TTo, TSigned, BaseDisplacement>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<ExtendMem<TFrom, TTo, TSigned, BaseIndex>>(ref op),
            _ => OpBinder<TPort>.Straight<ExtendMem<TFrom, TTo, TSigned, AnyAddress>>(ref op),
        };
    }

    private static BindKind Lea<T>(ref Op op)
        where T : unmanaged, IBinaryInteger<T>
    {
        op.Segment = SegmentIndex.Ds;
        return Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<Lea<T, BaseDisplacement>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<Lea<T, BaseIndex>>(ref op),
            _ => OpBinder<TPort>.Straight<Lea<T, AnyAddress>>(ref op),
        };
    }

    private static BindKind ConditionalMove(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Cmovo or Mnemonic.Seto => Conditional<Overflow>(i, ref op),
        Mnemonic.Cmovno or Mnemonic.Setno => Conditional<Negated<Overflow>>(i, ref op),
        Mnemonic.Cmovb or Mnemonic.Setb => Conditional<Below>(i, ref op),
        Mnemonic.Cmovae or Mnemonic.Setae => Conditional<Negated<Below>>(i, ref op),
        Mnemonic.Cmove or Mnemonic.Sete => Conditional<Zero>(i, ref op),
        Mnemonic.Cmovne or Mnemonic.Setne => Conditional<Negated<Zero>>(i, ref op),
        Mnemonic.Cmovbe or Mnemonic.Setbe => Conditional<BelowOrEqual>(i, ref op),
        Mnemonic.Cmova or Mnemonic.Seta => Conditional<Negated<BelowOrEqual>>(i, ref op),
        Mnemonic.Cmovs or Mnemonic.Sets => Conditional<Sign>(i, ref op),
        Mnemonic.Cmovns or Mnemonic.Setns => Conditional<Negated<Sign>>(i, ref op),
        Mnemonic.Cmovp or Mnemonic.Setp => Conditional<Parity>(i, ref op),
        Mnemonic.Cmovnp or Mnemonic.Setnp => Conditional<Negated<Parity>>(i, ref op),
        Mnemonic.Cmovl or Mnemonic.Setl => Conditional<Less>(i, ref op),
        Mnemonic.Cmovge or Mnemonic.Setge => Conditional<Negated<Less>>(i, ref op),
        Mnemonic.Cmovle or Mnemonic.Setle => Conditional<LessOrEqual>(i, ref op),
        Mnemonic.Cmovg or Mnemonic.Setg => Conditional<Negated<LessOrEqual>>(i, ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Conditional<TCondition>(in Instruction i, ref Op op)
        where TCondition : struct, ICondition
    {
        if (i.OpCount == 1)
        {
            return i.Op0Kind == OpKind.Register
                ? OpBinder<TPort>.Straight<SetReg<TCondition>>(ref op)
                : OpBinder<TPort>.Straight<SetMem<TCondition>>(ref op);
        }

        return (Operands.Width(i), i.Op1Kind) switch
        {
            (2, OpKind.Register) => OpBinder<TPort>.Straight<CmovReg<TCondition, ushort>>(ref op),
            (4, OpKind.Register) => OpBinder<TPort>.Straight<CmovReg<TCondition, uint>>(ref op),
            (_, OpKind.Register) => OpBinder<TPort>.Straight<CmovReg<TCondition, ulong>>(ref op),
            (2, _) => OpBinder<TPort>.Straight<CmovMem<TCondition, ushort>>(ref op),
            (4, _) => OpBinder<TPort>.Straight<CmovMem<TCondition, uint>>(ref op),
            _ => OpBinder<TPort>.Straight<CmovMem<TCondition, ulong>>(ref op),
        };
    }
}
