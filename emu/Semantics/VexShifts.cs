using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Quadwalk.Emulation;

/// <summary>VPSLLVD and VPSLLVQ: each lane by its own count.</summary>
internal readonly unsafe struct VariableShiftLeft<T> : IWideOperation
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        if (Avx2.IsSupported)
        {
            return sizeof(T) == sizeof(uint)
                ? Avx2.ShiftLeftLogicalVariable(a.AsUInt32(), b.AsUInt32()).AsByte()
                : Avx2.ShiftLeftLogicalVariable(a.AsUInt64(), b.AsUInt64()).AsByte();
        }

        return VariableShift<T>.Left(a, b);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Apply(Vector256<byte> a, Vector256<byte> b)
    {
        if (Avx2.IsSupported)
        {
            return sizeof(T) == sizeof(uint)
                ? Avx2.ShiftLeftLogicalVariable(a.AsUInt32(), b.AsUInt32()).AsByte()
                : Avx2.ShiftLeftLogicalVariable(a.AsUInt64(), b.AsUInt64()).AsByte();
        }

        return VariableShift<T>.Left(a, b);
    }
}

/// <summary>VPSRLVD and VPSRLVQ.</summary>
internal readonly unsafe struct VariableShiftRight<T> : IWideOperation
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        if (Avx2.IsSupported)
        {
            return sizeof(T) == sizeof(uint)
                ? Avx2.ShiftRightLogicalVariable(a.AsUInt32(), b.AsUInt32()).AsByte()
                : Avx2.ShiftRightLogicalVariable(a.AsUInt64(), b.AsUInt64()).AsByte();
        }

        return VariableShift<T>.Right(a, b);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Apply(Vector256<byte> a, Vector256<byte> b)
    {
        if (Avx2.IsSupported)
        {
            return sizeof(T) == sizeof(uint)
                ? Avx2.ShiftRightLogicalVariable(a.AsUInt32(), b.AsUInt32()).AsByte()
                : Avx2.ShiftRightLogicalVariable(a.AsUInt64(), b.AsUInt64()).AsByte();
        }

        return VariableShift<T>.Right(a, b);
    }
}

/// <summary>VPSRAVD.</summary>
internal readonly struct VariableShiftArithmetic : IWideOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Avx2.IsSupported
        ? Avx2.ShiftRightArithmeticVariable(a.AsInt32(), b.AsUInt32()).AsByte()
        : VariableShift<uint>.Arithmetic(a, b);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Apply(Vector256<byte> a, Vector256<byte> b) => Avx2.IsSupported
        ? Avx2.ShiftRightArithmeticVariable(a.AsInt32(), b.AsUInt32()).AsByte()
        : VariableShift<uint>.Arithmetic(a, b);
}

/// <summary>Shifts by a count for each lane, for hosts without such instructions. A count as wide as the lane or wider leaves zeros or signs.</summary>
internal static unsafe class VariableShift<T>
    where T : unmanaged, IBinaryInteger<T>
{
    private static int Bits => 8 * sizeof(T);

    /// <summary>Left.</summary>
    public static TVector Left<TVector>(TVector value, TVector counts)
        where TVector : unmanaged
    {
        for (int i = 0; i < Lanes<TVector, T>.Count; i++)
        {
            ref T lane = ref Lanes<TVector, T>.At(ref value, i);
            ulong count = ulong.CreateTruncating(Lanes<TVector, T>.At(ref counts, i));
            lane = count < (ulong)Bits ? lane << (int)count : T.Zero;
        }

        return value;
    }

    /// <summary>Right; zeros come in.</summary>
    public static TVector Right<TVector>(TVector value, TVector counts)
        where TVector : unmanaged
    {
        for (int i = 0; i < Lanes<TVector, T>.Count; i++)
        {
            ref T lane = ref Lanes<TVector, T>.At(ref value, i);
            ulong count = ulong.CreateTruncating(Lanes<TVector, T>.At(ref counts, i));
            lane = count < (ulong)Bits ? lane >>> (int)count : T.Zero;
        }

        return value;
    }

    /// <summary>Right; copies of the sign come in.</summary>
    public static TVector Arithmetic<TVector>(TVector value, TVector counts)
        where TVector : unmanaged
    {
        for (int i = 0; i < Lanes<TVector, int>.Count; i++)
        {
            ref int lane = ref Lanes<TVector, int>.At(ref value, i);
            lane >>= (int)Math.Min(Lanes<TVector, uint>.At(ref counts, i), 31);
        }

        return value;
    }
}
