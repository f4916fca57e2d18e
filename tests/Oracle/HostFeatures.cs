using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>What the host's own CPUID claims.</summary>
internal static class HostFeatures
{
    /// <summary>
    /// Whether the host's processor has an opcode, as far as CPUID has a word for it. What is a NOP to a processor without the feature every processor has.
    /// </summary>
    public static bool Has(Code code) => code.CpuidFeatures().All(Has);

    private static bool Has(CpuidFeature feature) => feature == CpuidFeature.CLDEMOTE ||
        CpuFeatureTable.Rows.Where(row => row.Instructions.Contains(feature)).All(Has)
        && (feature is not (CpuidFeature.AVX or CpuidFeature.AVX2 or CpuidFeature.FMA or CpuidFeature.F16C) || (XsaveArea.Mask & 4) != 0);

    private static bool Has(CpuFeatureRow row)
    {
        (int eax, int ebx, int ecx, int edx) = X86Base.CpuId((int)row.Leaf, (int)row.Subleaf);
        int register = row.Register switch { CpuidRegister.Eax => eax, CpuidRegister.Ebx => ebx, CpuidRegister.Ecx => ecx, _ => edx };
        return ((register >> row.Bit) & 1) != 0;
    }
}
