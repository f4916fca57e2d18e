using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds MUL, IMUL, DIV, IDIV.</summary>
internal static class MultiplyBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => Operands.Width(i) switch
    {
        1 => Bind<byte>(i, ref op),
        2 => Bind<ushort>(i, ref op),
        4 => Bind<uint>(i, ref op),
        _ => Bind<ulong>(i, ref op),
    };

    private static BindKind Bind<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T>
    {
        int source = i.OpCount == 1 ? 0 : 1;
        if (i.OpCount == 1)
        {
            op.Src = op.Dst;
        }

        return i.GetOpKind(source) == OpKind.Memory ? Bind<T, SourceMemory>(i, ref op) : Bind<T, SourceRegister>(i, ref op);
    }

    private static BindKind Bind<T, TSource>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T>
        where TSource : struct, IOperand => (i.Mnemonic, i.OpCount) switch
        {
            (Mnemonic.Mul, _) => OpBinder<TPort>.Straight<MulWide<T, TSource, False>>(ref op),
            (Mnemonic.Imul, 1) => OpBinder<TPort>.Straight<MulWide<T, TSource, True>>(ref op),
            (Mnemonic.Imul, 2) => OpBinder<TPort>.Straight<MulTruncated<T, TSource, False>>(ref op),
            (Mnemonic.Imul, _) => OpBinder<TPort>.Straight<MulTruncated<T, TSource, True>>(ref op),
            (Mnemonic.Div, _) => OpBinder<TPort>.Straight<Divide<T, TSource, False>>(ref op),
            _ => OpBinder<TPort>.Straight<Divide<T, TSource, True>>(ref op),
        };
}

/// <summary>An operand that is read: a register or memory.</summary>
internal interface IOperand
{
    /// <summary>Reads it.</summary>
    static abstract bool Read<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged;
}

/// <summary><see cref="Op.Src"/>.</summary>
internal readonly struct SourceRegister : IOperand
{
    /// <inheritdoc/>
    public static bool Read<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged
    {
        value = CpuState.At<T>(ref cpu, op.Src);
        return true;
    }
}

/// <summary>The memory operand.</summary>
internal readonly struct SourceMemory : IOperand
{
    /// <inheritdoc/>
    public static bool Read<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged => TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out value);
}

/// <summary>The register pairs of the one-operand forms: AX, DX:AX, EDX:EAX, RDX:RAX.</summary>
internal static class WidePair
{
    /// <summary>Writes a double-width value.</summary>
    public static void Set<T>(ref CpuState cpu, T low, T high)
        where T : unmanaged, IBinaryInteger<T>
    {
        if (ShiftCount.Bits<T>() == 8)
        {
            CpuState.At<T>(ref cpu, OperandLayout.Gpr) = low;
            CpuState.At<T>(ref cpu, OperandLayout.Gpr + 1) = high;
            return;
        }

        CpuState.Set(ref cpu, OperandLayout.Gpr, low);
        CpuState.Set(ref cpu, OperandLayout.Gpr + (GeneralRegister.Rdx * sizeof(ulong)), high);
    }

    /// <summary>The high half.</summary>
    public static T High<T>(ref CpuState cpu)
        where T : unmanaged, IBinaryInteger<T> =>
        CpuState.At<T>(ref cpu, OperandLayout.Gpr + (ShiftCount.Bits<T>() == 8 ? 1 : GeneralRegister.Rdx * sizeof(ulong)));

    /// <summary>The low half.</summary>
    public static T Low<T>(ref CpuState cpu)
        where T : unmanaged, IBinaryInteger<T> => CpuState.At<T>(ref cpu, OperandLayout.Gpr);
}

/// <summary>MUL, and IMUL with one operand: a double-width product.</summary>
internal readonly struct MulWide<T, TSource, TSigned> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IOperand
    where TSigned : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.Read<TPort, T>(ref cpu, ref op, vcpu, out T b))
        {
            return false;
        }

        T a = WidePair.Low<T>(ref cpu);
        int bits = ShiftCount.Bits<T>();
        T low;
        T high;
        if (bits == 64)
        {
            ulong x = ulong.CreateTruncating(a);
            ulong y = ulong.CreateTruncating(b);
            ulong upper = Math.BigMul(x, y, out ulong lower);
            if (TSigned.Value)
            {
                upper -= ((ulong)((long)x >> 63) & y) + ((ulong)((long)y >> 63) & x);
            }

            low = T.CreateTruncating(lower);
            high = T.CreateTruncating(upper);
        }
        else if (TSigned.Value)
        {
            long product = ShiftCount.Signed(a) * ShiftCount.Signed(b);
            low = T.CreateTruncating(product);
            high = T.CreateTruncating(product >> bits);
        }
        else
        {
            ulong product = ulong.CreateTruncating(a) * ulong.CreateTruncating(b);
            low = T.CreateTruncating(product);
            high = T.CreateTruncating(product >> bits);
        }

        bool overflow = high != (TSigned.Value && ShiftCount.Top(low) ? T.AllBitsSet : T.Zero);
        WidePair.Set(ref cpu, low, high);
        cpu.Flags.SetResult(low, overflow, overflow);
        return true;
    }
}

/// <summary>IMUL with two or three operands: a product truncated to the operand's width.</summary>
internal readonly struct MulTruncated<T, TSource, TImmediate> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IOperand
    where TImmediate : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.Read<TPort, T>(ref cpu, ref op, vcpu, out T source))
        {
            return false;
        }

        T other = TImmediate.Value ? T.CreateTruncating(op.Immediate) : CpuState.At<T>(ref cpu, op.Dst);
        T result;
        bool overflow;
        if (ShiftCount.Bits<T>() == 64)
        {
            long high = Math.BigMul((long)ulong.CreateTruncating(source), (long)ulong.CreateTruncating(other), out long low);
            result = T.CreateTruncating(low);
            overflow = high != low >> 63;
        }
        else
        {
            long product = ShiftCount.Signed(source) * ShiftCount.Signed(other);
            result = T.CreateTruncating(product);
            overflow = product != ShiftCount.Signed(result);
        }

        CpuState.Set(ref cpu, op.Dst, result);
        cpu.Flags.SetResult(result, overflow, overflow);
        return true;
    }
}

/// <summary>DIV and IDIV; the flags, undefined by the SDM, stay.</summary>
internal readonly struct Divide<T, TSource, TSigned> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IOperand
    where TSigned : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.Read<TPort, T>(ref cpu, ref op, vcpu, out T divisor))
        {
            return false;
        }

        if (divisor == T.Zero)
        {
            return vcpu.Raise(ExceptionVector.DivideError, null, FaultRule.DivideByZero);
        }

        T low = WidePair.Low<T>(ref cpu);
        T high = WidePair.High<T>(ref cpu);
        bool fits = TSigned.Value
            ? TrySigned(low, high, divisor, out T quotient, out T remainder)
            : TryUnsigned(low, high, divisor, out quotient, out remainder);
        if (!fits)
        {
            return vcpu.Raise(ExceptionVector.DivideError, null, FaultRule.QuotientOverflow);
        }

        WidePair.Set(ref cpu, quotient, remainder);
        return true;
    }

    private static bool TryUnsigned(T low, T high, T divisor, out T quotient, out T remainder)
    {
        quotient = remainder = T.Zero;
        if (high >= divisor)
        {
            return false;
        }

        if (ShiftCount.Bits<T>() < 64 || high == T.Zero)
        {
            ulong dividend = ShiftCount.Bits<T>() < 64
                ? (ulong.CreateTruncating(high) << ShiftCount.Bits<T>()) | ulong.CreateTruncating(low)
                : ulong.CreateTruncating(low);
            (ulong q, ulong r) = Math.DivRem(dividend, ulong.CreateTruncating(divisor));
            quotient = T.CreateTruncating(q);
            remainder = T.CreateTruncating(r);
            return true;
        }

        (UInt128 wide, UInt128 rest) = UInt128.DivRem(new UInt128(ulong.CreateTruncating(high), ulong.CreateTruncating(low)), UInt128.CreateTruncating(divisor));
        quotient = T.CreateTruncating(wide);
        remainder = T.CreateTruncating(rest);
        return true;
    }

    private static bool TrySigned(T low, T high, T divisor, out T quotient, out T remainder)
    {
        Int128 dividend = (Int128)ShiftCount.Signed(high) << ShiftCount.Bits<T>() | (Int128)(UInt128)ulong.CreateTruncating(low);
        Int128 by = ShiftCount.Signed(divisor);
        quotient = remainder = T.Zero;
        if (by == Int128.NegativeOne && dividend == Int128.MinValue)
        {
            return false;
        }

        Int128 q;
        Int128 r;
        if (dividend > long.MinValue && dividend <= long.MaxValue)
        {
            (q, r) = Math.DivRem((long)dividend, (long)by);
        }
        else
        {
            (q, r) = Int128.DivRem(dividend, by);
        }

        quotient = T.CreateTruncating(q);
        remainder = T.CreateTruncating(r);
        return q == ShiftCount.Signed(quotient);
    }
}
