using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds BT and its kin, BSF, BSR and BSWAP. TZCNT and LZCNT are BSF and BSR on a processor without BMI1 and LZCNT.</summary>
internal static class BitBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => Operands.Width(i) switch
    {
        2 => Bind<ushort>(i, ref op),
        4 => Bind<uint>(i, ref op),
        _ => Bind<ulong>(i, ref op),
    };

    private static BindKind Bind<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T> => i.Mnemonic switch
        {
            Mnemonic.Bt => BitTest<BitKeep, T>(i, ref op),
            Mnemonic.Bts => BitTest<BitSet, T>(i, ref op),
            Mnemonic.Btr => BitTest<BitReset, T>(i, ref op),
            Mnemonic.Btc => BitTest<BitComplement, T>(i, ref op),
            Mnemonic.Bswap => OpBinder<TPort>.Straight<Bswap<T>>(ref op),
            Mnemonic.Bsf or Mnemonic.Tzcnt => i.Op1Kind == OpKind.Memory
                ? OpBinder<TPort>.Straight<BitScan<T, SourceMemory, True>>(ref op)
                : OpBinder<TPort>.Straight<BitScan<T, SourceRegister, True>>(ref op),
            _ => i.Op1Kind == OpKind.Memory
                ? OpBinder<TPort>.Straight<BitScan<T, SourceMemory, False>>(ref op)
                : OpBinder<TPort>.Straight<BitScan<T, SourceRegister, False>>(ref op),
        };

    private static BindKind BitTest<TOperation, T>(in Instruction i, ref Op op)
        where TOperation : struct, IBitOperation
        where T : unmanaged, IBinaryInteger<T> => (i.Op0Kind, i.Op1Kind) switch
        {
            (OpKind.Register, OpKind.Register) => OpBinder<TPort>.Straight<BitTestReg<TOperation, T, FromRegister>>(ref op),
            (OpKind.Register, _) => OpBinder<TPort>.Straight<BitTestReg<TOperation, T, FromImmediate>>(ref op),
            (_, OpKind.Register) => OpBinder<TPort>.Straight<BitTestMem<TOperation, T, FromRegister, True>>(ref op),
            _ => OpBinder<TPort>.Straight<BitTestMem<TOperation, T, FromImmediate, False>>(ref op),
        };
}

/// <summary>What BT, BTS, BTR or BTC does to the bit.</summary>
internal interface IBitOperation
{
    /// <summary>Whether the operand is written.</summary>
    static abstract bool Writes { get; }

    /// <summary>The operand with the bit of the mask changed.</summary>
    static abstract T Apply<T>(T value, T mask)
        where T : unmanaged, IBinaryInteger<T>;
}

internal readonly struct BitKeep : IBitOperation
{
    public static bool Writes => false;

    public static T Apply<T>(T value, T mask)
        where T : unmanaged, IBinaryInteger<T> => value;
}

internal readonly struct BitSet : IBitOperation
{
    public static bool Writes => true;

    public static T Apply<T>(T value, T mask)
        where T : unmanaged, IBinaryInteger<T> => value | mask;
}

internal readonly struct BitReset : IBitOperation
{
    public static bool Writes => true;

    public static T Apply<T>(T value, T mask)
        where T : unmanaged, IBinaryInteger<T> => value & ~mask;
}

internal readonly struct BitComplement : IBitOperation
{
    public static bool Writes => true;

    public static T Apply<T>(T value, T mask)
        where T : unmanaged, IBinaryInteger<T> => value ^ mask;
}

/// <summary>On a register: the offset is taken modulo the width.</summary>
internal readonly struct BitTestReg<TOperation, T, TSource> : IInstruction
    where TOperation : struct, IBitOperation
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, ISource
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        int bit = int.CreateTruncating(TSource.Get<T>(ref cpu, ref op)) & (ShiftCount.Bits<T>() - 1);
        T value = CpuState.At<T>(ref cpu, op.Dst);
        cpu.Flags.SetCF(ShiftCount.Bit(value, bit));
        if (TOperation.Writes)
        {
            CpuState.Set(ref cpu, op.Dst, TOperation.Apply(value, T.One << bit));
        }

        return true;
    }
}

/// <summary>On memory: a register offset, taken as signed, reaches beyond the operand in units of its width.</summary>
internal readonly struct BitTestMem<TOperation, T, TSource, TReaches> : IInstruction
    where TOperation : struct, IBitOperation
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, ISource
    where TReaches : struct, IFlag
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        T offset = TSource.Get<T>(ref cpu, ref op);
        int bit = int.CreateTruncating(offset) & (ShiftCount.Bits<T>() - 1);
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (TReaches.Value)
        {
            ulong reach = (ulong)((ShiftCount.Signed(offset) >> int.Log2(ShiftCount.Bits<T>())) * sizeof(T));
            ulong address = AnyAddress.Offset(ref cpu, ref op) + reach;
            gva = AnyAddress.At(ref cpu, ref op, AnyAddress.Masked(ref op, address));
        }

        T value;
        if (!TOperation.Writes)
        {
            if (!TPort.Read(ref cpu, vcpu, gva, out value))
            {
                return false;
            }

            cpu.Flags.SetCF(ShiftCount.Bit(value, bit));
            return true;
        }

        if (!TPort.BeginModify(ref cpu, vcpu, gva, out value, out nint location))
        {
            return false;
        }

        TPort.CommitModify(ref cpu, vcpu, gva, location, TOperation.Apply(value, T.One << bit));
        cpu.Flags.SetCF(ShiftCount.Bit(value, bit));
        return true;
    }
}

/// <summary>BSF and BSR: a source of 0 sets ZF and leaves the destination alone, as processors do where the SDM says undefined.</summary>
internal readonly struct BitScan<T, TSource, TForward> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IOperand
    where TForward : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.Read<TPort, T>(ref cpu, ref op, vcpu, out T source))
        {
            return false;
        }

        ulong value = ulong.CreateTruncating(source);
        cpu.Flags.SetLogic(source);
        if (value != 0)
        {
            int index = TForward.Value ? BitOperations.TrailingZeroCount(value) : BitOperations.Log2(value);
            CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(index));
        }

        return true;
    }
}

/// <summary>BSWAP; of a 16-bit register, undefined by the SDM, it gives 0 as processors do.</summary>
internal readonly struct Bswap<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong value = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(ulong.CreateTruncating(CpuState.At<T>(ref cpu, op.Dst)));
        CpuState.Set(ref cpu, op.Dst, ShiftCount.Bits<T>() == 16 ? T.Zero : T.CreateTruncating(value >> (64 - ShiftCount.Bits<T>())));
        return true;
    }
}
