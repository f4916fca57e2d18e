using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>PSHUFB: bytes by index; bit 7 of the index clears.</summary>
internal readonly struct ShuffleBytes : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Shuffle(a, b & Vector128.Create((byte)0x8F));
}

/// <summary>PALIGNR: sixteen of thirty-two bytes.</summary>
internal readonly struct AlignBytes : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control)
    {
        int count = control & 0xFF;
        return count < Vector128<byte>.Count
            ? WholeShiftRight.Apply(b, (ulong)count) | WholeShiftLeft.Apply(a, (ulong)(Vector128<byte>.Count - count))
            : WholeShiftRight.Apply(a, (ulong)(count - Vector128<byte>.Count));
    }
}

/// <summary>PSIGNB, PSIGNW, PSIGND: negated, cleared or kept by the sign of the other.</summary>
internal readonly struct PackedSign<T> : IPackedOperation
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<T> value = a.As<byte, T>(), sign = b.As<byte, T>();
        Vector128<T> negated = Vector128.ConditionalSelect(Vector128.LessThan(sign, Vector128<T>.Zero), Vector128<T>.Zero - value, value);
        return Vector128.AndNot(negated, Vector128.Equals(sign, Vector128<T>.Zero)).AsByte();
    }
}

/// <summary>PABSB, PABSW, PABSD; the lowest number stays as it is.</summary>
internal readonly struct PackedAbsolute<T> : IPackedOperation
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<T> value = b.As<byte, T>();
        return Vector128.ConditionalSelect(Vector128.LessThan(value, Vector128<T>.Zero), Vector128<T>.Zero - value, value).AsByte();
    }
}

/// <summary>PMULHRSW: the upper 17 bits of the product, rounded to 16.</summary>
internal readonly struct PackedMultiplyRounded : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<int> low = Vector128.WidenLower(a.AsInt16()) * Vector128.WidenLower(b.AsInt16());
        Vector128<int> high = Vector128.WidenUpper(a.AsInt16()) * Vector128.WidenUpper(b.AsInt16());
        return Vector128.Narrow(Round(low), Round(high)).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Round(Vector128<int> product) => ((product >> 14) + Vector128<int>.One) >> 1;
}

/// <summary>PMULLD.</summary>
internal readonly struct PackedMultiplyLowDoublewords : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => (a.AsInt32() * b.AsInt32()).AsByte();
}

/// <summary>PMULDQ.</summary>
internal readonly struct PackedMultiplyEvenSigned : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<int> x = a.AsInt32(), y = b.AsInt32();
        return Vector128.Create((long)x[0] * y[0], (long)x[2] * y[2]).AsByte();
    }
}

/// <summary>PACKUSDW.</summary>
internal readonly struct PackUnsignedDoublewords : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Narrow(Clamp(a.AsInt32()), Clamp(b.AsInt32())).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Clamp(Vector128<int> value) =>
        Vector128.Min(Vector128.Max(value, Vector128<int>.Zero), Vector128.Create((int)ushort.MaxValue)).AsUInt32();
}

/// <summary>PTEST: ZF where no bit of the source is set in the destination, CF where none is clear in it.</summary>
internal readonly struct PackedTest : ISseForm
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

        Vector128<byte> a = CpuState.At<Vector128<byte>>(ref cpu, op.Dst);
        bool zf = (a & b) == Vector128<byte>.Zero, cf = Vector128.AndNot(b, a) == Vector128<byte>.Zero;
        cpu.Flags.Word = (zf ? Rflags.ZF : 0) | (cf ? Rflags.CF : 0);
        return true;
    }
}
