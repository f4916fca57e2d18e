using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>An operation on three vectors that raises nothing.</summary>
internal interface ITernaryPackedOperation
{
    /// <summary>The result.</summary>
    static abstract Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c);
}

/// <summary>An instruction whose third operand is XMM0.</summary>
internal readonly struct PackedWithXmm0<TOperation> : ISseForm
    where TOperation : struct, ITernaryPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, Vector128<byte>>(ref cpu, ref op, vcpu, out Vector128<byte> b))
        {
            return false;
        }

        ref Vector128<byte> a = ref CpuState.At<Vector128<byte>>(ref cpu, op.Dst);
        a = TOperation.Apply(a, b, CpuState.At<Vector128<byte>>(ref cpu, OperandLayout.Vector));
        return true;
    }
}

/// <summary>PBLENDVB, BLENDVPS, BLENDVPD: lanes of the second operand where the third's sign bit is set. <typeparamref name="T"/> is signed.</summary>
internal readonly struct BlendBySign<T> : ITernaryPackedOperation
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c) =>
        Vector128.ConditionalSelect(Vector128.LessThan(c.As<byte, T>(), Vector128<T>.Zero), b.As<byte, T>(), a.As<byte, T>()).AsByte();
}

/// <summary>Masks of whole lanes from the low bits of an immediate.</summary>
internal static class LaneMask
{
    /// <summary>Sixteen bytes.</summary>
    public static Vector128<byte> Bytes(int control)
    {
        Vector128<byte> bits = Vector128.Create(0x8040_2010_0804_0201).AsByte();
        Vector128<byte> bytes = Vector128.Create(Vector64.Create((byte)control), Vector64.Create((byte)(control >> 8)));
        return Vector128.Equals(bytes & bits, bits);
    }

    /// <summary>Eight words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Words(int control)
    {
        Vector128<ushort> bits = Vector128.Create((ushort)1, 2, 4, 8, 16, 32, 64, 128);
        return Vector128.Equals(Vector128.Create((ushort)control) & bits, bits).AsByte();
    }

    /// <summary>Four doublewords.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Doublewords(int control)
    {
        Vector128<uint> bits = Vector128.Create(1u, 2, 4, 8);
        return Vector128.Equals(Vector128.Create((uint)control) & bits, bits).AsByte();
    }

    /// <summary>Two quadwords.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Quadwords(int control)
    {
        Vector128<ulong> bits = Vector128.Create(1ul, 2);
        return Vector128.Equals(Vector128.Create((ulong)control) & bits, bits).AsByte();
    }
}

/// <summary>PBLENDW.</summary>
internal readonly struct BlendWords : IShuffle
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control) =>
        Vector128.ConditionalSelect(LaneMask.Words(control), b, a);
}

/// <summary>BLENDPS.</summary>
internal readonly struct BlendDoublewords : IShuffle
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control) =>
        Vector128.ConditionalSelect(LaneMask.Doublewords(control), b, a);
}

/// <summary>BLENDPD.</summary>
internal readonly struct BlendQuadwords : IShuffle
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control) =>
        Vector128.ConditionalSelect(LaneMask.Quadwords(control), b, a);
}
