namespace Quadwalk.Mmu;

/// <summary>Counts the pages below a table that hold one guest frame.</summary>
internal sealed class FrameFold(TableDecoder decoder, int mostTables, ulong frame) : SubtreeFold<ulong>(decoder, mostTables)
{
    protected override ulong Unknown => 0;

    /// <summary>Whether an entry maps a page that holds the frame.</summary>
    public bool Maps(in DecodedEntry entry, int level) =>
        entry.Kind == TableEntryKind.Page && (frame - entry.Target) >> Decoder.Shift(level) == 0;

    public override ulong Leaf(in DecodedEntry entry, int level, PageRights rights) => Maps(entry, level) ? 1u : 0u;

    protected override PageRights Relevant(PageRights rights) => PageRights.None;

    protected override ulong Join(in ulong low, in ulong high) => low + high;
}
