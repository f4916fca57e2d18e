using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>The elements that a vector mask selects: those whose top bit is set.</summary>
internal static unsafe class ElementMask
{
    /// <summary>One bit for each element of type <typeparamref name="T"/>, the first in bit 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Of<T, TVector>(ref CpuState cpu, int offset)
        where T : unmanaged
        where TVector : unmanaged =>
        sizeof(TVector) == 32
            ? CpuState.At<Vector256<T>>(ref cpu, offset).ExtractMostSignificantBits()
            : CpuState.At<Vector128<T>>(ref cpu, offset).ExtractMostSignificantBits();

    /// <summary>The bits when every element is selected.</summary>
    public static uint All<T, TVector>()
        where T : unmanaged
        where TVector : unmanaged => (uint)((1 << (sizeof(TVector) / sizeof(T))) - 1);
}

/// <summary>VMASKMOVPS, VPMASKMOVD and their kin as loads: elements that are not selected become zeros, and their memory is not touched.</summary>
internal readonly unsafe struct VexMaskedLoad<T, TVector, TAddress> : IInstruction
    where T : unmanaged
    where TVector : unmanaged
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = TAddress.Of(ref cpu, ref op);
        uint mask = ElementMask.Of<T, TVector>(ref cpu, op.Src);
        TVector value = default;
        if (mask == ElementMask.All<T, TVector>())
        {
            if (!TPort.Read(ref cpu, vcpu, gva, out value))
            {
                return false;
            }
        }
        else
        {
            for (; mask != 0; mask &= mask - 1)
            {
                int i = BitOperations.TrailingZeroCount(mask);
                if (!TPort.Read(ref cpu, vcpu, gva + (ulong)(i * sizeof(T)), out Lanes<TVector, T>.At(ref value, i)))
                {
                    return false;
                }
            }
        }

        VexRegister.Write(ref cpu, op.Dst, value);
        return true;
    }
}

/// <summary>The same as stores: memory of elements that are not selected is not touched, and either all selected ones are written or none.</summary>
internal readonly unsafe struct VexMaskedStore<T, TVector, TAddress> : IInstruction
    where T : unmanaged
    where TVector : unmanaged
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = TAddress.Of(ref cpu, ref op);
        uint mask = ElementMask.Of<T, TVector>(ref cpu, op.Src);
        if (mask == ElementMask.All<T, TVector>())
        {
            return TPort.Write(ref cpu, vcpu, gva, CpuState.At<TVector>(ref cpu, op.Third));
        }

        for (uint left = mask; left != 0; left &= left - 1)
        {
            int offset = BitOperations.TrailingZeroCount(left) * sizeof(T);
            if (!TPort.ProbeWrite(ref cpu, vcpu, gva + (ulong)offset, sizeof(T)))
            {
                return false;
            }
        }

        for (; mask != 0; mask &= mask - 1)
        {
            int offset = BitOperations.TrailingZeroCount(mask) * sizeof(T);
            if (!TPort.Write(ref cpu, vcpu, gva + (ulong)offset, CpuState.At<T>(ref cpu, op.Third + offset)))
            {
                return false;
            }
        }

        return true;
    }
}
