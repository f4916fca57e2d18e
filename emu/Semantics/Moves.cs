using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>MOV of a register.</summary>
internal readonly struct MoveRegReg<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, CpuState.At<T>(ref cpu, op.Src));
        return true;
    }
}

/// <summary>MOV of an immediate.</summary>
internal readonly struct MoveRegImm<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(op.Immediate));
        return true;
    }
}

/// <summary>MOV from memory.</summary>
internal readonly struct MoveRegMem<T, TAddress> : IInstruction
    where T : unmanaged
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, TAddress.Of(ref cpu, ref op), out T value))
        {
            return false;
        }

        CpuState.Set(ref cpu, op.Dst, value);
        return true;
    }
}

/// <summary>MOV to memory.</summary>
internal readonly struct MoveMem<T, TAddress, TSource> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TAddress : struct, IAddress
    where TSource : struct, ISource
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TPort.Write(ref cpu, vcpu, TAddress.Of(ref cpu, ref op), TSource.Get<T>(ref cpu, ref op));
}

/// <summary>MOVZX, MOVSX and MOVSXD of a register.</summary>
internal readonly struct ExtendReg<TFrom, TTo, TSigned> : IInstruction
    where TFrom : unmanaged, IBinaryInteger<TFrom>
    where TTo : unmanaged, IBinaryInteger<TTo>
    where TSigned : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, Extension.Of<TFrom, TTo, TSigned>(CpuState.At<TFrom>(ref cpu, op.Src)));
        return true;
    }
}

/// <summary>MOVZX, MOVSX and MOVSXD from memory.</summary>
internal readonly struct ExtendMem<TFrom, TTo, TSigned, TAddress> : IInstruction
    where TFrom : unmanaged, IBinaryInteger<TFrom>
    where TTo : unmanaged, IBinaryInteger<TTo>
    where TSigned : struct, IFlag
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, TAddress.Of(ref cpu, ref op), out TFrom value))
        {
            return false;
        }

        CpuState.Set(ref cpu, op.Dst, Extension.Of<TFrom, TTo, TSigned>(value));
        return true;
    }
}

internal static class Extension
{
    /// <summary>A value in a wider type, by its sign or by zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TTo Of<TFrom, TTo, TSigned>(TFrom value)
        where TFrom : unmanaged, IBinaryInteger<TFrom>
        where TTo : unmanaged, IBinaryInteger<TTo>
        where TSigned : struct, IFlag =>
        TSigned.Value ? TTo.CreateTruncating(ShiftCount.Signed(value)) : TTo.CreateTruncating(value);
}

/// <summary>LEA.</summary>
internal readonly struct Lea<T, TAddress> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong address = typeof(TAddress) == typeof(AnyAddress) ? AnyAddress.Offset(ref cpu, ref op) : TAddress.Of(ref cpu, ref op);
        CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(address));
        return true;
    }
}

/// <summary>SETcc of a register.</summary>
internal readonly struct SetReg<TCondition> : IInstruction
    where TCondition : struct, ICondition
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.At<byte>(ref cpu, op.Dst) = TCondition.Test(ref cpu.Flags) ? (byte)1 : (byte)0;
        return true;
    }
}

/// <summary>SETcc of memory.</summary>
internal readonly struct SetMem<TCondition> : IInstruction
    where TCondition : struct, ICondition
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), TCondition.Test(ref cpu.Flags) ? (byte)1 : (byte)0);
}

/// <summary>CMOVcc of a register: a 32-bit destination is zero-extended even when the condition fails.</summary>
internal readonly struct CmovReg<TCondition, T> : IInstruction
    where TCondition : struct, ICondition
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, CpuState.At<T>(ref cpu, TCondition.Test(ref cpu.Flags) ? op.Src : op.Dst));
        return true;
    }
}

/// <summary>CMOVcc from memory: the operand is read, and may fault, whatever the condition.</summary>
internal readonly struct CmovMem<TCondition, T> : IInstruction
    where TCondition : struct, ICondition
    where T : unmanaged
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out T value))
        {
            return false;
        }

        CpuState.Set(ref cpu, op.Dst, TCondition.Test(ref cpu.Flags) ? value : CpuState.At<T>(ref cpu, op.Dst));
        return true;
    }
}

/// <summary>CBW, CWDE and CDQE.</summary>
internal readonly struct SignExtendAccumulator<TFrom, TTo> : IInstruction
    where TFrom : unmanaged, IBinaryInteger<TFrom>
    where TTo : unmanaged, IBinaryInteger<TTo>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, OperandLayout.Gpr, Extension.Of<TFrom, TTo, True>(CpuState.At<TFrom>(ref cpu, OperandLayout.Gpr)));
        return true;
    }
}

/// <summary>CWD, CDQ and CQO.</summary>
internal readonly struct SignIntoDx<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        T sign = ShiftCount.Top(WidePair.Low<T>(ref cpu)) ? T.AllBitsSet : T.Zero;
        CpuState.Set(ref cpu, OperandLayout.Gpr + (GeneralRegister.Rdx * sizeof(ulong)), sign);
        return true;
    }
}

/// <summary>XLAT: the index is AL.</summary>
internal readonly struct Xlat : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong offset = CpuState.At<ulong>(ref cpu, op.Base) + (byte)cpu.Gpr[GeneralRegister.Rax];
        if (!TPort.Read(ref cpu, vcpu, AnyAddress.At(ref cpu, ref op, AnyAddress.Masked(ref op, offset)), out byte value))
        {
            return false;
        }

        CpuState.At<byte>(ref cpu, OperandLayout.Gpr) = value;
        return true;
    }
}

/// <summary>NOP, and hints that have no effect here.</summary>
internal readonly struct Nop : IInstruction
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => true;
}

/// <summary>LAHF.</summary>
internal readonly struct Lahf : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.At<byte>(ref cpu, OperandLayout.Gpr + 1) = (byte)(cpu.Flags.Word | Rflags.Fixed);
        return true;
    }
}

/// <summary>SAHF: OF stays.</summary>
internal readonly struct Sahf : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong overflow = cpu.Flags.Word & Rflags.OF;
        cpu.Flags.Word = overflow | CpuState.At<byte>(ref cpu, OperandLayout.Gpr + 1);
        return true;
    }
}

/// <summary>CLC and STC.</summary>
internal readonly struct SetCarry<TValue> : IInstruction
    where TValue : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        cpu.Flags.SetCF(TValue.Value);
        return true;
    }
}

/// <summary>CMC.</summary>
internal readonly struct ComplementCarry : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        cpu.Flags.SetCF(!cpu.Flags.CF);
        return true;
    }
}

/// <summary>CLD and STD.</summary>
internal readonly struct SetDirection<TValue> : IInstruction
    where TValue : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        cpu.SystemFlags = TValue.Value ? cpu.SystemFlags | Rflags.DF : cpu.SystemFlags & ~Rflags.DF;
        return true;
    }
}
