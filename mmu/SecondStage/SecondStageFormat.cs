namespace Quadwalk.Mmu;

/// <summary>The two formats of second-stage tables.</summary>
public enum SecondStageFormat : byte
{
    /// <summary>Extended page tables (SDM Vol. 3C, section 29.3).</summary>
    Ept,

    /// <summary>Nested page tables (AMD APM Vol. 2, section 15.25), in the formats of ordinary paging.</summary>
    Npt,
}
