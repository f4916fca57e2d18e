using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>An operation on the destination and the source.</summary>
internal interface IX87Operation
{
    /// <summary>Applies it.</summary>
    static abstract X87Register Apply(X87Register destination, X87Register source, ref X87Status s);
}

/// <summary>FADD.</summary>
internal readonly struct X87Add : IX87Operation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.Add(destination, source, ref s);
}

/// <summary>FSUB.</summary>
internal readonly struct X87Subtract : IX87Operation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.Subtract(destination, source, ref s);
}

/// <summary>FSUBR.</summary>
internal readonly struct X87SubtractReverse : IX87Operation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.Subtract(source, destination, ref s);
}

/// <summary>FMUL.</summary>
internal readonly struct X87Multiply : IX87Operation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.Multiply(destination, source, ref s);
}

/// <summary>FDIV.</summary>
internal readonly struct X87Divide : IX87Operation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.Divide(destination, source, ref s);
}

/// <summary>FDIVR.</summary>
internal readonly struct X87DivideReverse : IX87Operation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.Divide(source, destination, ref s);
}

/// <summary>ST(0) and ST(i): the destination is ST(i) for <typeparamref name="TBack"/>, and there may be a pop.</summary>
internal readonly struct X87Arithmetic<TOperation, TBack, TPop> : IX87Form
    where TOperation : struct, IX87Operation
    where TBack : struct, IFlag
    where TPop : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        int destination = TBack.Value ? op.Src : 0, source = TBack.Value ? 0 : op.Src;
        X87Register value = X87Unit.IsEmpty(ref cpu, 0) || X87Unit.IsEmpty(ref cpu, op.Src)
            ? s.StackFault(overflow: false)
            : TOperation.Apply(X87Unit.St(ref cpu, destination), X87Unit.St(ref cpu, source), ref s);
        if (!s.Commit(ref cpu))
        {
            return;
        }

        X87Unit.Write(ref cpu, destination, value);
        if (TPop.Value)
        {
            X87Unit.Pop(ref cpu);
        }
    }
}

/// <summary>ST(0) and memory.</summary>
internal readonly struct X87ArithmeticMemory<TOperation> : IX87SourceForm
    where TOperation : struct, IX87Operation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, X87Register source, ref X87Status s)
    {
        X87Register value;
        if (X87Unit.IsEmpty(ref cpu, 0))
        {
            value = s.StackFault(overflow: false);
        }
        else
        {
            value = TOperation.Apply(X87Unit.St(ref cpu, 0), source, ref s);
            s.NoteSource(value);
        }

        if (s.Commit(ref cpu))
        {
            X87Unit.Write(ref cpu, 0, value);
        }
    }
}

/// <summary>An operation on ST(0) alone.</summary>
internal interface IX87Unary
{
    /// <summary>Applies it.</summary>
    static abstract X87Register Apply(X87Register value, ref X87Status s);
}

/// <summary>FSQRT.</summary>
internal readonly struct X87SquareRoot : IX87Unary
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register value, ref X87Status s) => ExtendedFloat.SquareRoot(value, ref s);
}

/// <summary>FRNDINT.</summary>
internal readonly struct X87RoundToInteger : IX87Unary
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register value, ref X87Status s) => ExtendedFloat.RoundToInteger(value, ref s);
}

/// <summary>FABS: of anything, without exceptions.</summary>
internal readonly struct X87Absolute : IX87Unary
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register value, ref X87Status s) => new(value.SignExponent & ~ExtendedFloat.SignBit, value.Significand);
}

/// <summary>FCHS: of anything, without exceptions.</summary>
internal readonly struct X87ChangeSign : IX87Unary
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register value, ref X87Status s) => new(value.SignExponent ^ ExtendedFloat.SignBit, value.Significand);
}

/// <summary>F2XM1.</summary>
internal readonly struct X87ExponentialMinusOne : IX87Unary
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register value, ref X87Status s) => ExtendedFloat.ExponentialMinusOne(value, ref s);
}

/// <summary>ST(0) becomes a function of itself.</summary>
internal readonly struct X87Unary<TOperation> : IX87Form
    where TOperation : struct, IX87Unary
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        X87Register value = X87Unit.IsEmpty(ref cpu, 0) ? s.StackFault(overflow: false) : TOperation.Apply(X87Unit.St(ref cpu, 0), ref s);
        if (s.Commit(ref cpu))
        {
            X87Unit.Write(ref cpu, 0, value);
        }
    }
}

/// <summary>FPATAN.</summary>
internal readonly struct X87ArcTangent : IX87Operation
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.ArcTangent(destination, source, ref s);
}

/// <summary>FYL2X.</summary>
internal readonly struct X87Logarithm : IX87Operation
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.Logarithm(destination, source, ref s);
}

/// <summary>FYL2XP1.</summary>
internal readonly struct X87LogarithmPlusOne : IX87Operation
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.LogarithmPlusOne(destination, source, ref s);
}

/// <summary>FSCALE.</summary>
internal readonly struct X87Scale : IX87Operation
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register destination, X87Register source, ref X87Status s) => ExtendedFloat.Scale(destination, source, ref s);
}

/// <summary>FXTRACT: the exponent replaces ST(0), and the significand is pushed.</summary>
internal readonly struct X87Extract : IX87Form
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        X87Register significand;
        X87Register exponent = X87Unit.IsEmpty(ref cpu, 0) ? significand = s.StackFault(overflow: false)
            : !X87Unit.IsEmpty(ref cpu, -1) ? significand = s.StackFault(overflow: true)
            : ExtendedFloat.Extract(X87Unit.St(ref cpu, 0), out significand, ref s);
        if (s.Commit(ref cpu))
        {
            X87Unit.Write(ref cpu, 0, exponent);
            X87Unit.Push(ref cpu, significand);
        }
    }
}

/// <summary>
/// FPREM and FPREM1: C2 while steps are left, else C0, C3 and C1 hold the quotient's low three bits; C0 and C3 stay where there is none.
/// </summary>
internal readonly struct X87Remainder<TNearest> : IX87Form
    where TNearest : struct, IFlag
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        ulong quotient = 0;
        bool partial = false;
        X87Register value = X87Unit.IsEmpty(ref cpu, 0) || X87Unit.IsEmpty(ref cpu, 1)
            ? s.StackFault(overflow: false)
            : ExtendedFloat.Remainder(X87Unit.St(ref cpu, 0), X87Unit.St(ref cpu, 1), TNearest.Value, out quotient, out partial, ref s);
        if (!s.Commit(ref cpu))
        {
            return;
        }

        X87Unit.Write(ref cpu, 0, value);
        uint bits = (partial ? X87Bits.C2 : 0)
            | ((quotient & 4) != 0 ? X87Bits.C0 : 0) | ((quotient & 2) != 0 ? X87Bits.C3 : 0) | ((quotient & 1) != 0 ? X87Bits.C1 : 0);
        uint written = ExtendedFloat.IsNaN(value) ? X87Bits.C2 : X87Bits.Comparison;
        cpu.X87.Status = (ushort)((cpu.X87.Status & ~written) | bits);
    }
}
