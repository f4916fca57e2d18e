using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>The flags of an EPT entry by their names, each in its own column, with dashes for those that are 0; and the memory type of a page.</summary>
internal static class EptEntryFlags
{
    /// <param name="entry">The entry.</param>
    /// <param name="level">5 to 1.</param>
    public static string Format(EptEntry entry, int level) => string.Join(' ', Of(entry, level).Select(flag => flag.Set ? flag.Name : new string('-', flag.Name.Length)));

    /// <summary>The names of the flags that are 1, in the order of their bits.</summary>
    public static IEnumerable<string> Names(EptEntry entry, int level) => Of(entry, level).Where(flag => flag.Set).Select(flag => flag.Name);

    /// <summary>Whether an entry that allows anything maps a page.</summary>
    public static bool MapsPage(EptEntry entry, int level) =>
        (entry.Raw & Present) != 0 && (level == 1 || (level <= 3 && (entry.Raw & EptEntry.PSBit) != 0));

    private const ulong Present = EptEntry.ReadBit | EptEntry.WriteBit | EptEntry.ExecuteBit;

    private static IEnumerable<(string Name, bool Set)> Of(EptEntry entry, int level)
    {
        bool page = MapsPage(entry, level);
        yield return ("R", (entry.Raw & EptEntry.ReadBit) != 0);
        yield return ("W", (entry.Raw & EptEntry.WriteBit) != 0);
        yield return ("X", (entry.Raw & EptEntry.ExecuteBit) != 0);
        yield return (page ? MemoryTypeEncoding.Name(entry.MemoryType).PadRight(2) : "MT", page);
        yield return ("IPAT", page && (entry.Raw & EptEntry.IgnorePatBit) != 0);
        yield return ("PS", level > 1 && page);
        yield return ("A", (entry.Raw & EptEntry.ABit) != 0);
        yield return ("D", page && (entry.Raw & EptEntry.DBit) != 0);
    }
}
