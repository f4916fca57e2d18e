using System.Runtime.Intrinsics;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>INVPCID (SDM Vol. 2A).</summary>
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
            || (type == Address && !vcpu.IsProcessorCanonical(descriptor[1])))
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        ushort pcid = (ushort)(descriptor[0] & Pcid);
        switch (type)
        {
            case Address:
                vcpu.FlushTlbPage(pcid, new GuestMemory.Gva(descriptor[1]));
                break;
            case Context:
                vcpu.FlushTlbPcid(pcid, TlbFlushCause.InvpcidContext);
                break;
            case Everything:
                vcpu.FlushTlb(TlbFlushCause.InvpcidAll);
                break;
            default:
                vcpu.FlushTlbNonGlobal();
                break;
        }

        return true;
    }
}
