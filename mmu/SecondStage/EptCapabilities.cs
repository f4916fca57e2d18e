namespace Quadwalk.Mmu;

/// <summary>What a processor's EPT can do: the bits of IA32_VMX_EPT_VPID_CAP (SDM Vol. 3D, appendix A.10) that translation depends on.</summary>
/// <param name="Raw">The MSR.</param>
public readonly record struct EptCapabilities(ulong Raw)
{
    /// <summary>Bit 0: execute-only translations.</summary>
    public const ulong ExecuteOnlyBit = 1UL << 0;

    /// <summary>Bit 6: a page-walk length of 4.</summary>
    public const ulong WalkLength4Bit = 1UL << 6;

    /// <summary>Bit 7: a page-walk length of 5.</summary>
    public const ulong WalkLength5Bit = 1UL << 7;

    /// <summary>Bit 8: paging structures of memory type UC.</summary>
    public const ulong UncacheableBit = 1UL << 8;

    /// <summary>Bit 14: paging structures of memory type WB.</summary>
    public const ulong WriteBackBit = 1UL << 14;

    /// <summary>Bit 16: a PDE can map a 2 MiB page.</summary>
    public const ulong Page2MBit = 1UL << 16;

    /// <summary>Bit 17: a PDPTE can map a 1 GiB page.</summary>
    public const ulong Page1GBit = 1UL << 17;

    /// <summary>Bit 21: accessed and dirty flags.</summary>
    public const ulong AccessedDirtyBit = 1UL << 21;

    /// <summary>Bit 22: bits 11:9 of the exit qualification of a violation are defined.</summary>
    public const ulong AdvancedInformationBit = 1UL << 22;

    /// <summary>Bit 23: supervisor shadow-stack control.</summary>
    public const ulong ShadowStackBit = 1UL << 23;

    /// <summary>Everything that is modelled.</summary>
    public static EptCapabilities All => new(
        ExecuteOnlyBit | WalkLength4Bit | WalkLength5Bit | UncacheableBit | WriteBackBit | Page2MBit | Page1GBit
        | AccessedDirtyBit | AdvancedInformationBit | ShadowStackBit);

    /// <summary>Execute-only translations.</summary>
    public bool ExecuteOnly => (Raw & ExecuteOnlyBit) != 0;

    /// <summary>A PDE can map a 2 MiB page.</summary>
    public bool Page2M => (Raw & Page2MBit) != 0;

    /// <summary>A PDPTE can map a 1 GiB page.</summary>
    public bool Page1G => (Raw & Page1GBit) != 0;

    /// <summary>Accessed and dirty flags.</summary>
    public bool AccessedDirty => (Raw & AccessedDirtyBit) != 0;

    /// <summary>Bits 11:9 of the exit qualification of a violation are defined.</summary>
    public bool AdvancedInformation => (Raw & AdvancedInformationBit) != 0;

    /// <summary>Supervisor shadow-stack control.</summary>
    public bool ShadowStack => (Raw & ShadowStackBit) != 0;
}
