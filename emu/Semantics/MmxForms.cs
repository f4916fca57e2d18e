using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>A packed operation each of whose lanes depends on the same lanes of its operands only.</summary>
internal readonly struct MmxPacked<TOperation> : ISseForm
    where TOperation : struct, IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong b))
        {
            return false;
        }

        ref ulong a = ref CpuState.At<ulong>(ref cpu, op.Dst);
        a = TOperation.Apply(Vector128.CreateScalar(a).AsByte(), Vector128.CreateScalar(b).AsByte()).AsUInt64().ToScalar();
        return true;
    }
}

/// <summary>A packed operation whose result is half of the first operand's making and half of the second's: PACKSSWB, PHADDW.</summary>
internal readonly struct MmxJoined<TOperation> : ISseForm
    where TOperation : struct, IPackedOperation
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong b))
        {
            return false;
        }

        ref ulong a = ref CpuState.At<ulong>(ref cpu, op.Dst);
        Vector128<byte> both = Vector128.Create(a, b).AsByte();
        a = TOperation.Apply(both, both).AsUInt64().ToScalar();
        return true;
    }
}

/// <summary>PUNPCKLBW and its kin, of which only the low half of the source counts: memory is 32 bits.</summary>
internal readonly struct MmxUnpackLow<TUnpack> : ISseForm
    where TUnpack : struct, IPackedOperation
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, uint>(ref cpu, ref op, vcpu, out uint b))
        {
            return false;
        }

        ref ulong a = ref CpuState.At<ulong>(ref cpu, op.Dst);
        a = TUnpack.Apply(Vector128.CreateScalar(a).AsByte(), Vector128.CreateScalar((ulong)b).AsByte()).AsUInt64().ToScalar();
        return true;
    }
}

/// <summary>PUNPCKHBW and its kin: the upper half of what the low unpacking of whole registers gives.</summary>
internal readonly struct MmxUnpackHigh<TUnpack> : ISseForm
    where TUnpack : struct, IPackedOperation
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong b))
        {
            return false;
        }

        ref ulong a = ref CpuState.At<ulong>(ref cpu, op.Dst);
        a = TUnpack.Apply(Vector128.CreateScalar(a).AsByte(), Vector128.CreateScalar(b).AsByte()).AsUInt64()[1];
        return true;
    }
}

/// <summary>PSLLW and its kin by the whole 64 bits of the source.</summary>
internal readonly struct MmxShift<TShift> : ISseForm
    where TShift : struct, IPackedShift
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong count))
        {
            return false;
        }

        ref ulong value = ref CpuState.At<ulong>(ref cpu, op.Dst);
        value = TShift.Apply(Vector128.CreateScalar(value).AsByte(), count).AsUInt64().ToScalar();
        return true;
    }
}

/// <summary>PSLLW and its kin by an immediate.</summary>
internal readonly struct MmxShiftByImmediate<TShift> : IInstruction
    where TShift : struct, IPackedShift
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ref ulong value = ref CpuState.At<ulong>(ref cpu, op.Dst);
        value = TShift.Apply(Vector128.CreateScalar(value).AsByte(), (byte)op.Immediate).AsUInt64().ToScalar();
        return true;
    }
}

/// <summary>PSHUFB on eight bytes: three bits of an index count, and bit 7 clears.</summary>
internal readonly struct MmxShuffleBytes : IPackedOperation
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Shuffle(a, b & Vector128.Create((byte)0x87));
}

/// <summary>PSHUFW.</summary>
internal readonly struct MmxShuffleWords : ISseForm
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong words))
        {
            return false;
        }

        CpuState.At<ulong>(ref cpu, op.Dst) = ShuffleLowWords.Words(words, (int)op.Immediate);
        return true;
    }
}

/// <summary>PALIGNR: eight of sixteen bytes.</summary>
internal readonly struct MmxAlign : ISseForm
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong low))
        {
            return false;
        }

        ref ulong high = ref CpuState.At<ulong>(ref cpu, op.Dst);
        int count = (byte)op.Immediate;
        high = count < 16 ? (ulong)(new UInt128(high, low) >> (8 * count)) : 0;
        return true;
    }
}

/// <summary>MOVD, MOVQ and MOVDQ2Q into an MMX register, zero-extended.</summary>
internal readonly struct MmxLoad<T> : ISseForm
    where T : unmanaged
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, T>(ref cpu, ref op, vcpu, out T value))
        {
            return false;
        }

        CpuState.At<ulong>(ref cpu, op.Dst) = Vector128.CreateScalar(value).AsUInt64().ToScalar();
        return true;
    }
}

/// <summary>PMOVMSKB.</summary>
internal readonly struct MmxSignMask : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        Vector128<byte> bytes = Vector128.CreateScalar(CpuState.At<ulong>(ref cpu, op.Src)).AsByte();
        CpuState.Set(ref cpu, op.Dst, bytes.ExtractMostSignificantBits());
        return true;
    }
}
