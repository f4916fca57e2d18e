using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds the x87 instructions that have no operand in memory.</summary>
internal static class X87RegisterBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        int index = 0;
        for (int operand = 0; operand < i.OpCount; operand++)
        {
            Register register = i.GetOpRegister(operand);
            index = register.IsST() ? Math.Max(index, register - Register.ST0) : index;
        }

        op.Src = (ushort)index;
        op.Immediate = (i.OpCode.OpCode + (uint)index) & X87Layouts.OpcodeMask;
        BindKind kind = Arithmetic(i, ref op);
        kind = kind == BindKind.Unsupported ? Compare(i, ref op) : kind;
        kind = kind == BindKind.Unsupported ? Move(i, ref op) : kind;
        return kind == BindKind.Unsupported ? Control(i, ref op) : kind;
    }

    private static BindKind Arithmetic(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Fadd or Mnemonic.Faddp => Pair<X87Add>(i, ref op),
        Mnemonic.Fsub or Mnemonic.Fsubp => Pair<X87Subtract>(i, ref op),
        Mnemonic.Fsubr or Mnemonic.Fsubrp => Pair<X87SubtractReverse>(i, ref op),
        Mnemonic.Fmul or Mnemonic.Fmulp => Pair<X87Multiply>(i, ref op),
        Mnemonic.Fdiv or Mnemonic.Fdivp => Pair<X87Divide>(i, ref op),
        Mnemonic.Fdivr or Mnemonic.Fdivrp => Pair<X87DivideReverse>(i, ref op),
        Mnemonic.Fsqrt => Unary<X87SquareRoot>(ref op),
        Mnemonic.Frndint => Unary<X87RoundToInteger>(ref op),
        Mnemonic.Fabs => Unary<X87Absolute>(ref op),
        Mnemonic.Fchs => Unary<X87ChangeSign>(ref op),
        Mnemonic.F2xm1 => Unary<X87ExponentialMinusOne>(ref op),
        Mnemonic.Fsin => X87Binder<TPort>.Form<X87Angle<X87Sine>>(ref op),
        Mnemonic.Fcos => X87Binder<TPort>.Form<X87Angle<X87Cosine>>(ref op),
        Mnemonic.Fsincos => X87Binder<TPort>.Form<X87SineAndCosine>(ref op),
        Mnemonic.Fptan => X87Binder<TPort>.Form<X87Tangent>(ref op),
        Mnemonic.Fpatan => IntoNext<X87ArcTangent>(ref op),
        Mnemonic.Fyl2x => IntoNext<X87Logarithm>(ref op),
        Mnemonic.Fyl2xp1 => IntoNext<X87LogarithmPlusOne>(ref op),
        Mnemonic.Fscale => Scale(ref op),
        Mnemonic.Fxtract => X87Binder<TPort>.Form<X87Extract>(ref op),
        Mnemonic.Fprem => X87Binder<TPort>.Form<X87Remainder<False>>(ref op),
        Mnemonic.Fprem1 => X87Binder<TPort>.Form<X87Remainder<True>>(ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Compare(in Instruction i, ref Op op)
    {
        op.Src = i.Mnemonic is Mnemonic.Fcompp or Mnemonic.Fucompp ? (ushort)1 : op.Src;
        return i.Mnemonic switch
        {
            Mnemonic.Fcom => X87Binder<TPort>.Form<X87Compare<False, ConditionCodes, False, False>>(ref op),
            Mnemonic.Fcomp => X87Binder<TPort>.Form<X87Compare<False, ConditionCodes, True, False>>(ref op),
            Mnemonic.Fcompp => X87Binder<TPort>.Form<X87Compare<False, ConditionCodes, True, True>>(ref op),
            Mnemonic.Fucom => X87Binder<TPort>.Form<X87Compare<True, ConditionCodes, False, False>>(ref op),
            Mnemonic.Fucomp => X87Binder<TPort>.Form<X87Compare<True, ConditionCodes, True, False>>(ref op),
            Mnemonic.Fucompp => X87Binder<TPort>.Form<X87Compare<True, ConditionCodes, True, True>>(ref op),
            Mnemonic.Fcomi => X87Binder<TPort>.Form<X87Compare<False, StatusFlags, False, False>>(ref op),
            Mnemonic.Fcomip => X87Binder<TPort>.Form<X87Compare<False, StatusFlags, True, False>>(ref op),
            Mnemonic.Fucomi => X87Binder<TPort>.Form<X87Compare<True, StatusFlags, False, False>>(ref op),
            Mnemonic.Fucomip => X87Binder<TPort>.Form<X87Compare<True, StatusFlags, True, False>>(ref op),
            Mnemonic.Ftst => X87Binder<TPort>.Form<X87Test>(ref op),
            Mnemonic.Fxam => X87Binder<TPort>.Form<X87Examine>(ref op),
            _ => BindKind.Unsupported,
        };
    }

    private static BindKind Move(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Fld => X87Binder<TPort>.Form<X87LoadRegister>(ref op),
        Mnemonic.Fst => X87Binder<TPort>.Form<X87StoreRegister<False>>(ref op),
        Mnemonic.Fstpnce => X87Binder<TPort>.Form<X87StoreUnchecked>(ref op),
        Mnemonic.Fstp => X87Binder<TPort>.Form<X87StoreRegister<True>>(ref op),
        Mnemonic.Fxch => X87Binder<TPort>.Form<X87Exchange>(ref op),
        Mnemonic.Fld1 => Constant<ConstantOne>(ref op),
        Mnemonic.Fldz => Constant<ConstantZero>(ref op),
        Mnemonic.Fldl2t => Constant<ConstantLog2Of10>(ref op),
        Mnemonic.Fldl2e => Constant<ConstantLog2OfE>(ref op),
        Mnemonic.Fldpi => Constant<ConstantPi>(ref op),
        Mnemonic.Fldlg2 => Constant<ConstantLog10Of2>(ref op),
        Mnemonic.Fldln2 => Constant<ConstantLnOf2>(ref op),
        Mnemonic.Fcmovb => ConditionalMove<Below>(ref op),
        Mnemonic.Fcmove => ConditionalMove<Zero>(ref op),
        Mnemonic.Fcmovbe => ConditionalMove<BelowOrEqual>(ref op),
        Mnemonic.Fcmovu => ConditionalMove<Parity>(ref op),
        Mnemonic.Fcmovnb => ConditionalMove<Negated<Below>>(ref op),
        Mnemonic.Fcmovne => ConditionalMove<Negated<Zero>>(ref op),
        Mnemonic.Fcmovnbe => ConditionalMove<Negated<BelowOrEqual>>(ref op),
        Mnemonic.Fcmovnu => ConditionalMove<Negated<Parity>>(ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Control(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Ffree => X87Binder<TPort>.Form<X87FreeRegister<False>>(ref op),
        Mnemonic.Ffreep => X87Binder<TPort>.Form<X87FreeRegister<True>>(ref op),
        Mnemonic.Fincstp => X87Binder<TPort>.Form<X87TurnStack<True>>(ref op),
        Mnemonic.Fdecstp => X87Binder<TPort>.Form<X87TurnStack<False>>(ref op),
        Mnemonic.Fnop => X87Binder<TPort>.Form<X87Nothing>(ref op),
        Mnemonic.Fneni or Mnemonic.Fndisi or Mnemonic.Fnsetpm => OpBinder<TPort>.Straight<Nop>(ref op),
        Mnemonic.Fninit => OpBinder<TPort>.Straight<X87Initialize>(ref op),
        Mnemonic.Fnclex => OpBinder<TPort>.Straight<X87ClearExceptions>(ref op),
        Mnemonic.Fnstsw => OpBinder<TPort>.Straight<X87StatusToAx>(ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Pair<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IX87Operation => (i.OpCode.OpCode & 0xFF00) switch
        {
            0xD800 => X87Binder<TPort>.Form<X87Arithmetic<TOperation, False, False>>(ref op),
            0xDC00 => X87Binder<TPort>.Form<X87Arithmetic<TOperation, True, False>>(ref op),
            _ => X87Binder<TPort>.Form<X87Arithmetic<TOperation, True, True>>(ref op),
        };

    /// <summary>ST(1) becomes a function of itself and ST(0), which is popped.</summary>
    private static BindKind IntoNext<TOperation>(ref Op op)
        where TOperation : struct, IX87Operation
    {
        op.Src = 1;
        return X87Binder<TPort>.Form<X87Arithmetic<TOperation, True, True>>(ref op);
    }

    private static BindKind Scale(ref Op op)
    {
        op.Src = 1;
        return X87Binder<TPort>.Form<X87Arithmetic<X87Scale, False, False>>(ref op);
    }

    private static BindKind Unary<TOperation>(ref Op op)
        where TOperation : struct, IX87Unary => X87Binder<TPort>.Form<X87Unary<TOperation>>(ref op);

    private static BindKind Constant<TConstant>(ref Op op)
        where TConstant : struct, IX87Constant => X87Binder<TPort>.Form<X87LoadConstant<TConstant>>(ref op);

    private static BindKind ConditionalMove<TCondition>(ref Op op)
        where TCondition : struct, ICondition => X87Binder<TPort>.Form<X87ConditionalMove<TCondition>>(ref op);
}
