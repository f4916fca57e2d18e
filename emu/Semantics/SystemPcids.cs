using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>
/// INVPCID (SDM Vol. 2A). The TLB keeps translations of the current PCID only, so what is dropped for one PCID is dropped for all.
/// </summary>
internal readonly struct InvalidatePcid : IInstruction
{
    private const ulong Address = 0, Context = 1, Everything = 2, EverythingButGlobal = 3;
    private const ulong Pcid = 0xFFF;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong type = TPort.IsSegmented ? CpuState.At<uint>(ref cpu, op.Dst) : CpuState.At<ulong>(ref cpu, op.Dst);
        if (type > EverythingButGlobal)
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        if (!TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out Vector128<ulong> descriptor))
        {
            return false;
        }

        bool needsPcids = type is Address or Context && (descriptor[0] & Pcid) != 0;
        if ((descriptor[0] & ~Pcid) != 0
            || (needsPcids && (cpu.Cr4 & Cr4.PCIDE) == 0)
            || (type == Address && !BranchTarget.IsCanonical(descriptor[1])))
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        switch (type)
        {
            case Address:
                vcpu.FlushTlbPage(new GuestMemory.Gva(descriptor[1]));
                break;
            case Everything:
                vcpu.FlushTlb();
                break;
            default:
                vcpu.FlushTlbNonGlobal();
                break;
        }

        return true;
    }
}
