using System.Globalization;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>The tables of an address space as HTML: a column for each level, each table once, neighbouring entries that are alike in one row.</summary>
internal sealed class TablesPicture
{
    /// <summary>How much is shown, so that a file has a few megabytes at most.</summary>
    public static readonly TableGraphLimits Limits = new(Counted: 1 << 18, Tables: 400, Runs: 4000, RunsOfTable: 128);

    private const int OpenTables = 16;
    private const int OpenRows = 24;

    private readonly TextWriter output;
    private readonly TableGraph graph;
    private readonly Dictionary<ulong, List<int>> walked = [];

    /// <summary>A picture.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="graph">The tables.</param>
    /// <param name="path">The entries of a walk, from the root down, to be highlighted.</param>
    public TablesPicture(TextWriter output, TableGraph graph, ReadOnlySpan<WalkStep> path = default)
    {
        this.output = output;
        this.graph = graph;
        for (int i = 0; i < path.Length; i++)
        {
            if (!walked.TryGetValue(path[i].Address.Value, out List<int>? steps))
            {
                walked[path[i].Address.Value] = steps = [];
            }

            steps.Add(i + 1);
        }
    }

    /// <summary>The letters and colour of rights.</summary>
    public static string Chip(PageRights rights) => $"<span class=\"chip {Classes(rights)}\">{PagingText.Rights(rights)}</span>";

    /// <summary>The anchor of a table.</summary>
    public static string Anchor(Gpa table) => $"t{table.Value:x}";

    /// <summary>Writes the section.</summary>
    public void Write()
    {
        output.WriteLine("<section id=\"tables\">");
        output.WriteLine("<h2>Tables</h2>");
        WriteLegend();
        WriteLeftOut();
        output.WriteLine($"<div class=\"levels\" style=\"--n:{graph.TopLevel}\">");
        for (int level = graph.TopLevel; level > 0; level--)
        {
            WriteLevel(level, [.. graph.Tables.Where(table => table.Level == level)]);
        }

        output.WriteLine("</div>");
        output.WriteLine("</section>");
    }

    /// <summary>The same in five characters: S or U, and the letters.</summary>
    private static string ShortChip(PageRights rights) =>
        $"<span class=\"chip {Classes(rights)}\" title=\"{PagingText.Rights(rights)}\">{((rights & PageRights.User) != 0 ? "U" : "S")}{PagingText.Rights(rights)[^4..]}</span>";

    private static string Classes(PageRights rights) =>
        $"k{((rights & PageRights.User) != 0 ? " u" : "")}{((rights & PageRights.Write) != 0 ? " w" : "")}{((rights & PageRights.NoExecute) == 0 ? " x" : "")}";

    private void WriteLegend()
    {
        output.Write("<p class=\"legend\">Rights, combined over an entry and those above it on the way first met, S for a supervisor and U for a user page: ");
        foreach (PageRights who in (PageRights[])[PageRights.None, PageRights.User])
        {
            foreach (PageRights what in (PageRights[])[PageRights.NoExecute, PageRights.NoExecute | PageRights.Write, PageRights.None, PageRights.Write])
            {
                output.Write(ShortChip(who | what));
            }
        }

        output.WriteLine("<span class=\"chip k bad\">faults</span></p>");
        output.WriteLine("<p class=\"note\">Each table stands once, at the highest level it is used for; \u21bb marks an entry that leads back to such a table. Open a row for its entry.</p>");
    }

    private void WriteLeftOut()
    {
        int tables = graph.Tables.Count(table => !table.IsShown);
        int rows = graph.Tables.Sum(table => table.RunsLeftOut);
        if (tables != 0 || rows != 0 || graph.IsIncomplete)
        {
            string more = graph.IsIncomplete ? " or more" : "";
            output.WriteLine(
                $"<p class=\"note left-out\">Left out: the entries of {PagingText.Count((ulong)tables, "table", "tables")}{more} of {PagingText.Count((ulong)graph.Tables.Count, "table", "tables")}{more}, and {PagingText.Count((ulong)rows, "row", "rows")} of those shown. <code>quadwalk mem --at</code> and <code>--pages</code> list any part.</p>");
        }
    }

    private void WriteLevel(int level, List<TableNode> tables)
    {
        output.WriteLine($"<section class=\"level\"><h3>{PagingText.TableName(level)} <small>{PagingText.Count((ulong)tables.Count, "table", "tables")}</small></h3>");
        List<TableNode> shown = [.. tables.Where(table => table.IsShown).OrderBy(table => IsWalked(table) ? 0 : 1)];
        for (int i = 0; i < shown.Count; i++)
        {
            if (i == OpenTables)
            {
                output.WriteLine($"<details class=\"more\"><summary>{PagingText.Count((ulong)(shown.Count - i), "more table", "more tables")}</summary>");
            }

            WriteTable(shown[i]);
        }

        output.WriteLine(shown.Count > OpenTables ? "</details>" : "");
        if (tables.Count > shown.Count)
        {
            output.WriteLine($"<p class=\"note\">{PagingText.Count((ulong)(tables.Count - shown.Count), "table is", "tables are")} left out.</p>");
        }

        output.WriteLine("</section>");
    }

    private bool IsWalked(TableNode table) => table.Runs.Any(run => walked.ContainsKey(run.Address.Value));

    private void WriteTable(TableNode table)
    {
        bool isWalked = IsWalked(table);
        string open = isWalked || table.Runs.Count <= OpenRows ? " open" : "";
        output.Write($"<details class=\"card{(isWalked ? " walked" : "")}\" id=\"{Anchor(table.Address)}\"{open}><summary><b>{table.Address}</b> {PagingText.Count((ulong)table.Runs.Count, "row", "rows")}");
        output.WriteLine($", from <span title=\"The first linear address it translates\">{table.First}</span></summary>");
        WriteSeenFrom(table);
        output.WriteLine("<ul class=\"rows\">");
        foreach (TableEntryRun run in table.Runs)
        {
            WriteRow(table, run);
        }

        if (table.RunsLeftOut != 0)
        {
            output.WriteLine($"<li class=\"none\">{PagingText.Count((ulong)table.RunsLeftOut, "row", "rows")} left out</li>");
        }

        output.WriteLine("</ul></details>");
    }

    private void WriteSeenFrom(TableNode table)
    {
        if (table.ReferenceCount == 0)
        {
            output.WriteLine("<div>the root</div>");
            return;
        }

        string kind = table.IsUsedForSeveralLevels ? "\u21bb used at several levels, seen from" : table.ReferenceCount > 1 ? "shared, seen from" : "seen from";
        IEnumerable<string> links = table.SeenFrom.Select(reference =>
            $"<a href=\"#{Anchor(reference.Table)}\">{reference.Table}</a>[{reference.Index}]{(reference.Level - 1 == table.Level ? "" : $" as {PagingText.TableName(reference.Level - 1)}")}");
        int more = table.ReferenceCount - table.SeenFrom.Count;
        string rest = more == 0 ? "" : $" and {PagingText.Count((ulong)more, "more entry", "more entries")}";
        output.WriteLine($"<div class=\"seen\">{kind} {string.Join(", ", links)}{rest}</div>");
    }

    private void WriteRow(TableNode table, in TableEntryRun run)
    {
        string index = run.Count == 1 ? Number(run.FirstIndex) : $"{Number(run.FirstIndex)}\u2013{Number(run.LastIndex)}";
        bool isWalked = walked.TryGetValue(run.Address.Value, out List<int>? steps);
        string mark = isWalked ? $"<span class=\"step\">\u25c6 step {string.Join(", ", steps!)}</span> " : "";
        string on = isWalked ? " walked" : "";
        if (run.Kind == TableEntryKind.Unreachable || (run.Kind == TableEntryKind.NotPresent && run.First.Raw == 0 && !isWalked))
        {
            string nothing = run.Kind == TableEntryKind.NotPresent ? "not present" : "no memory is here";
            output.WriteLine($"<li class=\"none{on}\"><span class=\"ix\">{index}</span> {mark}{nothing}</li>");
            return;
        }

        string colour = run.Kind switch
        {
            TableEntryKind.ReservedBits => "k bad",
            TableEntryKind.NotPresent => "none",
            _ => Classes(run.Rights),
        };
        string flags = EntryFlags.Format(run.First, table.Level);
        output.WriteLine($"<li class=\"{colour}{on}\"><details><summary title=\"{run.First} {flags}\"><span class=\"ix\">{index}</span> {mark}{Outcome(table, run)}</summary>");
        output.WriteLine($"<dl><dt>linear</dt><dd>{LinearRange(table, run)}</dd><dt>entry at</dt><dd>{run.Address}</dd><dt>value</dt><dd>{run.First}{(run.Count == 1 || run.First == run.Last ? "" : $" to {run.Last}")}</dd><dt>flags</dt><dd>{string.Join(' ', EntryFlags.Names(run.First, table.Level))}</dd></dl></details></li>");
    }

    private string Outcome(TableNode table, in TableEntryRun run)
    {
        switch (run.Kind)
        {
            case TableEntryKind.NotPresent:
                return run.First.Raw == 0 ? "not present" : "not present, not 0";
            case TableEntryKind.ReservedBits:
                return "<span class=\"chip k bad\">faults: reserved bits</span>";
            case TableEntryKind.Page:
                string size = PagingText.Size(1UL << table.EntryShift);
                string what = run.Count == 1 ? size : $"{Number(run.Count)} \u00d7 {size}";
                return $"{ShortChip(run.Rights)} {what} {(run.Count != 1 && run.TargetStep == 0 ? "all at" : "at")} {run.Target}";
            default:
                TableNode? child = graph.Find(run.Target);
                string name = PagingText.TableName(table.Level - 1);
                string target = child is { IsShown: true } ? $"<a href=\"#{Anchor(run.Target)}\">{name} {run.Target}</a>" : $"{name} {run.Target}";
                string back = child is null || child.Level < table.Level ? "" : child == table ? " \u21bb itself" : $" \u21bb the {PagingText.TableName(child.Level)}";
                string shared = back.Length == 0 && child is { ReferenceCount: > 1 } ? ", shared" : "";
                return $"{ShortChip(run.Rights)} {target}{back}{shared}";
        }
    }

    private static string LinearRange(TableNode table, in TableEntryRun run)
    {
        ulong first = table.First.Value + ((ulong)run.FirstIndex << table.EntryShift);
        ulong last = table.First.Value + ((ulong)run.LastIndex << table.EntryShift) + ((1UL << table.EntryShift) - 1);
        return $"0x{first:x} to 0x{last:x}";
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
