namespace Quadwalk.Mmu;

/// <summary>How much is mapped in a range of addresses.</summary>
/// <param name="Ranges">How many ranges <see cref="AddressSpaceMap.Ranges"/> gives.</param>
/// <param name="Pages">How many pages <see cref="AddressSpaceMap.Pages"/> gives, by size.</param>
/// <param name="IsComplete">Whether all tables were looked at. If not, there may be more.</param>
public readonly record struct MapCounts(ulong Ranges, PageCounts Pages, bool IsComplete);
