using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>The flags of a paging-structure entry by their SDM names, each in its own column, with dashes for those that are 0.</summary>
internal static class EntryFlags
{
    /// <param name="entry">The entry.</param>
    /// <param name="level">4 to 1; bit 7 is PAT in a PTE and PS above.</param>
    public static string Format(PageTableEntry entry, int level)
    {
        List<string> columns = [];
        foreach ((string name, bool set) in Of(entry, level))
        {
            columns.Add(set ? name : new string('-', name.TrimEnd().Length).PadRight(name.Length));
        }

        return string.Join(' ', columns);
    }

    /// <summary>The names of the flags that are 1, in the order of their bits.</summary>
    public static IEnumerable<string> Names(PageTableEntry entry, int level) =>
        Of(entry, level).Where(flag => flag.Set).Select(flag => flag.Name.TrimEnd());

    private static (string Name, bool Set)[] Of(PageTableEntry entry, int level) =>
    [
        ("P", entry.P), ("RW", entry.RW), ("US", entry.US), ("PWT", entry.PWT), ("PCD", entry.PCD), ("A", entry.A),
        ("D", entry.D), (level == 1 ? "PAT" : "PS ", entry.PS), ("G", entry.G), ("NX", entry.NX),
    ];
}
