namespace Quadwalk.Emulation;

/// <summary>The processor model: what it has beside the baseline.</summary>
public sealed record CpuFeatures
{
    /// <summary>MAXPHYADDR: 36 to 52 bits of physical address.</summary>
    public byte PhysicalAddressBits { get; init; } = 46;

    /// <summary>1 GiB pages.</summary>
    public bool Page1G { get; init; } = true;
}
