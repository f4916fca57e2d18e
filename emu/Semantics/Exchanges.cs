using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds XCHG, XADD and the CMPXCHG family.</summary>
/// <remarks>
/// Processors of one machine take turns on one host thread, so a read-modify-write is atomic towards them with LOCK or without.
/// </remarks>
internal static class ExchangeBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        if (i.Mnemonic == Mnemonic.Cmpxchg8b)
        {
            return OpBinder<TPort>.Straight<CompareExchangePair<uint, ulong>>(ref op);
        }

        if (i.Mnemonic == Mnemonic.Cmpxchg16b)
        {
            return OpBinder<TPort>.Straight<CompareExchangePair<ulong, UInt128>>(ref op);
        }

        if (i.Op0Kind == OpKind.Register && i.Op1Kind == OpKind.Memory)
        {
            op.Src = op.Dst;
        }

        return Operands.Width(i) switch
        {
            1 => Bind<byte>(i, ref op),
            2 => Bind<ushort>(i, ref op),
            4 => Bind<uint>(i, ref op),
            _ => Bind<ulong>(i, ref op),
        };
    }

    private static BindKind Bind<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T>
    {
        bool memory = i.Op0Kind == OpKind.Memory || i.Op1Kind == OpKind.Memory;
        return (i.Mnemonic, memory) switch
        {
            (Mnemonic.Xchg, false) => OpBinder<TPort>.Straight<ExchangeReg<T>>(ref op),
            (Mnemonic.Xchg, true) => OpBinder<TPort>.Straight<ExchangeMem<T>>(ref op),
            (Mnemonic.Xadd, false) => OpBinder<TPort>.Straight<ExchangeAddReg<T>>(ref op),
            (Mnemonic.Xadd, true) => OpBinder<TPort>.Straight<ExchangeAddMem<T>>(ref op),
            (_, false) => OpBinder<TPort>.Straight<CompareExchangeReg<T>>(ref op),
            _ => OpBinder<TPort>.Straight<CompareExchangeMem<T>>(ref op),
        };
    }
}

/// <summary>XCHG of two registers.</summary>
internal readonly struct ExchangeReg<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        T a = CpuState.At<T>(ref cpu, op.Dst);
        T b = CpuState.At<T>(ref cpu, op.Src);
        CpuState.Set(ref cpu, op.Dst, b);
        CpuState.Set(ref cpu, op.Src, a);
        return true;
    }
}

/// <summary>XCHG with memory.</summary>
internal readonly struct ExchangeMem<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!TPort.BeginModify(ref cpu, vcpu, gva, out T value, out nint location))
        {
            return false;
        }

        TPort.CommitModify(ref cpu, vcpu, gva, location, CpuState.At<T>(ref cpu, op.Src));
        CpuState.Set(ref cpu, op.Src, value);
        return true;
    }
}

/// <summary>XADD of two registers: the sum goes to the first, also when both are one.</summary>
internal readonly struct ExchangeAddReg<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        T a = CpuState.At<T>(ref cpu, op.Dst);
        T sum = Add.Apply(ref cpu.Flags, a, CpuState.At<T>(ref cpu, op.Src));
        CpuState.Set(ref cpu, op.Src, a);
        CpuState.Set(ref cpu, op.Dst, sum);
        return true;
    }
}

/// <summary>XADD with memory.</summary>
internal readonly struct ExchangeAddMem<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!TPort.BeginModify(ref cpu, vcpu, gva, out T value, out nint location))
        {
            return false;
        }

        T sum = Add.Apply(ref cpu.Flags, value, CpuState.At<T>(ref cpu, op.Src));
        TPort.CommitModify(ref cpu, vcpu, gva, location, sum);
        CpuState.Set(ref cpu, op.Src, value);
        return true;
    }
}

/// <summary>CMPXCHG of two registers.</summary>
internal readonly struct CompareExchangeReg<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        T accumulator = CpuState.At<T>(ref cpu, OperandLayout.Gpr);
        T value = CpuState.At<T>(ref cpu, op.Dst);
        T source = CpuState.At<T>(ref cpu, op.Src);
        Cmp.Apply(ref cpu.Flags, accumulator, value);
        if (accumulator == value)
        {
            CpuState.Set(ref cpu, op.Dst, source);
        }
        else
        {
            CpuState.Set(ref cpu, OperandLayout.Gpr, value);
        }

        return true;
    }
}

/// <summary>CMPXCHG with memory: a failed comparison writes the old value back, as hardware does.</summary>
internal readonly struct CompareExchangeMem<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!TPort.BeginModify(ref cpu, vcpu, gva, out T value, out nint location))
        {
            return false;
        }

        T accumulator = CpuState.At<T>(ref cpu, OperandLayout.Gpr);
        bool equal = accumulator == value;
        TPort.CommitModify(ref cpu, vcpu, gva, location, equal ? CpuState.At<T>(ref cpu, op.Src) : value);
        Cmp.Apply(ref cpu.Flags, accumulator, value);
        if (!equal)
        {
            CpuState.Set(ref cpu, OperandLayout.Gpr, value);
        }

        return true;
    }
}

/// <summary>CMPXCHG8B and CMPXCHG16B; the latter's operand must be aligned.</summary>
internal readonly struct CompareExchangePair<T, TPair> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TPair : unmanaged, IBinaryInteger<TPair>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        int bits = ShiftCount.Bits<T>();
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (bits == 64 && (gva & 15) != 0)
        {
            return vcpu.Raise(ExceptionVector.GeneralProtection, 0, FaultRule.MisalignedOperand, gva);
        }

        if (!TPort.BeginModify(ref cpu, vcpu, gva, out TPair value, out nint location))
        {
            return false;
        }

        TPair expected = Pair(ref cpu, bits, GeneralRegister.Rax, GeneralRegister.Rdx);
        bool equal = expected == value;
        TPort.CommitModify(ref cpu, vcpu, gva, location, equal ? Pair(ref cpu, bits, GeneralRegister.Rbx, GeneralRegister.Rcx) : value);
        if (!equal)
        {
            WidePair.Set(ref cpu, T.CreateTruncating(value), T.CreateTruncating(value >> bits));
        }

        ulong flags = cpu.Flags.Word & ~Rflags.ZF;
        cpu.Flags.Word = flags | (equal ? Rflags.ZF : 0);
        return true;
    }

    private static TPair Pair(ref CpuState cpu, int bits, int low, int high) =>
        (TPair.CreateTruncating(T.CreateTruncating(cpu.Gpr[high])) << bits) | TPair.CreateTruncating(T.CreateTruncating(cpu.Gpr[low]));
}
