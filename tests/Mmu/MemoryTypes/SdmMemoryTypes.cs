namespace Quadwalk.Tests;

/// <summary>The SDM's tables of memory types as text, typed from it and not from the code under test.</summary>
internal static class SdmMemoryTypes
{
    /// <summary>Vol. 3A, "Memory Types That Can Be Encoded With PAT"; MTRRs have all of these but UC-.</summary>
    public static readonly (string Name, int Encoding)[] Encodings = [("UC", 0), ("WC", 1), ("WT", 4), ("WP", 5), ("WB", 6), ("UC-", 7)];

    /// <summary>Vol. 3A, "Effective Page-Level Memory Types for Pentium III and More Recent Processor Families": MTRR, PAT, effective.</summary>
    public static readonly string[] EffectiveWithPat =
    [
        "UC UC UC", "UC UC- UC", "UC WC WC", "UC WT UC", "UC WB UC", "UC WP UC",
        "WC UC UC", "WC UC- WC", "WC WC WC", "WC WT UC", "WC WB WC", "WC WP UC",
        "WT UC UC", "WT UC- UC", "WT WC WC", "WT WT WT", "WT WB WT", "WT WP WP",
        "WB UC UC", "WB UC- UC", "WB WC WC", "WB WT WT", "WB WB WB", "WB WP WP",
        "WP UC UC", "WP UC- WC", "WP WC WC", "WP WT WT", "WP WB WP", "WP WP WP",
    ];

    /// <summary>Vol. 3A, "Effective Page-Level Memory Type for Pentium Pro and Pentium II Processors": MTRR, PCD, PWT, effective.</summary>
    public static readonly string[] EffectiveWithoutPat =
    [
        "UC 0 0 UC", "UC 0 1 UC", "UC 1 0 UC", "UC 1 1 UC",
        "WC 0 0 WC", "WC 0 1 WC", "WC 1 0 WC", "WC 1 1 UC",
        "WT 0 0 WT", "WT 0 1 WT", "WT 1 0 UC", "WT 1 1 UC",
        "WP 0 0 WP", "WP 0 1 WP", "WP 1 0 WC", "WP 1 1 UC",
        "WB 0 0 WB", "WB 0 1 WT", "WB 1 0 UC", "WB 1 1 UC",
    ];

    /// <summary>Vol. 3A, "Memory Type Setting of PAT Entries Following a Power-up or Reset", PAT0 to PAT7.</summary>
    public static readonly string[] PatAfterReset = ["WB", "WT", "UC-", "UC", "WB", "WT", "UC-", "UC"];

    /// <summary>Vol. 3A, "Address Mapping for Fixed-Range MTRRs": the register, and where its eight ranges begin and how long each is.</summary>
    public static readonly (uint Register, ulong Start, ulong Size)[] FixedRanges =
    [
        (0x250, 0x00000, 0x10000),
        (0x258, 0x80000, 0x4000), (0x259, 0xA0000, 0x4000),
        (0x268, 0xC0000, 0x1000), (0x269, 0xC8000, 0x1000), (0x26A, 0xD0000, 0x1000), (0x26B, 0xD8000, 0x1000),
        (0x26C, 0xE0000, 0x1000), (0x26D, 0xE8000, 0x1000), (0x26E, 0xF0000, 0x1000), (0x26F, 0xF8000, 0x1000),
    ];

    public static int EncodingOf(string name) => Encodings.Single(type => type.Name == name).Encoding;
}
