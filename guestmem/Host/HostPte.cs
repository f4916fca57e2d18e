namespace Quadwalk.GuestMemory;

/// <summary>An entry of a process's page tables as Linux keeps them on x86-64: the hardware's bits, and what an entry that is not present stands for.</summary>
/// <remarks>
/// <code>
///  51                12 11  9  8  7  6  5     2   1  0
/// +--------------------+-----+--+--+--+--+- -+---+---+--+
/// | frame              | spc |  |PS|D |A |   |U/S|R/W|1 |   present; spc: bit 9, pte_special
/// +--------------------+-----+--+--+--+--+- -+---+---+--+
/// | frame              |                     | kind  |0 |   not present: migration, poison, no rights, or nothing
/// +--------------------+---------------------+-------+--+
/// </code>
/// </remarks>
/// <param name="Raw">The word as it lies in the table.</param>
public readonly record struct HostPte(ulong Raw)
{
    /// <summary>Present.</summary>
    public const ulong PresentBit = 1 << 0;

    /// <summary>R/W: writable now, without a fault.</summary>
    public const ulong WriteBit = 1 << 1;

    /// <summary>U/S.</summary>
    public const ulong UserBit = 1 << 2;

    /// <summary>A.</summary>
    public const ulong AccessedBit = 1 << 5;

    /// <summary>D.</summary>
    public const ulong DirtyBit = 1 << 6;

    /// <summary>PS: maps a page of 2 MiB or 1 GiB.</summary>
    public const ulong LargeBit = 1 << 7;

    /// <summary>pte_special: there is no struct page to look at, whatever the frame's number.</summary>
    public const ulong SpecialBit = 1 << 9;

    private const ulong FrameMask = 0x000f_ffff_ffff_f000;
    private const ulong MigrationKind = 1 << 1;
    private const ulong PoisonKind = 2 << 1;
    private const ulong NoRightsKind = 3 << 1;
    private const ulong KindMask = 3 << 1;

    /// <summary>Nothing: never mapped, or zapped.</summary>
    public bool IsNone => Raw == 0;

    /// <summary>Present.</summary>
    public bool IsPresent => (Raw & PresentBit) != 0;

    /// <summary>Writable now.</summary>
    public bool IsWritable => (Raw & WriteBit) != 0;

    /// <summary>Not for struct page.</summary>
    public bool IsSpecial => (Raw & SpecialBit) != 0;

    /// <summary>D.</summary>
    public bool IsDirty => (Raw & DirtyBit) != 0;

    /// <summary>Maps a page above level 1.</summary>
    public bool IsLarge => (Raw & (PresentBit | LargeBit)) == (PresentBit | LargeBit);

    /// <summary>Stands for a page that is being migrated: whoever needs it waits.</summary>
    public bool IsMigration => !IsPresent && (Raw & KindMask) == MigrationKind;

    /// <summary>Stands for a page that the hardware has lost.</summary>
    public bool IsPoison => !IsPresent && (Raw & KindMask) == PoisonKind;

    /// <summary>A mapped page of a range that allows nothing (PROT_NONE): no access and no GUP takes it for present.</summary>
    public bool IsWithoutRights => !IsPresent && (Raw & KindMask) == NoRightsKind;

    /// <summary>Whether it holds a page: present, or without rights; not a bare frame number.</summary>
    public bool HoldsPage => (IsPresent || IsWithoutRights) && !IsSpecial;

    /// <summary>The frame that it maps, or refers to.</summary>
    public Pfn Frame => new((Raw & FrameMask) >> PageSize.Shift4K);

    /// <summary>An entry that maps a page for the user.</summary>
    /// <param name="frame">Its first frame.</param>
    /// <param name="writable">R/W.</param>
    /// <param name="level">1: 4 KiB, 2: 2 MiB, 3: 1 GiB.</param>
    /// <param name="special">pte_special.</param>
    public static HostPte Map(Pfn frame, bool writable, int level = 1, bool special = false) => new(
        (frame.Value << PageSize.Shift4K) | PresentBit | UserBit | AccessedBit | (writable ? WriteBit | DirtyBit : 0)
        | (level > 1 ? LargeBit : 0) | (special ? SpecialBit : 0));

    /// <summary>An entry that refers to a table.</summary>
    public static HostPte Table(Pfn frame) => new((frame.Value << PageSize.Shift4K) | PresentBit | UserBit | WriteBit | AccessedBit);

    /// <summary>An entry that stands for a page under migration.</summary>
    public static HostPte Migration(Pfn frame) => new((frame.Value << PageSize.Shift4K) | MigrationKind);

    /// <summary>An entry that stands for a lost page.</summary>
    public static HostPte Poison(Pfn frame) => new((frame.Value << PageSize.Shift4K) | PoisonKind);

    /// <summary>The same page without rights, or with the right to read again.</summary>
    /// <param name="readable">Whether it can be read.</param>
    public HostPte WithRights(bool readable) => readable ? new((Raw & ~KindMask) | PresentBit | UserBit) : new((Raw & ~PresentBit) | NoRightsKind);

    /// <summary>The same without R/W.</summary>
    public HostPte WriteProtected => new(Raw & ~WriteBit);

    /// <summary>The same with R/W and D.</summary>
    public HostPte MadeWritable => new(Raw | WriteBit | DirtyBit);

    /// <inheritdoc/>
    public override string ToString() => $"0x{Raw:x16}";
}
