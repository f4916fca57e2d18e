using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>Where a comparison leaves its result.</summary>
internal interface IX87Outcome
{
    /// <summary>Writes it, in C0, C2 and C3 as they stand in the status word.</summary>
    static abstract void Write(ref CpuState cpu, uint outcome);
}

/// <summary>In C0, C2 and C3.</summary>
internal readonly struct ConditionCodes : IX87Outcome
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(ref CpuState cpu, uint outcome) => cpu.X87.Status = (ushort)((cpu.X87.Status & ~X87Bits.Comparison) | outcome);
}

/// <summary>In CF, PF and ZF; OF, SF and AF are cleared.</summary>
internal readonly struct StatusFlags : IX87Outcome
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(ref CpuState cpu, uint outcome) => cpu.Flags.Word =
        ((outcome & X87Bits.C0) != 0 ? Rflags.CF : 0) | ((outcome & X87Bits.C2) != 0 ? Rflags.PF : 0) | ((outcome & X87Bits.C3) != 0 ? Rflags.ZF : 0);
}

/// <summary>Comparisons of extended numbers.</summary>
internal static class X87Comparison
{
    /// <summary>The outcome where the operands have no order.</summary>
    public const uint Unordered = X87Bits.Comparison;

    /// <summary>C0 for less, C3 for equal, all three for unordered; a QNaN is invalid unless <paramref name="quiet"/>.</summary>
    public static uint Of(X87Register a, X87Register b, bool quiet, ref X87Status s)
    {
        if (ExtendedFloat.Propagates(a) || ExtendedFloat.Propagates(b))
        {
            bool invalid = !quiet || ExtendedFloat.IsSignaling(a) || ExtendedFloat.IsSignaling(b)
                || ExtendedFloat.IsUnsupported(a) || ExtendedFloat.IsUnsupported(b);
            s.Flags |= invalid ? X87Bits.IE : 0;
            return Unordered;
        }

        s.Flags |= ExtendedFloat.IsDenormal(a) || ExtendedFloat.IsDenormal(b) || s.SourceIsDenormal ? X87Bits.DE : 0;
        if (ExtendedFloat.IsZero(a) && ExtendedFloat.IsZero(b))
        {
            return X87Bits.C3;
        }

        uint sign = ExtendedFloat.Sign(a);
        if (sign != ExtendedFloat.Sign(b))
        {
            return sign != 0 ? X87Bits.C0 : 0;
        }

        // A pseudo-denormal has the exponent of the least normal number.
        int exponentA = Math.Max(ExtendedFloat.Exponent(a), 1), exponentB = Math.Max(ExtendedFloat.Exponent(b), 1);
        int order = exponentA != exponentB ? exponentA.CompareTo(exponentB) : a.Significand.CompareTo(b.Significand);
        return order == 0 ? X87Bits.C3 : (order < 0) != (sign != 0) ? X87Bits.C0 : 0;
    }
}

/// <summary>FCOM, FUCOM, FCOMI, FUCOMI and what pops once or twice after them.</summary>
internal readonly struct X87Compare<TQuiet, TOutcome, TPop, TPopAgain> : IX87Form
    where TQuiet : struct, IFlag
    where TOutcome : struct, IX87Outcome
    where TPop : struct, IFlag
    where TPopAgain : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        uint outcome = X87Comparison.Unordered;
        if (X87Unit.IsEmpty(ref cpu, 0) || X87Unit.IsEmpty(ref cpu, op.Src))
        {
            s.StackFault(overflow: false);
        }
        else
        {
            outcome = X87Comparison.Of(X87Unit.St(ref cpu, 0), X87Unit.St(ref cpu, op.Src), TQuiet.Value, ref s);
        }

        if (!s.Commit(ref cpu))
        {
            return;
        }

        TOutcome.Write(ref cpu, outcome);
        if (TPop.Value)
        {
            X87Unit.Pop(ref cpu);
        }

        if (TPopAgain.Value)
        {
            X87Unit.Pop(ref cpu);
        }
    }
}

/// <summary>FCOM and FICOM with memory.</summary>
internal readonly struct X87CompareMemory<TPop> : IX87SourceForm
    where TPop : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(ref CpuState cpu, X87Register source, ref X87Status s)
    {
        uint outcome = X87Comparison.Unordered;
        if (X87Unit.IsEmpty(ref cpu, 0))
        {
            s.StackFault(overflow: false);
        }
        else
        {
            outcome = X87Comparison.Of(X87Unit.St(ref cpu, 0), source, quiet: false, ref s);
        }

        if (!s.Commit(ref cpu))
        {
            return;
        }

        ConditionCodes.Write(ref cpu, outcome);
        if (TPop.Value)
        {
            X87Unit.Pop(ref cpu);
        }
    }
}

/// <summary>FTST.</summary>
internal readonly struct X87Test : IX87Form
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s) => X87CompareMemory<False>.Execute(ref cpu, default, ref s);
}

/// <summary>FXAM (SDM Vol. 2A, table 3-42).</summary>
internal readonly struct X87Examine : IX87Form
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        X87Register value = X87Unit.St(ref cpu, 0);
        uint bits = X87Unit.IsEmpty(ref cpu, 0) ? X87Bits.C3 | X87Bits.C0
            : ExtendedFloat.IsUnsupported(value) ? 0
            : ExtendedFloat.IsNaN(value) ? X87Bits.C0
            : ExtendedFloat.IsInfinite(value) ? X87Bits.C2 | X87Bits.C0
            : ExtendedFloat.IsZero(value) ? X87Bits.C3
            : ExtendedFloat.IsDenormal(value) ? X87Bits.C3 | X87Bits.C2
            : X87Bits.C2;
        bits |= ExtendedFloat.Sign(value) != 0 ? X87Bits.C1 : 0;
        cpu.X87.Status = (ushort)((cpu.X87.Status & ~(X87Bits.Comparison | X87Bits.C1)) | bits);
    }
}
