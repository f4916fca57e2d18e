using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>A packed operation; in 256 bits on each half.</summary>
internal readonly struct PackedVex<TOperation> : IVexOperation<Vector128<byte>, Vector128<byte>>, IVexOperation<Vector256<byte>, Vector256<byte>>
    where TOperation : struct, IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<byte> b, out Vector128<byte> result)
    {
        result = TOperation.Apply(VexRegister.First<Vector128<byte>>(ref cpu, ref op), b);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<byte> b, out Vector256<byte> result)
    {
        Vector256<byte> a = VexRegister.First<Vector256<byte>>(ref cpu, ref op);
        result = Vector256.Create(TOperation.Apply(a.GetLower(), b.GetLower()), TOperation.Apply(a.GetUpper(), b.GetUpper()));
        return true;
    }
}

/// <summary>A packed operation on 256 bits at once.</summary>
internal readonly struct WideVex<TOperation> : IVexOperation<Vector256<byte>, Vector256<byte>>
    where TOperation : struct, IWideOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<byte> b, out Vector256<byte> result)
    {
        result = TOperation.Apply(VexRegister.First<Vector256<byte>>(ref cpu, ref op), b);
        return true;
    }
}

/// <summary>How far the control of the upper 128 bits lies above that of the lower in an immediate.</summary>
internal interface IControlStep
{
    /// <summary>In bits; 0 where both halves have the same.</summary>
    static abstract int Bits { get; }
}

internal readonly struct SameControl : IControlStep
{
    public static int Bits => 0;
}

internal readonly struct NextTwoBits : IControlStep
{
    public static int Bits => 2;
}

internal readonly struct NextThreeBits : IControlStep
{
    public static int Bits => 3;
}

internal readonly struct NextFourBits : IControlStep
{
    public static int Bits => 4;
}

/// <summary>A rearrangement by an immediate; in 256 bits of each half by itself.</summary>
internal readonly struct ShuffleVex<TShuffle, TStep> : IVexOperation<Vector128<byte>, Vector128<byte>>, IVexOperation<Vector256<byte>, Vector256<byte>>
    where TShuffle : struct, IShuffle
    where TStep : struct, IControlStep
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<byte> b, out Vector128<byte> result)
    {
        result = TShuffle.Apply(VexRegister.First<Vector128<byte>>(ref cpu, ref op), b, (byte)op.Immediate);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<byte> b, out Vector256<byte> result)
    {
        Vector256<byte> a = VexRegister.First<Vector256<byte>>(ref cpu, ref op);
        int control = (byte)op.Immediate;
        result = Vector256.Create(
            TShuffle.Apply(a.GetLower(), b.GetLower(), control), TShuffle.Apply(a.GetUpper(), b.GetUpper(), control >> TStep.Bits));
        return true;
    }
}

/// <summary>A shift of the operand by an immediate.</summary>
internal readonly struct ShiftImmediateVex<TShift> : IVexOperation<Vector128<byte>, Vector128<byte>>, IVexOperation<Vector256<byte>, Vector256<byte>>
    where TShift : struct, IPackedShift
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<byte> b, out Vector128<byte> result)
    {
        result = TShift.Apply(b, (byte)op.Immediate);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<byte> b, out Vector256<byte> result)
    {
        result = TShift.Apply(b, (byte)op.Immediate);
        return true;
    }
}

/// <summary>A shift of the first source by the low 64 bits of the last, which has 128 bits whatever the width.</summary>
internal readonly struct ShiftVectorVex<TShift> : IVexOperation<Vector128<ulong>, Vector128<byte>>, IVexOperation<Vector128<ulong>, Vector256<byte>>
    where TShift : struct, IPackedShift
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<ulong> b, out Vector128<byte> result)
    {
        result = TShift.Apply(VexRegister.First<Vector128<byte>>(ref cpu, ref op), b.ToScalar());
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<ulong> b, out Vector256<byte> result)
    {
        result = TShift.Apply(VexRegister.First<Vector256<byte>>(ref cpu, ref op), b.ToScalar());
        return true;
    }
}

/// <summary>A packed operation with a third source, the is4 register; in 256 bits on each half.</summary>
internal readonly struct TernaryVex<TOperation> : IVexOperation<Vector128<byte>, Vector128<byte>>, IVexOperation<Vector256<byte>, Vector256<byte>>
    where TOperation : struct, ITernaryPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<byte> b, out Vector128<byte> result)
    {
        result = TOperation.Apply(VexRegister.First<Vector128<byte>>(ref cpu, ref op), b, CpuState.At<Vector128<byte>>(ref cpu, (int)op.Immediate));
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<byte> b, out Vector256<byte> result)
    {
        Vector256<byte> a = VexRegister.First<Vector256<byte>>(ref cpu, ref op), c = CpuState.At<Vector256<byte>>(ref cpu, (int)op.Immediate);
        result = Vector256.Create(TOperation.Apply(a.GetLower(), b.GetLower(), c.GetLower()), TOperation.Apply(a.GetUpper(), b.GetUpper(), c.GetUpper()));
        return true;
    }
}
