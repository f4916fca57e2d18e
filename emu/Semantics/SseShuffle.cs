using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>PUNPCKLBW.</summary>
internal readonly struct UnpackLowBytes : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        (Vector128.WidenLower(a) | (Vector128.WidenLower(b) << 8)).AsByte();
}

/// <summary>PUNPCKHBW.</summary>
internal readonly struct UnpackHighBytes : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        (Vector128.WidenUpper(a) | (Vector128.WidenUpper(b) << 8)).AsByte();
}

/// <summary>PUNPCKLWD.</summary>
internal readonly struct UnpackLowWords : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        (Vector128.WidenLower(a.AsUInt16()) | (Vector128.WidenLower(b.AsUInt16()) << 16)).AsByte();
}

/// <summary>PUNPCKHWD.</summary>
internal readonly struct UnpackHighWords : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        (Vector128.WidenUpper(a.AsUInt16()) | (Vector128.WidenUpper(b.AsUInt16()) << 16)).AsByte();
}

/// <summary>PUNPCKLDQ, UNPCKLPS.</summary>
internal readonly struct UnpackLowDoublewords : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        (Vector128.WidenLower(a.AsUInt32()) | (Vector128.WidenLower(b.AsUInt32()) << 32)).AsByte();
}

/// <summary>PUNPCKHDQ, UNPCKHPS.</summary>
internal readonly struct UnpackHighDoublewords : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        (Vector128.WidenUpper(a.AsUInt32()) | (Vector128.WidenUpper(b.AsUInt32()) << 32)).AsByte();
}

/// <summary>PUNPCKLQDQ, UNPCKLPD.</summary>
internal readonly struct UnpackLowQuadwords : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Create(a.AsDouble().ToScalar(), b.AsDouble().ToScalar()).AsByte();
}

/// <summary>PUNPCKHQDQ, UNPCKHPD.</summary>
internal readonly struct UnpackHighQuadwords : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Create(a.AsDouble().GetElement(1), b.AsDouble().GetElement(1)).AsByte();
}

/// <summary>A rearrangement of lanes by an immediate.</summary>
internal interface IShuffle
{
    /// <summary>The result; <paramref name="a"/> is the destination's old value.</summary>
    static abstract Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control);
}

/// <summary>SHUFPS, PSHUFD and the like.</summary>
internal readonly struct Shuffled<TShuffle> : ISseForm
    where TShuffle : struct, IShuffle
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, Vector128<byte>>(ref cpu, ref op, vcpu, out Vector128<byte> b))
        {
            return false;
        }

        ref Vector128<byte> a = ref CpuState.At<Vector128<byte>>(ref cpu, op.Dst);
        a = TShuffle.Apply(a, b, (int)op.Immediate);
        return true;
    }
}

/// <summary>SHUFPS.</summary>
internal readonly struct ShuffleSingles : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control)
    {
        Vector128<uint> x = a.AsUInt32(), y = b.AsUInt32();
        return Vector128.Create(x[control & 3], x[control >> 2 & 3], y[control >> 4 & 3], y[control >> 6 & 3]).AsByte();
    }
}

/// <summary>SHUFPD.</summary>
internal readonly struct ShuffleDoubles : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control) =>
        Vector128.Create(a.AsUInt64()[control & 1], b.AsUInt64()[control >> 1 & 1]).AsByte();
}

/// <summary>PSHUFD.</summary>
internal readonly struct ShuffleDoublewords : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control) => ShuffleSingles.Apply(b, b, control);
}

/// <summary>PSHUFLW.</summary>
internal readonly struct ShuffleLowWords : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control) =>
        Vector128.Create(Words(b.AsUInt64()[0], control), b.AsUInt64()[1]).AsByte();

    /// <summary>Four words picked from four.</summary>
    public static ulong Words(ulong words, int control)
    {
        ulong result = 0;
        for (int i = 0; i < 4; i++)
        {
            result |= (ulong)(ushort)(words >> (16 * (control >> (2 * i) & 3))) << (16 * i);
        }

        return result;
    }
}

/// <summary>PSHUFHW.</summary>
internal readonly struct ShuffleHighWords : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control) =>
        Vector128.Create(b.AsUInt64()[0], ShuffleLowWords.Words(b.AsUInt64()[1], control)).AsByte();
}

/// <summary>PINSRW.</summary>
internal readonly struct InsertWord : ISseForm
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, ushort>(ref cpu, ref op, vcpu, out ushort value))
        {
            return false;
        }

        CpuState.At<ushort>(ref cpu, op.Dst + (((int)op.Immediate & 7) * sizeof(ushort))) = value;
        return true;
    }
}

/// <summary>PEXTRW.</summary>
internal readonly struct ExtractWord : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, (uint)CpuState.At<ushort>(ref cpu, op.Src + (((int)op.Immediate & 7) * sizeof(ushort))));
        return true;
    }
}
