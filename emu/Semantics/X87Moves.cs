using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>FLD of a single or double, FILD and FBLD: what was a denormal or signals is noted.</summary>
internal readonly struct X87Load : IX87SourceForm
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, X87Register source, ref X87Status s)
    {
        if (!X87Unit.IsEmpty(ref cpu, -1))
        {
            source = s.StackFault(overflow: true);
        }
        else if (s.SourceIsDenormal)
        {
            s.Flags = X87Bits.DE;
        }
        else if (ExtendedFloat.IsNaN(source))
        {
            source = ExtendedFloat.Propagate(source, ref s);
        }

        if (s.Commit(ref cpu))
        {
            X87Unit.Push(ref cpu, source);
        }
    }
}

/// <summary>FLD of an extended, as it is.</summary>
internal readonly struct X87LoadExtended : IX87SourceForm
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, X87Register source, ref X87Status s)
    {
        if (!X87Unit.IsEmpty(ref cpu, -1))
        {
            source = s.StackFault(overflow: true);
        }

        if (s.Commit(ref cpu))
        {
            X87Unit.Push(ref cpu, source);
        }
    }
}

/// <summary>FLD of a register.</summary>
internal readonly struct X87LoadRegister : IX87Form
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        X87Register value = X87Unit.IsEmpty(ref cpu, op.Src) ? s.StackFault(overflow: false)
            : !X87Unit.IsEmpty(ref cpu, -1) ? s.StackFault(overflow: true)
            : X87Unit.St(ref cpu, op.Src);
        if (s.Commit(ref cpu))
        {
            X87Unit.Push(ref cpu, value);
        }
    }
}

/// <summary>A constant that an instruction loads.</summary>
internal interface IX87Constant
{
    /// <summary>The biased exponent.</summary>
    static abstract uint Exponent { get; }

    /// <summary>The significand rounded down.</summary>
    static abstract ulong Significand { get; }

    /// <summary>Whether it is nearer to the number above; 0 where the constant is exact.</summary>
    static abstract ulong Rest { get; }
}

/// <summary>1.</summary>
internal readonly struct ConstantOne : IX87Constant
{
    /// <inheritdoc/>
    public static uint Exponent => ExtendedFloat.Bias;

    /// <inheritdoc/>
    public static ulong Significand => ExtendedFloat.IntegerBit;

    /// <inheritdoc/>
    public static ulong Rest => 0;
}

/// <summary>0.</summary>
internal readonly struct ConstantZero : IX87Constant
{
    /// <inheritdoc/>
    public static uint Exponent => 0;

    /// <inheritdoc/>
    public static ulong Significand => 0;

    /// <inheritdoc/>
    public static ulong Rest => 0;
}

/// <summary>The binary logarithm of 10.</summary>
internal readonly struct ConstantLog2Of10 : IX87Constant
{
    /// <inheritdoc/>
    public static uint Exponent => ExtendedFloat.Bias + 1;

    /// <inheritdoc/>
    public static ulong Significand => 0xD49A_784B_CD1B_8AFE;

    /// <inheritdoc/>
    public static ulong Rest => 0x492B_F6FF_4DAF_DB4C;
}

/// <summary>The binary logarithm of e.</summary>
internal readonly struct ConstantLog2OfE : IX87Constant
{
    /// <inheritdoc/>
    public static uint Exponent => ExtendedFloat.Bias;

    /// <inheritdoc/>
    public static ulong Significand => 0xB8AA_3B29_5C17_F0BB;

    /// <inheritdoc/>
    public static ulong Rest => 0xBE87_FED0_691D_3E88;
}

/// <summary>Pi.</summary>
internal readonly struct ConstantPi : IX87Constant
{
    /// <inheritdoc/>
    public static uint Exponent => ExtendedFloat.Bias + 1;

    /// <inheritdoc/>
    public static ulong Significand => 0xC90F_DAA2_2168_C234;

    /// <inheritdoc/>
    public static ulong Rest => 0xC4C6_628B_80DC_1CD1;
}

/// <summary>The decimal logarithm of 2.</summary>
internal readonly struct ConstantLog10Of2 : IX87Constant
{
    /// <inheritdoc/>
    public static uint Exponent => ExtendedFloat.Bias - 2;

    /// <inheritdoc/>
    public static ulong Significand => 0x9A20_9A84_FBCF_F798;

    /// <inheritdoc/>
    public static ulong Rest => 0x8F89_59AC_0B7C_9178;
}

/// <summary>The natural logarithm of 2.</summary>
internal readonly struct ConstantLnOf2 : IX87Constant
{
    /// <inheritdoc/>
    public static uint Exponent => ExtendedFloat.Bias - 1;

    /// <inheritdoc/>
    public static ulong Significand => 0xB172_17F7_D1CF_79AB;

    /// <inheritdoc/>
    public static ulong Rest => 0xC9E3_B398_03F2_F6AF;
}

/// <summary>FLD1, FLDPI and their kin: rounded as RC says, with no exception but a full stack.</summary>
internal readonly struct X87LoadConstant<TConstant> : IX87Form
    where TConstant : struct, IX87Constant
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        X87Register value;
        if (!X87Unit.IsEmpty(ref cpu, -1))
        {
            value = s.StackFault(overflow: true);
        }
        else
        {
            bool up = s.Rounding == RoundingMode.Up ? TConstant.Rest != 0 : s.Rounding == RoundingMode.Nearest && (long)TConstant.Rest < 0;
            value = new X87Register(TConstant.Exponent, TConstant.Significand + (up ? 1UL : 0));
        }

        if (s.Commit(ref cpu))
        {
            X87Unit.Push(ref cpu, value);
        }
    }
}

/// <summary>FST and FSTP to a register.</summary>
internal readonly struct X87StoreRegister<TPop> : IX87Form
    where TPop : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        X87Register value = X87Unit.IsEmpty(ref cpu, 0) ? s.StackFault(overflow: false) : X87Unit.St(ref cpu, 0);
        if (!s.Commit(ref cpu))
        {
            return;
        }

        X87Unit.Write(ref cpu, op.Src, value);
        if (TPop.Value)
        {
            X87Unit.Pop(ref cpu);
        }
    }
}

/// <summary>
/// FSTPNCE, an encoding the SDM does not describe: FSTP to a register, but an empty ST(0) raises nothing and is only popped. So the host
/// processors do.
/// </summary>
internal readonly struct X87StoreUnchecked : IX87Form
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        s.Commit(ref cpu);
        if (!X87Unit.IsEmpty(ref cpu, 0))
        {
            X87Unit.Write(ref cpu, op.Src, X87Unit.St(ref cpu, 0));
        }

        X87Unit.Pop(ref cpu);
    }
}

/// <summary>FXCH: an empty register counts as the indefinite.</summary>
internal readonly struct X87Exchange : IX87Form
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        X87Register top = X87Unit.IsEmpty(ref cpu, 0) ? s.StackFault(overflow: false) : X87Unit.St(ref cpu, 0);
        X87Register other = X87Unit.IsEmpty(ref cpu, op.Src) ? s.StackFault(overflow: false) : X87Unit.St(ref cpu, op.Src);
        if (s.Commit(ref cpu))
        {
            X87Unit.Write(ref cpu, 0, other);
            X87Unit.Write(ref cpu, op.Src, top);
        }
    }
}

/// <summary>FCMOVcc: C1 stays, unless a register is empty.</summary>
internal readonly struct X87ConditionalMove<TCondition> : IX87Form
    where TCondition : struct, ICondition
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        if (X87Unit.IsEmpty(ref cpu, 0) || X87Unit.IsEmpty(ref cpu, op.Src))
        {
            X87Register indefinite = s.StackFault(overflow: false);
            if (s.Commit(ref cpu))
            {
                X87Unit.Write(ref cpu, 0, indefinite);
            }
        }
        else if (TCondition.Test(ref cpu.Flags))
        {
            X87Unit.Write(ref cpu, 0, X87Unit.St(ref cpu, op.Src));
        }
    }
}

/// <summary>FFREE and FFREEP.</summary>
internal readonly struct X87FreeRegister<TPop> : IX87Form
    where TPop : struct, IFlag
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        s.Commit(ref cpu);
        X87Unit.Free(ref cpu, op.Src);
        if (TPop.Value)
        {
            X87Unit.Pop(ref cpu);
        }
    }
}

/// <summary>FINCSTP and FDECSTP: TOP turns, and nothing becomes empty.</summary>
internal readonly struct X87TurnStack<TUp> : IX87Form
    where TUp : struct, IFlag
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        cpu.X87.Top = (byte)((cpu.X87.Top + (TUp.Value ? 1 : -1)) & 7);
        s.Commit(ref cpu);
    }
}

/// <summary>FNOP, and FENI, FDISI and FSETPM, which mean nothing since the 387; they wait.</summary>
internal readonly struct X87Nothing : IX87Form
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
    }
}
