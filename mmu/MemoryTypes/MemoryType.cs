namespace Quadwalk.Mmu;

/// <summary>The memory types, with the encodings of MTRRs, PAT entries and EPT entries (SDM Vol. 3A, tables 13-2 and 13-10).</summary>
public enum MemoryType : byte
{
    /// <summary>Uncacheable (UC).</summary>
    UC = 0,

    /// <summary>Write combining (WC).</summary>
    WC = 1,

    /// <summary>Write-through (WT).</summary>
    WT = 4,

    /// <summary>Write-protected (WP).</summary>
    WP = 5,

    /// <summary>Write-back (WB).</summary>
    WB = 6,

    /// <summary>Uncached (UC-): UC, except that an MTRR may make it WC. Only the PAT has it; it is never an effective type.</summary>
    UCMinus = 7,
}
