using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>
/// VPGATHERDD and its kin (SDM Vol. 2C). Elements are read from the first on; each clears its mask element, so that an instruction
/// that faulted midway goes on after the last element that was read.
/// </summary>
/// <typeparam name="TIndex">A signed integer as wide as an index.</typeparam>
/// <typeparam name="T">An unsigned integer as wide as an element.</typeparam>
/// <typeparam name="TVector">128 or 256 bits, as VEX.L says: the wider of indices and elements fill it.</typeparam>
internal readonly unsafe struct Gather<TIndex, T, TVector> : IInstruction
    where TIndex : unmanaged
    where T : unmanaged
    where TVector : unmanaged
{
    private static int Count => sizeof(TVector) / Math.Max(sizeof(TIndex), sizeof(T));

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong start = CpuState.At<ulong>(ref cpu, op.Base) + op.Displacement;
        for (int i = 0; i < Count; i++)
        {
            int element = i * sizeof(T);
            if (!IsSelected(ref cpu, op.Third + element))
            {
                continue;
            }

            ulong offset = start + ((ulong)Index(ref cpu, op.Index + (i * sizeof(TIndex))) << op.Scale);
            if (!TPort.Read(ref cpu, vcpu, AnyAddress.At(ref cpu, ref op, AnyAddress.Masked(ref op, offset)), out T value))
            {
                return false;
            }

            CpuState.At<T>(ref cpu, op.Dst + element) = value;
            CpuState.At<T>(ref cpu, op.Third + element) = default;
        }

        Clear(ref cpu, op.Dst + (Count * sizeof(T)), Vector512<byte>.Count - (Count * sizeof(T)));
        Clear(ref cpu, op.Third, Vector512<byte>.Count);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsSelected(ref CpuState cpu, int offset) =>
        sizeof(T) == sizeof(int) ? CpuState.At<int>(ref cpu, offset) < 0 : CpuState.At<long>(ref cpu, offset) < 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long Index(ref CpuState cpu, int offset) =>
        sizeof(TIndex) == sizeof(int) ? CpuState.At<int>(ref cpu, offset) : CpuState.At<long>(ref cpu, offset);

    private static void Clear(ref CpuState cpu, int offset, int length) => Unsafe.InitBlockUnaligned(ref CpuState.At<byte>(ref cpu, offset), 0, (uint)length);
}
