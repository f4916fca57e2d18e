using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds the instructions that 64-bit mode does not have: decimal and ASCII adjustment, BOUND, SALC.</summary>
internal static class LegacyBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Code switch
    {
        Code.Daa => OpBinder<TPort>.Straight<DecimalAdjust<False>>(ref op),
        Code.Das => OpBinder<TPort>.Straight<DecimalAdjust<True>>(ref op),
        Code.Aaa => OpBinder<TPort>.Straight<AsciiAdjust<False>>(ref op),
        Code.Aas => OpBinder<TPort>.Straight<AsciiAdjust<True>>(ref op),
        Code.Aam_imm8 => OpBinder<TPort>.Straight<AsciiAdjustMultiply>(ref op),
        Code.Aad_imm8 => OpBinder<TPort>.Straight<AsciiAdjustDivide>(ref op),
        Code.Salc => OpBinder<TPort>.Straight<SetAlOnCarry>(ref op),
        Code.Bound_r16_m1616 => OpBinder<TPort>.Straight<Bound<short>>(ref op),
        Code.Bound_r32_m3232 => OpBinder<TPort>.Straight<Bound<int>>(ref op),
        _ => BindKind.Unsupported,
    };
}

/// <summary>What adjustments share.</summary>
internal static class Adjustment
{
    /// <summary>Writes SF, ZF and PF of AL, and AF and CF; OF, which is undefined, becomes 0.</summary>
    public static void SetFlags(ref CpuState cpu, byte al, bool carry, bool adjust)
    {
        ulong flags = (carry ? Rflags.CF : 0) | (adjust ? Rflags.AF : 0);
        flags |= al == 0 ? Rflags.ZF : 0;
        flags |= (al & 0x80) != 0 ? Rflags.SF : 0;
        flags |= (BitOperations.PopCount(al) & 1) == 0 ? Rflags.PF : 0;
        cpu.Flags.Word = flags;
    }
}

/// <summary>DAA and DAS (SDM Vol. 2A).</summary>
internal readonly struct DecimalAdjust<TSubtract> : IInstruction
    where TSubtract : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ref byte al = ref CpuState.At<byte>(ref cpu, OperandLayout.Gpr);
        byte old = al;
        bool carry = cpu.Flags.CF;
        bool low = (old & 0xF) > 9 || cpu.Flags.AF;
        bool high = old > 0x99 || carry;
        int value = old;
        bool borrowed = false;
        if (low)
        {
            value = TSubtract.Value ? value - 6 : value + 6;
            borrowed = TSubtract.Value && old < 6;
        }

        if (high)
        {
            value = TSubtract.Value ? value - 0x60 : value + 0x60;
        }

        al = (byte)value;
        Adjustment.SetFlags(ref cpu, al, high || borrowed, low);
        return true;
    }
}

/// <summary>AAA and AAS (SDM Vol. 2A).</summary>
internal readonly struct AsciiAdjust<TSubtract> : IInstruction
    where TSubtract : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ref ushort ax = ref CpuState.At<ushort>(ref cpu, OperandLayout.Gpr);
        bool adjust = (ax & 0xF) > 9 || cpu.Flags.AF;
        if (adjust)
        {
            ax = (ushort)(TSubtract.Value ? ax - 0x106 : ax + 0x106);
        }

        ax &= 0xFF0F;
        Adjustment.SetFlags(ref cpu, (byte)ax, adjust, adjust);
        return true;
    }
}

/// <summary>AAM: #DE for a divisor of 0.</summary>
internal readonly struct AsciiAdjustMultiply : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        byte divisor = (byte)op.Immediate;
        if (divisor == 0)
        {
            return vcpu.Raise(ExceptionVector.DivideError, null, FaultRule.DivideByZero);
        }

        ref ushort ax = ref CpuState.At<ushort>(ref cpu, OperandLayout.Gpr);
        byte al = (byte)ax;
        ax = (ushort)(((al / divisor) << 8) | (al % divisor));
        Adjustment.SetFlags(ref cpu, (byte)ax, carry: false, adjust: false);
        return true;
    }
}

/// <summary>AAD.</summary>
internal readonly struct AsciiAdjustDivide : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ref ushort ax = ref CpuState.At<ushort>(ref cpu, OperandLayout.Gpr);
        ax = (byte)((byte)ax + ((ax >> 8) * (byte)op.Immediate));
        Adjustment.SetFlags(ref cpu, (byte)ax, carry: false, adjust: false);
        return true;
    }
}

/// <summary>SALC: AL becomes FFH or 0 as CF is.</summary>
internal readonly struct SetAlOnCarry : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.At<byte>(ref cpu, OperandLayout.Gpr) = cpu.Flags.CF ? byte.MaxValue : (byte)0;
        return true;
    }
}

/// <summary>BOUND: #BR where the signed index lies outside the two bounds.</summary>
internal readonly struct Bound<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong address = AnyAddress.Of(ref cpu, ref op);
        if (!TPort.Read(ref cpu, vcpu, address, out T lower) || !TPort.Read(ref cpu, vcpu, address + (ulong)sizeof(T), out T upper))
        {
            return false;
        }

        T index = CpuState.At<T>(ref cpu, op.Dst);
        return (index >= lower && index <= upper) || vcpu.Raise(ExceptionVector.BoundRange, null, FaultRule.BoundExceeded);
    }
}
