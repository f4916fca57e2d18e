using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// The entries of 32-bit and PAE paging as rows, from SDM Vol. 3A, sections 5.3 and 5.4 with tables 5-3 to 5-11. The access rights are those of
/// every mode: <see cref="SdmPagingRules"/>.
/// </summary>
internal static class SdmLegacyPagingRules
{
    // Entries, bits from-to (M = MAXPHYADDR, H = 13 more than the address bits above 32 that a 4 MiB page has, 40 in all at most), and when.
    private static readonly (PagingMode Mode, string Entries, string Bits, Func<bool, bool, bool, bool> When)[] ReservedRows =
    [
        (PagingMode.Bits32, "PDE", "H-21", (ps, nxe, pse) => ps && pse),
        (PagingMode.Pae, "PDE PTE", "M-62", (ps, nxe, pse) => true),
        (PagingMode.Pae, "PDE PTE", "63-63", (ps, nxe, pse) => !nxe),
        (PagingMode.Pae, "PDE", "13-20", (ps, nxe, pse) => ps),
    ];

    // Pages: the entry, with PS where it matters, log2 of the size, and where entry bits go in the physical address.
    private static readonly (PagingMode Mode, string Entry, int Shift, (int From, int To, int At)[] Address)[] PageRows =
    [
        (PagingMode.Bits32, "PDE", 22, [(22, 31, 22), (13, 20, 32)]),
        (PagingMode.Bits32, "PTE", 12, [(12, 31, 12)]),
        (PagingMode.Pae, "PDE", 21, [(21, 51, 21)]),
        (PagingMode.Pae, "PTE", 12, [(12, 51, 12)]),
    ];

    /// <summary>The bits of a linear address that index a table.</summary>
    public static (int From, int To) Index(PagingMode mode, int level) => (mode, level) switch
    {
        (PagingMode.Bits32, 2) => (22, 31),
        (PagingMode.Bits32, 1) => (12, 21),
        (PagingMode.Pae, 3) => (30, 31),
        (PagingMode.Pae, 2) => (21, 29),
        (PagingMode.Pae, 1) => (12, 20),
        _ => throw new ArgumentOutOfRangeException(nameof(level)),
    };

    /// <summary>Bytes of an entry.</summary>
    public static int EntrySize(PagingMode mode) => mode == PagingMode.Bits32 ? 4 : 8;

    /// <summary>Whether a PDE with PS maps a page.</summary>
    public static bool HasLargePages(PagingMode mode, bool pse) => mode == PagingMode.Pae || pse;

    /// <summary>The reserved bits of a PDE (level 2) or PTE (1).</summary>
    public static ulong Reserved(PagingMode mode, int level, bool ps, bool nxe, bool pse, int maxPhysicalAddress)
    {
        ulong mask = 0;
        foreach ((PagingMode rowMode, string entries, string bits, Func<bool, bool, bool, bool> when) in ReservedRows)
        {
            if (rowMode == mode && entries.Contains(Name(level)) && when(ps, nxe, pse))
            {
                string[] ends = bits.Split('-');
                int from = ends[0] switch
                {
                    "M" => maxPhysicalAddress,
                    "H" => Math.Min(maxPhysicalAddress, 40) - 32 + 13,
                    _ => int.Parse(ends[0]),
                };
                for (int bit = from; bit <= int.Parse(ends[1]); bit++)
                {
                    mask |= 1UL << bit;
                }
            }
        }

        return mask;
    }

    /// <summary>The page that an entry maps: log2 of its size and its physical address.</summary>
    public static (int Shift, ulong Frame) Page(PagingMode mode, int level, ulong entry)
    {
        (_, _, int shift, (int From, int To, int At)[] address) = PageRows.Single(row => row.Mode == mode && row.Entry == Name(level));
        return (shift, address.Aggregate(0UL, (sum, part) => sum | (Bits(entry, part.From, part.To) << part.At)));
    }

    /// <summary>The address of the table that an entry references.</summary>
    public static ulong Table(PagingMode mode, ulong entry) => Bits(entry, 12, mode == PagingMode.Pae ? 51 : 31) << 12;

    /// <summary>The bits of a word from one to another, both included, moved down to bit 0.</summary>
    public static ulong Bits(ulong word, int from, int to) => (word >> from) % (1UL << (to - from + 1));

    private static string Name(int level) => level == 2 ? "PDE" : "PTE";
}
