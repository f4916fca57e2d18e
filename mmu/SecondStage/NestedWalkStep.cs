using System.Globalization;

namespace Quadwalk.Mmu;

/// <summary>An entry that a two-dimensional walk read.</summary>
/// <param name="IsGuest">An entry of the guest's tables; otherwise one of the second stage.</param>
/// <param name="Level">Its level: 5 to 1.</param>
/// <param name="GuestLevel">
/// For the second stage: the level of the guest's entry whose address it translates, 0 for the final address and for PDPTE registers. For the guest: its level.
/// </param>
/// <param name="Purpose">For the second stage: what it translates the address for.</param>
/// <param name="Address">Where the entry lies: guest-physical for the guest's, host-physical for the second stage's.</param>
/// <param name="Before">What it held.</param>
/// <param name="After">What it held when the walk ended.</param>
public readonly record struct NestedWalkStep(
    bool IsGuest, int Level, int GuestLevel, SecondStagePurpose Purpose, ulong Address, ulong Before, ulong After)
{
    /// <summary>What the entry is for: <c>guest PDE</c>, <c>nested PTE of the guest PDE's address</c>, <c>nested PTE of the final address</c>.</summary>
    public string Role => IsGuest
        ? $"guest {SecondStageDescription.LevelName(Level)}"
        : $"nested {SecondStageDescription.LevelName(Level)} of "
            + (Purpose == SecondStagePurpose.FinalAddress ? "the final address"
                : Purpose == SecondStagePurpose.PdpteLoad ? "the PDPTE registers' address"
                : $"the guest {SecondStageDescription.LevelName(GuestLevel)}'s address");

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Role} at 0x{Address:x} = 0x{Before:x16}");
}
