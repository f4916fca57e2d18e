using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>Which bits of each vector VPTEST and VTESTPS look at.</summary>
internal interface ITestedBits
{
    /// <summary>They, as a mask.</summary>
    static abstract Vector256<ulong> Mask { get; }
}

/// <summary>All of them.</summary>
internal readonly struct AllBits : ITestedBits
{
    /// <inheritdoc/>
    public static Vector256<ulong> Mask => Vector256<ulong>.AllBitsSet;
}

/// <summary>The signs of singles.</summary>
internal readonly struct SingleSigns : ITestedBits
{
    /// <inheritdoc/>
    public static Vector256<ulong> Mask => Vector256.Create(0x8000_0000_8000_0000ul);
}

/// <summary>The signs of doubles.</summary>
internal readonly struct DoubleSigns : ITestedBits
{
    /// <inheritdoc/>
    public static Vector256<ulong> Mask => Vector256.Create(1ul << 63);
}

/// <summary>VPTEST, VTESTPS and VTESTPD: ZF says that no tested bit is set in both operands, CF that none is in the last alone; the others are cleared.</summary>
internal readonly unsafe struct VectorTest<TBits, TVector> : ISseForm
    where TBits : struct, ITestedBits
    where TVector : unmanaged
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, TVector>(ref cpu, ref op, vcpu, out TVector operand))
        {
            return false;
        }

        Vector256<ulong> a = Widen(CpuState.At<TVector>(ref cpu, op.Dst)), b = Widen(operand) & TBits.Mask;
        cpu.Flags.Word = ((a & b) == Vector256<ulong>.Zero ? Rflags.ZF : 0) | ((~a & b) == Vector256<ulong>.Zero ? Rflags.CF : 0);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Widen(TVector value) => sizeof(TVector) == 32
        ? Unsafe.BitCast<TVector, Vector256<ulong>>(value)
        : Unsafe.BitCast<TVector, Vector128<ulong>>(value).ToVector256();
}
