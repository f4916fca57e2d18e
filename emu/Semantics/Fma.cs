using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>Which operands of a fused instruction are multiplied: the digits of its name.</summary>
internal interface IFusedOrder
{
    /// <summary>From destination, first source and last operand to <c>a * b + c</c>.</summary>
    static abstract (T A, T B, T C) Arrange<T>(T destination, T first, T last);
}

internal readonly struct Fused132 : IFusedOrder
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (T A, T B, T C) Arrange<T>(T destination, T first, T last) => (destination, last, first);
}

internal readonly struct Fused213 : IFusedOrder
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (T A, T B, T C) Arrange<T>(T destination, T first, T last) => (first, destination, last);
}

internal readonly struct Fused231 : IFusedOrder
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (T A, T B, T C) Arrange<T>(T destination, T first, T last) => (first, last, destination);
}

/// <summary>Which signs a fused instruction turns.</summary>
internal interface IFusedSigns
{
    /// <summary>That of the product.</summary>
    static abstract bool NegatesProduct { get; }

    /// <summary>That of the addend in lanes 0, 2 and so on.</summary>
    static abstract bool NegatesEven { get; }

    /// <summary>That of the addend in lanes 1, 3 and so on.</summary>
    static abstract bool NegatesOdd { get; }
}

/// <summary>VFMADD: a * b + c.</summary>
internal readonly struct FusedAdd : IFusedSigns
{
    public static bool NegatesProduct => false;

    public static bool NegatesEven => false;

    public static bool NegatesOdd => false;
}

/// <summary>VFMSUB: a * b - c.</summary>
internal readonly struct FusedSubtract : IFusedSigns
{
    public static bool NegatesProduct => false;

    public static bool NegatesEven => true;

    public static bool NegatesOdd => true;
}

/// <summary>VFNMADD: -(a * b) + c.</summary>
internal readonly struct FusedNegatedAdd : IFusedSigns
{
    public static bool NegatesProduct => true;

    public static bool NegatesEven => false;

    public static bool NegatesOdd => false;
}

/// <summary>VFNMSUB: -(a * b) - c.</summary>
internal readonly struct FusedNegatedSubtract : IFusedSigns
{
    public static bool NegatesProduct => true;

    public static bool NegatesEven => true;

    public static bool NegatesOdd => true;
}

/// <summary>VFMADDSUB: subtracts in even lanes, adds in odd ones.</summary>
internal readonly struct FusedAddSubtract : IFusedSigns
{
    public static bool NegatesProduct => false;

    public static bool NegatesEven => true;

    public static bool NegatesOdd => false;
}

/// <summary>VFMSUBADD: adds in even lanes, subtracts in odd ones.</summary>
internal readonly struct FusedSubtractAdd : IFusedSigns
{
    public static bool NegatesProduct => false;

    public static bool NegatesEven => false;

    public static bool NegatesOdd => true;
}

/// <summary>
/// The fused multiply-adds. The host's own are used where <see cref="FloatFastPath"/> shows that they agree; .NET makes them exact also where
/// the host has no such instruction.
/// </summary>
internal readonly struct FusedVex<TOrder, TSigns, T> : IVexOperation<Vector128<T>, Vector128<T>>, IVexOperation<Vector256<T>, Vector256<T>>, IVexOperation<T, Vector128<T>>
    where TOrder : struct, IFusedOrder
    where TSigns : struct, IFusedSigns
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<T> last, out Vector128<T> result)
    {
        (Vector128<T> a, Vector128<T> b, Vector128<T> c) = TOrder.Arrange(CpuState.At<Vector128<T>>(ref cpu, op.Dst), VexRegister.First<Vector128<T>>(ref cpu, ref op), last);
        if (FloatFastPath.IsOpen(cpu.Mxcsr) && FloatFastPath.IsOrdinary(a) && FloatFastPath.IsOrdinary(b) && FloatFastPath.IsOrdinary(c))
        {
            Vector128<T> product = TSigns.NegatesProduct ? -a : a;
            Vector128<T> addend = TSigns.NegatesEven == TSigns.NegatesOdd ? (TSigns.NegatesEven ? -c : c) : c ^ Turned.GetLower();
            result = FusedHost.MultiplyAdd(product, b, addend);
            if (FloatFastPath.IsOrdinary(result))
            {
                return true;
            }
        }

        bool done = TryExactly(ref cpu, vcpu, a, b, c);
        result = CpuState.Result<Vector128<T>>(ref cpu);
        return done;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<T> last, out Vector256<T> result)
    {
        (Vector256<T> a, Vector256<T> b, Vector256<T> c) = TOrder.Arrange(CpuState.At<Vector256<T>>(ref cpu, op.Dst), VexRegister.First<Vector256<T>>(ref cpu, ref op), last);
        if (FloatFastPath.IsOpen(cpu.Mxcsr) && FloatFastPath.AreOrdinary(a, b, c))
        {
            Vector256<T> product = TSigns.NegatesProduct ? -a : a;
            Vector256<T> addend = TSigns.NegatesEven == TSigns.NegatesOdd ? (TSigns.NegatesEven ? -c : c) : c ^ Turned;
            result = FusedHost.MultiplyAdd(product, b, addend);
            if (FloatFastPath.IsOrdinary(result))
            {
                return true;
            }
        }

        bool done = TryExactly(ref cpu, vcpu, a, b, c);
        result = CpuState.Result<Vector256<T>>(ref cpu);
        return done;
    }

    /// <summary>The low lane; the others are the destination's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T last, out Vector128<T> result)
    {
        Vector128<T> destination = CpuState.At<Vector128<T>>(ref cpu, op.Dst);
        (T a, T b, T c) = TOrder.Arrange(destination.ToScalar(), VexRegister.First<T>(ref cpu, ref op), last);
        if (FloatFastPath.IsOpen(cpu.Mxcsr) && FloatFastPath.IsOrdinary(a) && FloatFastPath.IsOrdinary(b) && FloatFastPath.IsOrdinary(c))
        {
            T fused = T.FusedMultiplyAdd(TSigns.NegatesProduct ? -a : a, b, TSigns.NegatesEven ? -c : c);
            if (FloatFastPath.IsOrdinary(fused))
            {
                result = destination.WithElement(0, fused);
                return true;
            }
        }

        bool done = TryExactly(ref cpu, vcpu, a, b, c);
        result = destination.WithElement(0, CpuState.Result<T>(ref cpu));
        return done;
    }

    /// <summary>The signs that are turned of every second lane.</summary>
    private static unsafe Vector256<T> Turned
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => sizeof(T) == sizeof(float)
            ? Vector256.Create(TSigns.NegatesEven ? 0x8000_0000ul : 0x8000_0000_0000_0000ul).As<ulong, T>()
            : (TSigns.NegatesEven ? Vector256.Create(1ul << 63, 0, 1ul << 63, 0) : Vector256.Create(0, 1ul << 63, 0, 1ul << 63)).As<ulong, T>();
    }

    /// <summary>Leaves the result in <see cref="CpuState.Result"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryExactly<TVector>(ref CpuState cpu, Vcpu vcpu, TVector a, TVector b, TVector c)
        where TVector : unmanaged
    {
        FloatStatus status = new(cpu.Mxcsr);
        ref TVector result = ref CpuState.Result<TVector>(ref cpu);
        for (int i = 0; i < Lanes<TVector, T>.Count; i++)
        {
            bool negatesAddend = (i & 1) == 0 ? TSigns.NegatesEven : TSigns.NegatesOdd;
            Lanes<TVector, T>.At(ref result, i) =
                Lane(Lanes<TVector, T>.At(ref a, i), Lanes<TVector, T>.At(ref b, i), Lanes<TVector, T>.At(ref c, i), negatesAddend, ref status);
        }

        return status.Commit(ref cpu, vcpu);
    }

    /// <summary>By the host where zeros take part, which are exact too, else in software.</summary>
    private static T Lane(T a, T b, T c, bool negatesAddend, ref FloatStatus status)
    {
        if (status.IsFastPathOpen && FloatFastPath.IsPlain(a) && FloatFastPath.IsPlain(b) && FloatFastPath.IsPlain(c))
        {
            T fused = T.FusedMultiplyAdd(TSigns.NegatesProduct ? -a : a, b, negatesAddend ? -c : c);
            bool exactZero = FloatFastPath.IsZero(fused) && FloatFastPath.IsZero(c) && (FloatFastPath.IsZero(a) || FloatFastPath.IsZero(b));
            if (exactZero || FloatFastPath.IsOrdinary(fused))
            {
                return fused;
            }
        }

        return SoftFloat<T>.Value(SoftFloat<T>.MultiplyAdd(
            SoftFloat<T>.Bits(a), SoftFloat<T>.Bits(b), SoftFloat<T>.Bits(c), TSigns.NegatesProduct, negatesAddend, ref status));
    }
}

/// <summary>The host's fused multiply-add on vectors of either format.</summary>
internal static unsafe class FusedHost
{
    /// <summary>a * b + c, rounded once to nearest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<T> MultiplyAdd<T>(Vector128<T> a, Vector128<T> b, Vector128<T> c)
        where T : unmanaged => sizeof(T) == sizeof(float)
            ? Vector128.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).As<float, T>()
            : Vector128.FusedMultiplyAdd(a.AsDouble(), b.AsDouble(), c.AsDouble()).As<double, T>();

    /// <summary>a * b + c, rounded once to nearest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> MultiplyAdd<T>(Vector256<T> a, Vector256<T> b, Vector256<T> c)
        where T : unmanaged => sizeof(T) == sizeof(float)
            ? Vector256.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).As<float, T>()
            : Vector256.FusedMultiplyAdd(a.AsDouble(), b.AsDouble(), c.AsDouble()).As<double, T>();
}
