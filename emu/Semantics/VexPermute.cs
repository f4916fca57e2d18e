using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>VPERMILPD by an immediate.</summary>
internal readonly struct PermuteDoubles : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control) => ShuffleDoubles.Apply(b, b, control);
}

/// <summary>VPERMILPS by a vector.</summary>
internal readonly struct PermuteSinglesByVector : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Shuffle(a.AsUInt32(), b.AsUInt32() & Vector128.Create(3u)).AsByte();
}

/// <summary>VPERMILPD by a vector: bit 1 of each control.</summary>
internal readonly struct PermuteDoublesByVector : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Shuffle(a.AsUInt64(), (b.AsUInt64() >>> 1) & Vector128.Create(1ul)).AsByte();
}

/// <summary>VPERMD and VPERMPS: the lanes of the operand by the first source.</summary>
internal readonly struct PermuteDoublewordsVex : IVexOperation<Vector256<byte>, Vector256<byte>>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<byte> b, out Vector256<byte> result)
    {
        result = Vector256.Shuffle(b.AsUInt32(), VexRegister.First<Vector256<uint>>(ref cpu, ref op) & Vector256.Create(7u)).AsByte();
        return true;
    }
}

/// <summary>VPERMQ and VPERMPD.</summary>
internal readonly struct PermuteQuadwordsVex : IVexOperation<Vector256<byte>, Vector256<byte>>
{
    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<byte> b, out Vector256<byte> result)
    {
        ulong control = op.Immediate;
        result = Vector256.Shuffle(b.AsUInt64(), Vector256.Create(control & 3, control >> 2 & 3, control >> 4 & 3, control >> 6 & 3)).AsByte();
        return true;
    }
}

/// <summary>VPERM2F128 and VPERM2I128.</summary>
internal readonly struct PermuteHalvesVex : IVexOperation<Vector256<byte>, Vector256<byte>>
{
    private const int FromLast = 2;
    private const int Clears = 8;

    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<byte> b, out Vector256<byte> result)
    {
        Vector256<byte> a = VexRegister.First<Vector256<byte>>(ref cpu, ref op);
        int control = (int)op.Immediate;
        result = Vector256.Create(Half(a, b, control), Half(a, b, control >> 4));
        return true;
    }

    private static Vector128<byte> Half(Vector256<byte> a, Vector256<byte> b, int control)
    {
        Vector256<byte> chosen = (control & FromLast) != 0 ? b : a;
        return (control & Clears) != 0 ? Vector128<byte>.Zero : (control & 1) != 0 ? chosen.GetUpper() : chosen.GetLower();
    }
}

/// <summary>VINSERTF128 and VINSERTI128.</summary>
internal readonly struct InsertHalfVex : IVexOperation<Vector128<byte>, Vector256<byte>>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<byte> b, out Vector256<byte> result)
    {
        Vector256<byte> a = VexRegister.First<Vector256<byte>>(ref cpu, ref op);
        result = (op.Immediate & 1) != 0 ? a.WithUpper(b) : a.WithLower(b);
        return true;
    }
}

/// <summary>VINSERTPS.</summary>
internal readonly struct InsertSingleVex : IVexOperation<uint, Vector128<byte>>
{
    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, uint b, out Vector128<byte> result)
    {
        result = InsertSingle.Apply(VexRegister.First<Vector128<byte>>(ref cpu, ref op), b, (int)op.Immediate);
        return true;
    }
}

/// <summary>One element replaced: VPINSRB to VPINSRQ.</summary>
internal readonly struct InsertElementVex<T> : IVexOperation<T, Vector128<T>>
    where T : unmanaged
{
    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out Vector128<T> result)
    {
        result = VexRegister.First<Vector128<T>>(ref cpu, ref op).WithElement((int)op.Immediate & (Vector128<T>.Count - 1), b);
        return true;
    }
}

/// <summary>VPMOVSXBW and its kin. <typeparamref name="TBits"/> is as wide as the part of the source that counts.</summary>
internal readonly unsafe struct ExtendVex<TBits, TExtension> : IVexOperation<TBits, Vector128<byte>>, IVexOperation<TBits, Vector256<byte>>
    where TBits : unmanaged
    where TExtension : struct, IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, TBits b, out Vector128<byte> result)
    {
        result = TExtension.Apply(Widen(b));
        return true;
    }

    /// <summary>The lower half of the result from the lower half of the source, the upper from the upper.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, TBits b, out Vector256<byte> result)
    {
        Vector128<byte> source = Widen(b);
        result = Vector256.Create(TExtension.Apply(source), TExtension.Apply(WholeShiftRight.Apply(source, (ulong)(sizeof(TBits) / 2))));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Widen(TBits value)
    {
        Vector128<byte> result = default;
        Lanes<Vector128<byte>, TBits>.At(ref result, 0) = value;
        return result;
    }
}
