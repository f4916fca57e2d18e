using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>The lower lanes of a vector made wider.</summary>
internal interface IExtension
{
    /// <summary>The lower half of the lanes, each twice as wide.</summary>
    static abstract Vector128<byte> Apply(Vector128<byte> source);
}

/// <summary>PMOVSXBW and its kin. <typeparamref name="TBits"/> is as wide as the part of the source that counts.</summary>
internal readonly struct Extend<TBits, TExtension> : ISseForm
    where TBits : unmanaged
    where TExtension : struct, IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, TBits>(ref cpu, ref op, vcpu, out TBits source))
        {
            return false;
        }

        CpuState.At<Vector128<byte>>(ref cpu, op.Dst) = TExtension.Apply(Vector128.CreateScalar(source).AsByte());
        return true;
    }
}

/// <summary>One extension after the other.</summary>
internal readonly struct Then<TFirst, TSecond> : IExtension
    where TFirst : struct, IExtension
    where TSecond : struct, IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> source) => TSecond.Apply(TFirst.Apply(source));
}

/// <summary>Bytes to words, signed.</summary>
internal readonly struct ExtendSignedBytes : IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> source) => Vector128.WidenLower(source.AsSByte()).AsByte();
}

/// <summary>Words to doublewords, signed.</summary>
internal readonly struct ExtendSignedWords : IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> source) => Vector128.WidenLower(source.AsInt16()).AsByte();
}

/// <summary>Doublewords to quadwords, signed.</summary>
internal readonly struct ExtendSignedDoublewords : IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> source) => Vector128.WidenLower(source.AsInt32()).AsByte();
}

/// <summary>Bytes to words, unsigned.</summary>
internal readonly struct ExtendBytes : IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> source) => Vector128.WidenLower(source).AsByte();
}

/// <summary>Words to doublewords, unsigned.</summary>
internal readonly struct ExtendWords : IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> source) => Vector128.WidenLower(source.AsUInt16()).AsByte();
}

/// <summary>Doublewords to quadwords, unsigned.</summary>
internal readonly struct ExtendDoublewords : IExtension
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> source) => Vector128.WidenLower(source.AsUInt32()).AsByte();
}
