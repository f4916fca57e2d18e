namespace Quadwalk.GuestMemory;

/// <summary>An entry of a process's page tables as Linux keeps them on x86-64: the hardware's bits, and what an entry that is not present stands for.</summary>
/// <remarks>
/// <code>
///  51                12 11  9  8  7  6  5     2   1  0
/// +--------------------+-----+--+--+--+--+- -+---+---+--+
/// | frame              | spc |  |PS|D |A |   |U/S|R/W|1 |   present; spc: bit 9, pte_special
/// +--------------------+-----+--+--+--+--+- -+---+---+--+
/// | frame or slot      |      |X |D |A |W | kind  |0 |   not present: migration, poison, no rights, swap, or nothing
/// +--------------------+------+--+--+--+--+-------+--+
/// </code>
/// Bits 62:59 are the protection key of a present entry. W and X of an entry under migration or in swap: it was writable; its page was
/// the process's own (anon exclusive).
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
    private const ulong SwapKind = 4 << 1;
    private const ulong KindMask = 7 << 1;
    private const ulong WasWritableBit = 1 << 4;
    private const ulong ExclusiveBit = 1 << 7;
    private const int KeyShift = 59;

    /// <summary>Nothing: never mapped, or zapped.</summary>
    public bool IsNone => Raw == 0;

    /// <summary>Present.</summary>
    public bool IsPresent => (Raw & PresentBit) != 0;

    /// <summary>Writable now.</summary>
    public bool IsWritable => (Raw & (PresentBit | WriteBit)) == (PresentBit | WriteBit);

    /// <summary>Not for struct page.</summary>
    public bool IsSpecial => (Raw & SpecialBit) != 0;

    /// <summary>D.</summary>
    public bool IsDirty => (Raw & DirtyBit) != 0;

    /// <summary>A: used since this was last cleared.</summary>
    public bool IsAccessed => (Raw & AccessedBit) != 0;

    /// <summary>Maps a page above level 1, be it without rights.</summary>
    public bool IsLarge => (Raw & LargeBit) != 0 && (IsPresent || IsWithoutRights);

    /// <summary>Stands for a page above level 1, be it present or without rights: what reaches over an edge has to be split.</summary>
    public bool IsLargePage => IsLarge || (IsWithoutRights && (Raw & LargeBit) != 0);

    /// <summary>Stands for a page that is being migrated: whoever needs it waits.</summary>
    public bool IsMigration => !IsPresent && (Raw & KindMask) == MigrationKind;

    /// <summary>Stands for a page that the hardware has lost.</summary>
    public bool IsPoison => !IsPresent && (Raw & KindMask) == PoisonKind;

    /// <summary>A mapped page of a range that allows nothing (PROT_NONE): no access and no GUP takes it for present.</summary>
    public bool IsWithoutRights => !IsPresent && (Raw & KindMask) == NoRightsKind;

    /// <summary>Stands for a page in swap.</summary>
    public bool IsSwap => !IsPresent && (Raw & KindMask) == SwapKind;

    /// <summary>Of an entry under migration: it was writable.</summary>
    public bool WasWritable => (Raw & WasWritableBit) != 0;

    /// <summary>Of an entry under migration or in swap: the page was the process's own.</summary>
    public bool IsExclusive => (Raw & ExclusiveBit) != 0;

    /// <summary>The protection key of a present entry: 0 to 15.</summary>
    public int Key => (int)(Raw >> KeyShift) & 15;

    /// <summary>The place in swap that an entry stands for.</summary>
    public ulong SwapSlot => Frame.Value;

    /// <summary>Not present, and nothing that the kernel ever puts in a table: somebody else has written there.</summary>
    public bool IsBad => !IsPresent && !IsNone && (Raw & KindMask) is not (MigrationKind or PoisonKind or NoRightsKind or SwapKind);

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

    /// <summary>An entry of the kernel's own that maps a page for reading and writing.</summary>
    public static HostPte MapKernel(Pfn frame) => new((frame.Value << PageSize.Shift4K) | PresentBit | WriteBit | AccessedBit | DirtyBit);

    /// <summary>An entry that refers to a table.</summary>
    public static HostPte Table(Pfn frame) => new((frame.Value << PageSize.Shift4K) | PresentBit | UserBit | WriteBit | AccessedBit);

    /// <summary>An entry that stands for a page under migration, and remembers what the entry in its place was.</summary>
    /// <param name="frame">The frame that the page leaves.</param>
    /// <param name="was">The entry that mapped it.</param>
    /// <param name="exclusive">The page was the process's own.</param>
    public static HostPte Migration(Pfn frame, HostPte was = default, bool exclusive = false) => new(
        (frame.Value << PageSize.Shift4K) | MigrationKind | (was.Raw & (AccessedBit | DirtyBit))
        | (was.IsWritable ? WasWritableBit : 0) | (exclusive ? ExclusiveBit : 0));

    /// <summary>An entry that stands for a page in swap.</summary>
    /// <param name="slot">Where.</param>
    /// <param name="exclusive">The page was the process's own.</param>
    public static HostPte Swap(ulong slot, bool exclusive) => new((slot << PageSize.Shift4K) | SwapKind | (exclusive ? ExclusiveBit : 0));

    /// <summary>An entry that stands for a lost page.</summary>
    public static HostPte Poison(Pfn frame) => new((frame.Value << PageSize.Shift4K) | PoisonKind);

    /// <summary>The same page without rights, or with the right to read again.</summary>
    /// <param name="readable">Whether it can be read.</param>
    public HostPte WithRights(bool readable) => readable ? new((Raw & ~KindMask) | PresentBit | UserBit) : new((Raw & ~PresentBit) | NoRightsKind);

    /// <summary>The same without R/W; of an entry that is not present that bit says what it stands for, and it stays.</summary>
    public HostPte WriteProtected => IsPresent ? new(Raw & ~WriteBit) : this;

    /// <summary>The same with R/W and D.</summary>
    public HostPte MadeWritable => new(Raw | WriteBit | DirtyBit);

    /// <summary>The same without D.</summary>
    public HostPte Cleaned => new(Raw & ~DirtyBit);

    /// <summary>The same without A.</summary>
    public HostPte MadeOld => new(Raw & ~AccessedBit);

    /// <summary>Of an entry under migration or in swap: the same, and its page is shared from now on, to be copied by whoever writes.</summary>
    public HostPte MadeShared => new(Raw & ~(WasWritableBit | ExclusiveBit));

    /// <summary>The same rights for another frame.</summary>
    public HostPte WithFrame(Pfn frame) => new((Raw & ~FrameMask) | (frame.Value << PageSize.Shift4K));

    /// <summary>The same with a protection key.</summary>
    public HostPte WithKey(int key) => new((Raw & ~(15UL << KeyShift)) | ((ulong)key << KeyShift));

    /// <summary>The same after an access by the processor: A, and for a write D.</summary>
    /// <param name="write">The access is a write.</param>
    public HostPte Used(bool write) => new(Raw | AccessedBit | (write ? DirtyBit : 0));

    /// <inheritdoc/>
    public override string ToString() => $"0x{Raw:x16}";
}
