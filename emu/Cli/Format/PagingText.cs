using System.Globalization;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>Names of paging modes, page sizes, rights and amounts.</summary>
internal static class PagingText
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    /// <summary>The mode: <c>4-level</c>, <c>PAE</c>.</summary>
    public static string ModeName(PagingMode mode) => mode switch
    {
        PagingMode.None => "none",
        PagingMode.Bits32 => "32-bit",
        PagingMode.Pae => "PAE",
        PagingMode.FourLevel => "4-level",
        _ => "5-level",
    };

    /// <summary>The registers and limits that a walk depends on, in one line.</summary>
    public static string Registers(in PagingState state) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Prefix(state.Mode)}CR3 0x{state.Cr3:x}, WP {Bit(state.WP)}, PGE {Bit(state.PGE)}, SMEP {Bit(state.SMEP)}, SMAP {Bit(state.SMAP)}, AC {Bit(state.AlignmentCheck)}, NXE {Bit(state.NXE)}, MAXPHYADDR {state.PhysicalAddressBits}");

    /// <summary>U/S, R/W and NX: <c>user rw-</c>.</summary>
    public static string Rights(PageRights rights) =>
        $"{((rights & PageRights.User) != 0 ? "user" : "supervisor")} r{((rights & PageRights.Write) != 0 ? "w" : "-")}{((rights & PageRights.NoExecute) == 0 ? "x" : "-")}";

    /// <summary>A number of bytes in the largest unit that it is a whole number of: <c>4 KiB</c>, <c>1,025 KiB</c>.</summary>
    public static string Size(ulong bytes)
    {
        int unit = 0;
        while (bytes != 0 && bytes % 1024 == 0 && unit < Units.Length - 1)
        {
            bytes /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{bytes:N0} {Units[unit]}");
    }

    /// <summary>The size of a range; that of all 64-bit addresses does not occur.</summary>
    public static string Size(GvaRange range) => Size(range.Span + 1);

    /// <summary>The table that holds entries of a level: <c>PML4</c>, <c>PDPT</c>, <c>PD</c>, <c>PT</c>.</summary>
    public static string TableName(int level) => WalkDescription.LevelName(level).TrimEnd('E');

    /// <summary><c>1 page</c>, <c>1,024 pages</c>.</summary>
    public static string Count(ulong count, string one, string several) =>
        string.Create(CultureInfo.InvariantCulture, $"{count:N0} {(count == 1 ? one : several)}");

    /// <summary>What is mapped: <c>2 MiB mapped by 3 pages of 4 KiB and 1 of 2 MiB</c>.</summary>
    public static string Pages(PageCounts pages, PagingMode mode)
    {
        int large = mode == PagingMode.Bits32 ? 22 : 21;
        List<string> parts = [];
        foreach ((ulong count, int shift) in (ReadOnlySpan<(ulong, int)>)[(pages.Small, 12), (pages.Large, large), (pages.Huge, 30)])
        {
            if (count != 0)
            {
                parts.Add($"{(parts.Count == 0 ? Count(count, "page", "pages") : count.ToString("N0", CultureInfo.InvariantCulture))} of {Size(1UL << shift)}");
            }
        }

        if (parts.Count == 0)
        {
            return "no page is mapped";
        }

        string list = parts.Count == 1 ? parts[0] : $"{string.Join(", ", parts[..^1])} and {parts[^1]}";
        return $"{Size(Bytes(pages, mode))} mapped by {list}";
    }

    /// <summary>The bytes that pages have.</summary>
    public static ulong Bytes(PageCounts pages, PagingMode mode) =>
        (pages.Small << 12) + (pages.Large << (mode == PagingMode.Bits32 ? 22 : 21)) + (pages.Huge << 30);

    private static string Prefix(PagingMode mode) => mode switch
    {
        PagingMode.None => "No paging, ",
        PagingMode.FourLevel => "",
        _ => $"{ModeName(mode)} paging, ",
    };

    private static int Bit(bool value) => value ? 1 : 0;
}
