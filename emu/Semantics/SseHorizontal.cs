using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>PHADDW, PHSUBW and their saturating kin: an operation between the words of even and of odd number.</summary>
internal readonly struct HorizontalWords<TOperation> : IPackedOperation
    where TOperation : struct, IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => TOperation.Apply(
        Vector128.Narrow(a.AsUInt32(), b.AsUInt32()).AsByte(),
        Vector128.Narrow(a.AsUInt32() >>> 16, b.AsUInt32() >>> 16).AsByte());
}

/// <summary>PHADDD and PHSUBD.</summary>
internal readonly struct HorizontalDoublewords<TOperation> : IPackedOperation
    where TOperation : struct, IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => TOperation.Apply(
        Vector128.Narrow(a.AsUInt64(), b.AsUInt64()).AsByte(),
        Vector128.Narrow(a.AsUInt64() >>> 32, b.AsUInt64() >>> 32).AsByte());
}

/// <summary>PMADDUBSW: unsigned bytes times signed ones, the sums of neighbouring products saturated.</summary>
internal readonly struct PackedMultiplyAddBytes : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<short> even = (a.AsInt16() & Vector128.Create((short)0xFF)) * (b.AsInt16() << 8 >> 8);
        Vector128<short> odd = (a.AsInt16() >>> 8) * (b.AsInt16() >> 8);
        return Vector128.AddSaturate(even, odd).AsByte();
    }
}

/// <summary>PHMINPOSUW: the smallest word and where it stands first.</summary>
internal readonly struct MinimumWordAndPosition : IPackedOperation
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<ushort> words = b.AsUInt16();
        int position = 0;
        for (int i = 1; i < Vector128<ushort>.Count; i++)
        {
            position = words[i] < words[position] ? i : position;
        }

        return Vector128.CreateScalar((uint)words[position] | ((uint)position << 16)).AsByte();
    }
}

/// <summary>MPSADBW: four bytes of the source against each of eight overlapping groups of four of the destination.</summary>
internal readonly struct MultipleSumsOfDifferences : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control)
    {
        Vector128<uint> blocks = b.AsUInt32();
        uint block = blocks[control & 3];
        UInt128 groups = Unsafe.BitCast<Vector128<byte>, UInt128>(a) >> (8 * (control & 4));
        Vector128<ushort> sums = default;
        for (int i = 0; i < sizeof(uint); i++)
        {
            Vector128<ushort> left = Vector128.WidenLower(Vector128.CreateScalar((ulong)(groups >> (8 * i))).AsByte());
            Vector128<ushort> right = Vector128.Create((ushort)(byte)(block >> (8 * i)));
            sums += Vector128.Max(left, right) - Vector128.Min(left, right);
        }

        return sums.AsByte();
    }
}
