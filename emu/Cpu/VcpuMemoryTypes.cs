using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

public sealed unsafe partial class Vcpu
{
    /// <summary>What memory types depend on, as the registers stand now: CR0.CD, IA32_PAT and the MTRRs.</summary>
    public MemoryTyping MemoryTypes
    {
        get
        {
            ref ModelSpecificRegisters msr = ref state->Msr;
            MemoryTypeRanges ranges = Features.Has(CpuFeature.Mtrr)
                ? new MemoryTypeRanges(msr.MtrrDefaultType, msr.MtrrFixed, msr.MtrrVariable, Features.PhysicalAddressBits)
                : MemoryTypeRanges.Absent;
            return new MemoryTyping(
                (state->Cr0 & Cr0.CD) != 0, Features.Has(CpuFeature.Pat) ? new PageAttributeTable(msr.Pat) : null, ranges);
        }
    }
}
