namespace Quadwalk.Mmu;

/// <summary>Sums up subtrees by the rights of what they map.</summary>
internal sealed class RegionFold(TableDecoder decoder, int mostTables) : SubtreeFold<RegionSummary>(decoder, mostTables)
{
    protected override RegionSummary Unknown => RegionSummary.Of(RegionRights.NotScanned);

    public override RegionSummary Leaf(in DecodedEntry entry, int level, PageRights rights) => entry.Kind == TableEntryKind.Page
        ? RegionSummary.Of(RegionRights.Mapped | (RegionRights)rights, PageCounts.One(level))
        : RegionSummary.Of(RegionRights.Unmapped);

    protected override PageRights Relevant(PageRights rights) => rights;

    protected override RegionSummary Join(in RegionSummary low, in RegionSummary high)
    {
        bool meet = low.Last == high.First;
        ulong shared = meet && low.Last != RegionRights.Unmapped ? 1u : 0u;
        return new(low.First, high.Last, meet && low.IsUniform && high.IsUniform, low.Ranges + high.Ranges - shared, low.Pages + high.Pages);
    }
}
