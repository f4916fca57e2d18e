namespace Quadwalk.Mmu;

/// <summary>What lies in a stretch of linear addresses, without a list of it.</summary>
/// <param name="First">What its first bytes allow.</param>
/// <param name="Last">What its last bytes allow.</param>
/// <param name="IsUniform">Whether all of it allows the same.</param>
/// <param name="Ranges">How many ranges of equal rights there are, those that are not mapped left out.</param>
/// <param name="Pages">How many pages are mapped.</param>
internal readonly record struct RegionSummary(RegionRights First, RegionRights Last, bool IsUniform, ulong Ranges, PageCounts Pages)
{
    public static RegionSummary Of(RegionRights rights, PageCounts pages = default) =>
        new(rights, rights, true, rights == RegionRights.Unmapped ? 0u : 1u, pages);
}
