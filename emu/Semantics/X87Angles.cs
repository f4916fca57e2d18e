using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>FSIN.</summary>
internal readonly struct X87Sine : IX87Unary
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register value, ref X87Status s) => ExtendedFloat.Sine(value, ref s);
}

/// <summary>FCOS.</summary>
internal readonly struct X87Cosine : IX87Unary
{
    /// <inheritdoc/>
    public static X87Register Apply(X87Register value, ref X87Status s) => ExtendedFloat.Cosine(value, ref s);
}

/// <summary>FSIN and FCOS: C2 and nothing else for an operand of 2^63 or more.</summary>
internal readonly struct X87Angle<TFunction> : IX87Form
    where TFunction : struct, IX87Unary
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        if (!X87Angles.IsBeyond(ref cpu))
        {
            X87Unary<TFunction>.Execute(ref cpu, ref op, ref s);
        }
    }
}

/// <summary>FSINCOS: the sine replaces ST(0), and the cosine is pushed.</summary>
internal readonly struct X87SineAndCosine : IX87Form
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        if (!X87Angles.CanPush(ref cpu, ref s))
        {
            return;
        }

        X87Register angle = X87Unit.St(ref cpu, 0);
        X87Status sine = s;
        X87Register first = ExtendedFloat.Sine(angle, ref sine);
        X87Register second = ExtendedFloat.Cosine(angle, ref s);
        s.Flags |= sine.Flags & ~X87Bits.C1;
        X87Angles.Finish(ref cpu, first, second, ref s);
    }
}

/// <summary>FPTAN: the tangent replaces ST(0), and 1 is pushed; a NaN is pushed again.</summary>
internal readonly struct X87Tangent : IX87Form
{
    /// <inheritdoc/>
    public static void Execute(ref CpuState cpu, ref Op op, ref X87Status s)
    {
        if (!X87Angles.CanPush(ref cpu, ref s))
        {
            return;
        }

        X87Register tangent = ExtendedFloat.Tangent(X87Unit.St(ref cpu, 0), ref s);
        X87Angles.Finish(ref cpu, tangent, ExtendedFloat.IsNaN(tangent) ? tangent : ExtendedFloat.One, ref s);
    }
}

internal static class X87Angles
{
    /// <summary>Whether ST(0) is too large, with C2 set accordingly.</summary>
    public static bool IsBeyond(ref CpuState cpu)
    {
        bool beyond = !X87Unit.IsEmpty(ref cpu, 0) && ExtendedFloat.IsBeyondAngles(X87Unit.St(ref cpu, 0));
        cpu.X87.Status = (ushort)((cpu.X87.Status & ~(X87Bits.C2 | (beyond ? X87Bits.C1 : 0))) | (beyond ? X87Bits.C2 : 0));
        return beyond;
    }

    /// <summary>Whether ST(0) is there and in range and a register is free for a second result; if not, all is done.</summary>
    public static bool CanPush(ref CpuState cpu, ref X87Status s)
    {
        bool empty = X87Unit.IsEmpty(ref cpu, 0);
        if (empty || !X87Unit.IsEmpty(ref cpu, -1))
        {
            cpu.X87.Status &= unchecked((ushort)~X87Bits.C2);
            X87Register indefinite = s.StackFault(overflow: !empty);
            Finish(ref cpu, indefinite, indefinite, ref s);
            return false;
        }

        return !IsBeyond(ref cpu);
    }

    /// <summary>Replaces ST(0) and pushes.</summary>
    public static void Finish(ref CpuState cpu, X87Register first, X87Register second, ref X87Status s)
    {
        if (s.Commit(ref cpu))
        {
            X87Unit.Write(ref cpu, 0, first);
            X87Unit.Push(ref cpu, second);
        }
    }
}
