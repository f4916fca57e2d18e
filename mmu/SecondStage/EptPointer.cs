using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The extended-page-table pointer, EPTP (SDM Vol. 3C, table 25-9).</summary>
/// <param name="Raw">The field of the VMCS.</param>
public readonly record struct EptPointer(ulong Raw)
{
    /// <summary>Bit 6: accessed and dirty flags are enabled.</summary>
    public const ulong AccessedDirtyBit = 1UL << 6;

    /// <summary>Bit 7: rights of supervisor shadow-stack pages are enforced.</summary>
    public const ulong ShadowStackBit = 1UL << 7;

    private const ulong AlwaysReserved = 0xf00;
    private const int LengthShift = 3;

    /// <summary>A pointer to tables in write-back memory.</summary>
    /// <param name="root">The table of the highest level; a multiple of 4 KiB.</param>
    /// <param name="levels">The page-walk length, 4 or 5.</param>
    /// <param name="accessedDirty">Enables accessed and dirty flags.</param>
    /// <param name="shadowStack">Enables supervisor shadow-stack control.</param>
    public static EptPointer To(Hpa root, int levels = 4, bool accessedDirty = false, bool shadowStack = false) => new(
        root.Value | (ulong)MemoryType.WB | ((ulong)(levels - 1) << LengthShift)
        | (accessedDirty ? AccessedDirtyBit : 0) | (shadowStack ? ShadowStackBit : 0));

    /// <summary>The memory type of the paging structures: UC or WB.</summary>
    public MemoryType MemoryType => (MemoryType)(Raw & 7);

    /// <summary>The page-walk length: how many levels there are.</summary>
    public int Levels => ((int)(Raw >> LengthShift) & 7) + 1;

    /// <summary>Accessed and dirty flags are enabled.</summary>
    public bool AccessedDirty => (Raw & AccessedDirtyBit) != 0;

    /// <summary>Supervisor shadow-stack control is enabled.</summary>
    public bool ShadowStack => (Raw & ShadowStackBit) != 0;

    /// <summary>The table of the highest level.</summary>
    public Hpa Root => new(Raw & EptEntry.AddressMask);

    /// <summary>Why VM entry refuses this pointer (SDM Vol. 3C, section 27.2.1.1), or null.</summary>
    /// <param name="capabilities">What the processor can do.</param>
    /// <param name="physicalAddressBits">MAXPHYADDR, 32 to 52.</param>
    public string? Objection(EptCapabilities capabilities, byte physicalAddressBits)
    {
        ulong type = MemoryType switch
        {
            MemoryType.UC => EptCapabilities.UncacheableBit,
            MemoryType.WB => EptCapabilities.WriteBackBit,
            _ => 0,
        };
        ulong length = Levels switch
        {
            4 => EptCapabilities.WalkLength4Bit,
            5 => EptCapabilities.WalkLength5Bit,
            _ => 0,
        };
        return
            (capabilities.Raw & type) == 0 ? $"bits 2:0 name memory type {(int)MemoryType}"
            : (capabilities.Raw & length) == 0 ? $"bits 5:3 name a page-walk length of {Levels}"
            : AccessedDirty && !capabilities.AccessedDirty ? "bit 6 is 1 and there are no accessed and dirty flags for EPT"
            : ShadowStack && !capabilities.ShadowStack ? "bit 7 is 1 and there is no supervisor shadow-stack control"
            : (Raw & (AlwaysReserved | (ulong.MaxValue << physicalAddressBits))) != 0 ? "a reserved bit is 1"
            : null;
    }
}
