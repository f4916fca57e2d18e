using System.Numerics;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>MOVDIR64B: 64 bytes as one write, to an aligned address in ES.</summary>
/// <typeparam name="T">As wide as an address.</typeparam>
internal readonly struct StoreLine<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    private const ulong LineBytes = 64;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong offset = ulong.CreateTruncating(CpuState.At<T>(ref cpu, op.Dst));
        ulong target = TPort.IsSegmented ? SegmentedAddress.Of(SegmentIndex.Es, (uint)offset) : offset;
        ulong linear = TPort.IsSegmented ? SegmentedAddress.Linear(ref cpu, target) : target;
        if ((linear & (LineBytes - 1)) != 0)
        {
            return vcpu.Raise(ExceptionVector.GeneralProtection, 0, FaultRule.MisalignedOperand, linear);
        }

        return TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out Vector512<byte> line)
            && TPort.Write(ref cpu, vcpu, target, line);
    }
}
