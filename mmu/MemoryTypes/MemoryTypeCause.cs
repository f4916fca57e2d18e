namespace Quadwalk.Mmu;

/// <summary>What the type of an access was made from.</summary>
public enum MemoryTypeCause : byte
{
    /// <summary>CR0.CD is 1: nothing is brought into a cache, so the type is UC. Lines that are cached already are the model's no concern.</summary>
    CacheDisabled,

    /// <summary>The PAT and the MTRRs together.</summary>
    PatAndMtrr,

    /// <summary>PCD and PWT and the MTRRs together, on a processor without the PAT.</summary>
    FlagsAndMtrr,

    /// <summary>The PAT and the EPT entry together.</summary>
    PatAndEpt,

    /// <summary>The EPT entry alone: its bit 6 says to ignore the PAT.</summary>
    EptAlone,

    /// <summary>Bits 2:0 of the EPTP, for an access to an EPT paging structure.</summary>
    Eptp,
}
