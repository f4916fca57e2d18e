using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>MOVAPS, MOVUPS and the like: the whole register.</summary>
internal readonly struct SseMove : ISseForm
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, Vector128<byte>>(ref cpu, ref op, vcpu, out Vector128<byte> value))
        {
            return false;
        }

        CpuState.At<Vector128<byte>>(ref cpu, op.Dst) = value;
        return true;
    }
}

/// <summary>MOVD and MOVQ into a vector register, and MOVSS and MOVSD from memory: the rest of the 128 bits is cleared.</summary>
internal readonly struct SseLoad<T> : ISseForm
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, T>(ref cpu, ref op, vcpu, out T value))
        {
            return false;
        }

        CpuState.At<Vector128<T>>(ref cpu, op.Dst) = Vector128.CreateScalar(value);
        return true;
    }
}

/// <summary>MOVSS and MOVSD between registers, MOVLPS, MOVHLPS: one lane, the others stay.</summary>
internal readonly struct SseMoveLane<T, TTo, TFrom> : ISseForm
    where T : unmanaged
    where TTo : struct, ISseLane
    where TFrom : struct, ISseLane
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        T value;
        if (TFrom.Offset != 0)
        {
            value = CpuState.At<T>(ref cpu, op.Src + TFrom.Offset);
        }
        else if (!TSource.TryGet<TPort, T>(ref cpu, ref op, vcpu, out value))
        {
            return false;
        }

        CpuState.At<T>(ref cpu, op.Dst + TTo.Offset) = value;
        return true;
    }
}

/// <summary>Which half of a register a move names.</summary>
internal interface ISseLane
{
    /// <summary>Its offset in bytes.</summary>
    static abstract int Offset { get; }
}

/// <summary>The low end.</summary>
internal readonly struct LowLane : ISseLane
{
    /// <inheritdoc/>
    public static int Offset => 0;
}

/// <summary>The upper 64 bits.</summary>
internal readonly struct HighLane : ISseLane
{
    /// <inheritdoc/>
    public static int Offset => sizeof(ulong);
}

/// <summary>Every store: a register's low end, or its upper half, to memory; on a multiple of its size where asked.</summary>
internal readonly unsafe struct SseStore<T, TAddress, TLane, TAligned> : IInstruction
    where T : unmanaged
    where TAddress : struct, IAddress
    where TLane : struct, ISseLane
    where TAligned : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = TAddress.Of(ref cpu, ref op);
        if (TAligned.Value && !SseAlignment.IsAligned<TPort>(ref cpu, gva, sizeof(T)))
        {
            return SseAlignment.Refuse(vcpu, gva);
        }

        return TPort.Write(ref cpu, vcpu, gva, CpuState.At<T>(ref cpu, op.Src + TLane.Offset));
    }
}

/// <summary>MOVD and MOVQ into a general register.</summary>
internal readonly struct SseToGeneral<T> : IInstruction
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

/// <summary>MOVMSKPS, MOVMSKPD and PMOVMSKB: the sign bits of the lanes.</summary>
internal readonly struct SseSignMask<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, CpuState.At<Vector128<T>>(ref cpu, op.Src).ExtractMostSignificantBits());
        return true;
    }
}

/// <summary>MASKMOVDQU.</summary>
internal readonly struct SseMaskedStore : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        MaskedStore<TPort>.Execute(ref cpu, ref op, vcpu, Vector128<byte>.Count, CpuState.At<Vector128<byte>>(ref cpu, op.Src));
}

/// <summary>MASKMOVQ.</summary>
internal readonly struct MmxMaskedStore : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        MaskedStore<TPort>.Execute(ref cpu, ref op, vcpu, sizeof(ulong), Vector128.CreateScalar(CpuState.At<ulong>(ref cpu, op.Src)).AsByte());
}

/// <summary>Stores the bytes of <see cref="Op.Dst"/> whose mask byte has its sign bit set.</summary>
internal static class MaskedStore<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Stores them all or none; with a mask of zeros memory is not looked at.</summary>
    public static bool Execute(ref CpuState cpu, ref Op op, Vcpu vcpu, int count, Vector128<byte> masks)
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        uint mask = masks.ExtractMostSignificantBits();
        if (mask == 0)
        {
            return true;
        }

        if (!TPort.ProbeWrite(ref cpu, vcpu, gva, count))
        {
            return false;
        }

        for (int i = 0; i < count; i++)
        {
            if ((mask >> i & 1) != 0 && !TPort.Write(ref cpu, vcpu, gva + (ulong)i, CpuState.At<byte>(ref cpu, op.Dst + i)))
            {
                return false;
            }
        }

        return true;
    }
}

/// <summary>CLFLUSH: there are no caches to flush, but the address must be readable.</summary>
internal readonly struct CacheLineFlush : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TPort.Read<byte>(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out _);
}

/// <summary>#NM.</summary>
internal readonly struct RaiseDeviceNotAvailable : ITerminator
{
    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        vcpu.Raise(ExceptionVector.DeviceNotAvailable, null, FaultRule.TaskSwitched);
        return BlockExit.Fault;
    }
}
