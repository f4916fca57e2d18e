namespace Quadwalk.Mmu;

/// <summary>Which register gave an address its memory type (SDM Vol. 3A, section 13.11.4.1).</summary>
public enum MtrrSource : byte
{
    /// <summary>The processor has no MTRRs; the type is WB, and page-level flags decide.</summary>
    Absent,

    /// <summary>IA32_MTRR_DEF_TYPE.E is 0: all memory is UC.</summary>
    Disabled,

    /// <summary>A fixed-range register, for the first 1 MiB with IA32_MTRR_DEF_TYPE.FE.</summary>
    Fixed,

    /// <summary>One variable range, or several that agree or that the overlap rules settle: UC before all, WT before WB.</summary>
    Variable,

    /// <summary>Variable ranges whose overlap the SDM leaves undefined. UC is assumed, the type that is safe for every use.</summary>
    UndefinedOverlap,

    /// <summary>The type of IA32_MTRR_DEF_TYPE: no range matches.</summary>
    Default,
}
