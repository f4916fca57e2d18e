namespace Quadwalk.Mmu;

/// <summary>
/// How entries of a second-stage format are written. A page's attributes are all bits of its entry but address, page size, accessed and
/// dirty, as they stand in a PTE.
/// </summary>
internal interface ISecondStageEncoding
{
    /// <summary>The accessed flag.</summary>
    static abstract ulong Accessed { get; }

    /// <summary>The dirty flag.</summary>
    static abstract ulong Dirty { get; }

    /// <summary>Whether an entry is used by translation.</summary>
    static abstract bool IsPresent(ulong raw);

    /// <summary>Whether a present entry maps a page.</summary>
    static abstract bool MapsPage(ulong raw, int level);

    /// <summary>An entry that references a table and forbids nothing.</summary>
    static abstract ulong Reference(ulong table);

    /// <summary>An entry that maps a page, not accessed.</summary>
    static abstract ulong Page(ulong address, int level, ulong attributes);

    /// <summary>The attributes of an entry that maps a page.</summary>
    static abstract ulong AttributesOf(ulong raw, int level);
}

/// <summary>EPT. References allow execution for both modes: bit 10 is ignored without mode-based execute control.</summary>
internal readonly struct EptEncoding : ISecondStageEncoding
{
    public const ulong Rights = EptEntry.ReadBit | EptEntry.WriteBit | EptEntry.ExecuteBit | EptEntry.ExecuteUserBit;

    public static ulong Accessed => EptEntry.ABit;

    public static ulong Dirty => EptEntry.DBit;

    public static bool IsPresent(ulong raw) => (raw & Rights) != 0;

    public static bool MapsPage(ulong raw, int level) => level == 1 || (level <= 3 && (raw & EptEntry.PSBit) != 0);

    public static ulong Reference(ulong table) => table | Rights;

    public static ulong Page(ulong address, int level, ulong attributes) => address | attributes | (level > 1 ? EptEntry.PSBit : 0);

    public static ulong AttributesOf(ulong raw, int level) =>
        raw & ~(EptEntry.AddressMask | EptEntry.PSBit | EptEntry.ABit | EptEntry.DBit);
}

/// <summary>Nested tables of 8-byte entries over four or five levels.</summary>
internal readonly struct NptEncoding : ISecondStageEncoding
{
    public static ulong Accessed => PageTableEntry.ABit;

    public static ulong Dirty => PageTableEntry.DBit;

    public static bool IsPresent(ulong raw) => (raw & PageTableEntry.PBit) != 0;

    public static bool MapsPage(ulong raw, int level) => level == 1 || (level <= 3 && (raw & PageTableEntry.PSBit) != 0);

    public static ulong Reference(ulong table) => table | PageTableEntry.PBit | PageTableEntry.RWBit | PageTableEntry.USBit;

    public static ulong Page(ulong address, int level, ulong attributes)
    {
        if (level == 1)
        {
            return address | attributes;
        }

        ulong pat = (attributes & PageTableEntry.Pat4KBit) != 0 ? PageTableEntry.PatLargeBit : 0;
        return address | (attributes & ~PageTableEntry.Pat4KBit) | pat | PageTableEntry.PSBit;
    }

    public static ulong AttributesOf(ulong raw, int level)
    {
        ulong attributes = raw & ~(PageTableEntry.AddressMask4K | PageTableEntry.ABit | PageTableEntry.DBit | (level > 1 ? PageTableEntry.PSBit : 0));
        return level > 1 && (raw & PageTableEntry.PatLargeBit) != 0 ? attributes | PageTableEntry.Pat4KBit : attributes;
    }
}
