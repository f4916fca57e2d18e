using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The tables of an address space as a picture has them: each once, level by level from the root, with its entries and with those that
/// reference it. A table that is used for several levels stands at the highest, where it has all its children.
/// </summary>
/// <remarks>The guest's tables are hostile: both how many tables are counted and how many are shown in detail is bounded.</remarks>
public sealed class TableGraph
{
    /// <summary>How many of the entries that reference a table it keeps.</summary>
    public const int MostReferences = 4;

    private readonly TableDecoder decoder;
    private readonly TableGraphLimits limits;
    private readonly HashSet<ulong> marked = [];
    private readonly HashSet<ulong> onPath = [];
    private readonly Dictionary<ulong, TableNode> nodes = [];
    private readonly Queue<(TableNode Node, ulong Start, PageRights Rights)> waiting = [];
    private readonly List<TableNode> found = [];
    private int shown;
    private int runs;

    private TableGraph(TableDecoder decoder, TableGraphLimits limits, Gva? path)
    {
        this.decoder = decoder;
        this.limits = limits;
        if (path is { } address)
        {
            MarkPath(address);
        }

        Meet(decoder.Root, decoder.TopLevel, 0, PageRights.User | PageRights.Write);
        while (waiting.TryDequeue(out (TableNode Node, ulong Start, PageRights Rights) next))
        {
            Read(next.Node, next.Start, next.Rights);
        }
    }

    /// <summary>The tables found, from the root down.</summary>
    public IReadOnlyList<TableNode> Tables => found;

    /// <summary>Whether there are more tables than were counted.</summary>
    public bool IsIncomplete { get; private set; }

    /// <summary>The level of the root's entries.</summary>
    public int TopLevel => decoder.TopLevel;

    /// <summary>The tables of an address space.</summary>
    /// <param name="tables">The memory that holds them; it is never written.</param>
    /// <param name="state">The control registers and limits in force.</param>
    /// <param name="limits">How much to show.</param>
    /// <param name="path">An address whose walk is shown whatever the limits; each entry on it is a run of its own.</param>
    /// <exception cref="ArgumentException">Paging is off, so there are no tables.</exception>
    public static TableGraph Of<TTables>(TTables tables, in PagingState state, TableGraphLimits limits, Gva? path = null)
        where TTables : struct, ITableMemory => new(TableDecoder.For(tables, state), limits, path);

    /// <summary>The table at an address, or null where none was found.</summary>
    public TableNode? Find(Gpa table) => nodes.GetValueOrDefault(table.Value);

    private void MarkPath(Gva address)
    {
        ulong position = address.Value & decoder.LastPosition;
        ulong table = decoder.Root;
        for (int level = decoder.TopLevel; level > 0; level--)
        {
            int index = (int)(position >> decoder.Shift(level)) & ((1 << decoder.EntryBits(level)) - 1);
            DecodedEntry entry = decoder.Read(table, level, index);
            onPath.Add(table);
            marked.Add(entry.Address.Value);
            if (entry.Kind != TableEntryKind.Table)
            {
                return;
            }

            table = entry.Target;
        }
    }

    private TableNode? Meet(ulong table, int level, ulong start, PageRights rights)
    {
        if (nodes.TryGetValue(table, out TableNode? node))
        {
            node.IsUsedForSeveralLevels |= node.Level != level;
            return node;
        }

        if (nodes.Count >= limits.Counted && !onPath.Contains(table))
        {
            IsIncomplete = true;
            return null;
        }

        node = new TableNode(new Gpa(table), level, decoder.AddressOf(start), decoder.Shift(level));
        nodes.Add(table, node);
        found.Add(node);
        waiting.Enqueue((node, start, rights));
        return node;
    }

    private void Read(TableNode node, ulong start, PageRights rights)
    {
        bool always = onPath.Contains(node.Address.Value);
        node.IsShown = always || (shown < limits.Tables && runs < limits.Runs);
        shown += node.IsShown ? 1 : 0;
        List<TableEntryRun> rows = [];
        TableEntryRun? open = null;
        int count = 1 << decoder.EntryBits(node.Level);
        for (int index = 0; index < count; index++)
        {
            DecodedEntry entry = decoder.Read(node.Address.Value, node.Level, index);
            PageRights below = entry.Entry.P ? decoder.Narrow(rights, entry.Entry, node.Level) : rights;
            if (entry.Kind == TableEntryKind.Table)
            {
                Follow(node, entry, index, start + ((ulong)index << node.EntryShift), below);
            }

            if (!node.IsShown)
            {
                continue;
            }

            TableEntryRun one = new(index, index, entry.Kind, entry.Address, entry.Entry, entry.Entry, new Gpa(entry.Target), 0, below);
            if (open is { } run && Join(run, one, node.Level) is { } longer)
            {
                open = longer;
                continue;
            }

            Keep(node, rows, open);
            open = one;
        }

        Keep(node, rows, open);
        node.Runs = rows;
    }

    private void Follow(TableNode node, in DecodedEntry entry, int index, ulong start, PageRights rights)
    {
        if (Meet(entry.Target, node.Level - 1, start, rights) is not { } child)
        {
            return;
        }

        child.ReferenceCount++;
        if (child.References.Count < MostReferences)
        {
            child.References.Add(new TableReference(node.Level, entry.Address, node.Address, index));
        }
    }

    private void Keep(TableNode node, List<TableEntryRun> rows, TableEntryRun? done)
    {
        if (done is not { } run)
        {
            return;
        }

        bool always = run.Count == 1 && marked.Contains(run.Address.Value);
        if (!always && (rows.Count >= limits.RunsOfTable || runs >= limits.Runs))
        {
            node.RunsLeftOut++;
            return;
        }

        rows.Add(run);
        runs++;
    }

    /// <summary>A run with one more entry, or null where the entry is another's.</summary>
    private TableEntryRun? Join(in TableEntryRun run, in TableEntryRun next, int level)
    {
        if (run.Kind != next.Kind || marked.Contains(next.Address.Value) || (run.Count == 1 && marked.Contains(run.Address.Value)))
        {
            return null;
        }

        TableEntryRun longer = run with { LastIndex = next.LastIndex, Last = next.First };
        if (next.Kind == TableEntryKind.NotPresent)
        {
            return (run.First.Raw == 0) == (next.First.Raw == 0) ? longer : null;
        }

        if (next.Kind != TableEntryKind.Page)
        {
            return run.First == next.First ? longer : null;
        }

        ulong step = next.Target.Value - (run.Target.Value + ((ulong)(run.Count - 1) * run.TargetStep));
        bool follows = run.Count == 1 ? step == 0 || step == 1UL << decoder.Shift(level) : step == run.TargetStep;
        bool alike = (run.First.Raw ^ run.Target.Value) == (next.First.Raw ^ next.Target.Value);
        return follows && alike ? longer with { TargetStep = step } : null;
    }
}
