using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>A half-precision number as a single, which is always exact. Denormals are never flushed and not noted (SDM Vol. 1, 14.4.1).</summary>
internal readonly struct FromHalfConversion : IConversion<Half, float>
{
    /// <inheritdoc/>
    public static float Apply(Half value, ref FloatStatus status)
    {
        FloatStatus own = new(SseState.MxcsrDefault);
        ulong result = SoftFloat<float>.FromFormat<Half>(SoftFloat<Half>.Bits(value), ref own);
        status.Flags |= own.Flags & ~Mxcsr.DE;
        return SoftFloat<float>.Value(result);
    }
}

/// <summary>VCVTPS2PH: singles to half precision. The immediate may replace MXCSR.RC, and MXCSR.FTZ does not count.</summary>
internal readonly struct ToHalfVex : IVexOperation<Vector128<float>, Vector128<ushort>>, IVexOperation<Vector256<float>, Vector128<ushort>>
{
    /// <inheritdoc cref="IVexOperation{TFrom, TTo}.IsApart"/>
    public static bool IsApart => true;

    private const ulong UseMxcsr = 4;

    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<float> b, out Vector128<ushort> result) => TryConvert(ref cpu, op.Immediate, vcpu, b, out result);

    /// <inheritdoc/>
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector256<float> b, out Vector128<ushort> result) => TryConvert(ref cpu, op.Immediate, vcpu, b, out result);

    /// <summary>Converts every lane; the rest of the result is zeros.</summary>
    public static bool TryConvert<TVector>(ref CpuState cpu, ulong immediate, Vcpu vcpu, TVector source, out Vector128<ushort> result)
        where TVector : unmanaged
    {
        uint mxcsr = cpu.Mxcsr & ~Mxcsr.FTZ;
        if ((immediate & UseMxcsr) == 0)
        {
            mxcsr = (mxcsr & ~(3u << Mxcsr.RoundingShift)) | ((uint)(immediate & 3) << Mxcsr.RoundingShift);
        }

        FloatStatus status = new(mxcsr);
        result = default;
        for (int i = 0; i < Lanes<TVector, float>.Count; i++)
        {
            ulong half = SoftFloat<Half>.FromFormat<float>(SoftFloat<float>.Bits(Lanes<TVector, float>.At(ref source, i)), ref status);
            Lanes<Vector128<ushort>, Half>.At(ref result, i) = SoftFloat<Half>.Value(half);
        }

        return status.Commit(ref cpu, vcpu);
    }
}

/// <summary>VCVTPS2PH to memory; where the write faults, MXCSR is as it was.</summary>
internal readonly unsafe struct StoreHalf<TVector, TAddress> : IInstruction
    where TVector : unmanaged
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    public static bool IsApart => true;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        uint before = cpu.Mxcsr;
        if (!ToHalfVex.TryConvert(ref cpu, op.Immediate, vcpu, CpuState.At<TVector>(ref cpu, op.Src), out Vector128<ushort> halves))
        {
            return false;
        }

        ulong gva = TAddress.Of(ref cpu, ref op);
        bool done = sizeof(TVector) == 32
            ? TPort.Write(ref cpu, vcpu, gva, halves)
            : TPort.Write(ref cpu, vcpu, gva, halves.AsUInt64().ToScalar());
        if (!done)
        {
            cpu.Mxcsr = before;
        }

        return done;
    }
}
