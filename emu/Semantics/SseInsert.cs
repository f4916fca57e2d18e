using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>PINSRB, PINSRD, PINSRQ: into the lane at <see cref="Op.Dst"/>, which the binder has moved to it.</summary>
internal readonly struct InsertLane<T> : ISseForm
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

        CpuState.At<T>(ref cpu, op.Dst) = value;
        return true;
    }
}

/// <summary>PEXTRB, PEXTRW into a general register, zero-extended; the binder has moved <see cref="Op.Src"/> to the lane.</summary>
internal readonly struct ExtractLane<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.At<ulong>(ref cpu, op.Dst) = Vector128.CreateScalar(CpuState.At<T>(ref cpu, op.Src)).AsUInt64().ToScalar();
        return true;
    }
}

/// <summary>INSERTPS: a single into one lane, then lanes cleared. The binder has moved <see cref="Op.Src"/> to the lane of a register.</summary>
internal readonly struct InsertSingle : ISseForm
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, uint>(ref cpu, ref op, vcpu, out uint value))
        {
            return false;
        }

        ref Vector128<byte> target = ref CpuState.At<Vector128<byte>>(ref cpu, op.Dst);
        target = Apply(target, value, (int)op.Immediate);
        return true;
    }

    /// <summary>The vector with the lane of bits 4 and 5 replaced and those of bits 0 to 3 cleared.</summary>
    public static Vector128<byte> Apply(Vector128<byte> target, uint value, int control)
    {
        Vector128<byte> inserted = target.AsUInt32().WithElement(control >> 4 & 3, value).AsByte();
        return Vector128.AndNot(inserted, LaneMask.Doublewords(control));
    }
}

/// <summary>MOVDDUP.</summary>
internal readonly struct DuplicateLow : ISseForm
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ulong>(ref cpu, ref op, vcpu, out ulong value))
        {
            return false;
        }

        CpuState.At<Vector128<ulong>>(ref cpu, op.Dst) = Vector128.Create(value);
        return true;
    }
}
