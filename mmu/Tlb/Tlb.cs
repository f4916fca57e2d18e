using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The translation lookaside buffer of a processor. In <see cref="TlbMode.Fast"/> there are two levels: translations to host addresses,
/// where a hit costs a compare and an add, and behind them translations to guest-physical addresses by page size. The other modes have the
/// second and paging-structure caches, and look at the rights at each use.
/// </summary>
/// <remarks>
/// <code>
///   ProcessorPort -> TlbEntry[context][page]        of the current PCID: one compare
///                      miss -> TranslationCache     4 KiB, 2 MiB, 4 MiB, 1 GiB; PCID, G, rights
///                                miss -> PageWalker   (exact, strict: below PagingStructureCache)
/// </code>
/// Invalidation follows SDM Vol. 3A, section 5.10.4.1. Each PCID that was current lately has host-address entries of its own, so that MOV to CR3
/// is a change of pointer. <see cref="Epoch"/> moves with everything that takes a translation or a right away from the current PCID, which is
/// how decoded blocks learn that theirs must be looked at again.
/// </remarks>
public sealed unsafe partial class Tlb : IDisposable
{
    /// <summary>The number of host-address entries of each context.</summary>
    public const int EntriesPerContext = TlbSlot.EntriesPerContext;

    /// <summary>How many PCIDs have host-address entries at a time.</summary>
    public const int MostSlots = 8;

    /// <summary>A tag that no page address equals.</summary>
    public const ulong NoTag = 1;

    private const byte NoSlot = byte.MaxValue;

    private readonly List<TlbSlot> slots = [];
    private readonly byte[] slotOf = new byte[PcidStamps.Count];
    private readonly TranslationCache translations;
    private readonly PagingStructureCache structures = new();
    private TlbSlot current;
    private ulong lastEpoch;
    private ulong selections;

    /// <summary>Makes an empty TLB, with PCID 0 current.</summary>
    public Tlb(TlbMode mode = TlbMode.Fast)
    {
        Mode = mode;
        translations = new TranslationCache(keepsPaths: mode == TlbMode.Strict, Statistics);
        Array.Fill(slotOf, NoSlot);
        current = SlotFor(0);
    }

    /// <summary>How it behaves.</summary>
    public TlbMode Mode { get; }

    /// <summary>What it did so far.</summary>
    public TlbStatistics Statistics { get; } = new();

    /// <summary>The current PCID.</summary>
    public ushort Pcid => current.Pcid;

    /// <summary>
    /// Of the current PCID, from 1: a translation seen at the same epoch still stands. No two PCIDs have the same, and a PCID finds its own
    /// again unless something was dropped meanwhile.
    /// </summary>
    public ulong Epoch => current.Epoch;

    /// <summary>The first entry of a context of the current PCID, for the inlined fast path; to be asked again after <see cref="Select"/>.</summary>
    public TlbEntry* Entries(TlbContext context) => current.Entries + ((int)context << TlbSlot.IndexBits);

    /// <summary>The byte offset of the entry for <paramref name="gva"/> from a context's first entry.</summary>
    public static nuint OffsetOf(ulong gva) => (nuint)(gva >> (PageSize.Shift4K - TlbSlot.EntryShift)) & ((EntriesPerContext - 1) << TlbSlot.EntryShift);

    /// <summary>The entry that <paramref name="gva"/> may be cached in.</summary>
    public ref TlbEntry EntryFor(TlbContext context, Gva gva) =>
        ref *(TlbEntry*)((byte*)Entries(context) + OffsetOf(gva.Value));

    /// <summary>
    /// Caches a host address for the kinds of access named. Kinds already cached from the same translation stay; one that differs, be it
    /// only in page size or G, is replaced, so that every kind goes by the invalidations that its own walk calls for.
    /// </summary>
    /// <param name="context">The privilege for which the rights were checked.</param>
    /// <param name="gva">Any address in the page.</param>
    /// <param name="host">The host address of the 4 KiB frame's first byte.</param>
    /// <param name="walk">The successful walk: its page size and whether the leaf is global.</param>
    /// <param name="read">Data reads may hit.</param>
    /// <param name="write">Data writes may hit: D is set, and nothing wants to hear of writes.</param>
    /// <param name="fetch">Instruction fetches may hit.</param>
    public void Fill(TlbContext context, Gva gva, Hva host, in WalkResult walk, bool read, bool write, bool fetch) =>
        Fill(context, gva, gva, host, walk, read, write, fetch);

    /// <summary>
    /// The same for a pointer with metadata: hits are for <paramref name="gva"/> as the pointer has it, and invalidations go by
    /// <paramref name="linear"/>. Metadata lies above what chooses the place of an entry.
    /// </summary>
    public void Fill(TlbContext context, Gva gva, Gva linear, Hva host, in WalkResult walk, bool read, bool write, bool fetch) =>
        current.Fill(context, gva, linear, host, walk, read, write, fetch);

    /// <summary>Makes a PCID the current one, with what is still cached of it.</summary>
    /// <param name="pcid">0 to 4095.</param>
    public void Select(ushort pcid)
    {
        if (pcid != current.Pcid)
        {
            current = SlotFor(pcid);
            translations.Stamps.Select(pcid);
            structures.Stamps.Select(pcid);
        }
    }

    /// <summary>MOV to CR3 with bit 63 set: makes a PCID the current one and drops nothing.</summary>
    public void Keep(ushort pcid)
    {
        Statistics.CountFlush(TlbFlushCause.MovCr3Keeping);
        Select(pcid);
    }

    /// <summary>
    /// INVLPG: drops every entry that translates <paramref name="gva"/> for the current PCID or is global, and all paging-structure-cache
    /// entries of the current PCID.
    /// </summary>
    public void FlushPage(Gva gva, TlbFlushCause cause = TlbFlushCause.Invlpg)
    {
        Statistics.CountFlush(cause);
        translations.Drop(gva.Value);
        structures.Stamps.Renew(Pcid);
        foreach (TlbSlot slot in slots)
        {
            if (slot == current || slot.SawGlobal)
            {
                slot.DropPage(gva.Value, globals: true, others: slot == current);
                NewEpoch(slot);
            }
        }
    }

    /// <summary>INVPCID type 0: drops what is not global and translates <paramref name="gva"/> for a PCID, in whatever cache.</summary>
    public void FlushPage(ushort pcid, Gva gva)
    {
        Statistics.CountFlush(TlbFlushCause.InvpcidAddress);
        translations.Drop(pcid, gva.Value);
        structures.Drop(pcid, gva.Value);
        if (slotOf[pcid] != NoSlot)
        {
            slots[slotOf[pcid]].DropPage(gva.Value, globals: false, others: true);
            NewEpoch(slots[slotOf[pcid]]);
        }
    }

    /// <summary>MOV to CR3 without bit 63, and INVPCID type 1: drops what is not global of a PCID.</summary>
    public void FlushPcid(ushort pcid, TlbFlushCause cause)
    {
        Statistics.CountFlush(cause);
        translations.Stamps.Renew(pcid);
        structures.Stamps.Renew(pcid);
        if (slotOf[pcid] != NoSlot)
        {
            slots[slotOf[pcid]].DropNonGlobal();
            NewEpoch(slots[slotOf[pcid]]);
        }
    }

    /// <summary>INVPCID type 3: drops what is not global of all PCIDs.</summary>
    public void FlushNonGlobal(TlbFlushCause cause = TlbFlushCause.InvpcidNonGlobal)
    {
        Statistics.CountFlush(cause);
        translations.Stamps.RenewAll();
        structures.Stamps.RenewAll();
        foreach (TlbSlot slot in slots)
        {
            slot.DropNonGlobal();
            NewEpoch(slot);
        }
    }

    /// <summary>A change of CR4.PAE or CR4.PSE, or of CR4.SMEP from 0 to 1: drops what is global, and everything of the current PCID.</summary>
    public void FlushCurrent(TlbFlushCause cause)
    {
        Statistics.CountFlush(cause);
        translations.Stamps.Renew(Pcid);
        translations.Stamps.RenewGlobal();
        structures.Stamps.Renew(Pcid);
        DropHostAddresses();
    }

    /// <summary>Drops everything of all PCIDs.</summary>
    public void FlushAll(TlbFlushCause cause = TlbFlushCause.Host)
    {
        Statistics.CountFlush(cause);
        translations.Stamps.RenewAll();
        translations.Stamps.RenewGlobal();
        structures.Stamps.RenewAll();
        DropHostAddresses();
    }

    /// <summary>
    /// What rights mean has changed (CR0.WP, CR4.SMAP, CR4.PKE and the like): host addresses were cached for rights that were checked
    /// before, so they go. Translations stay; their rights are looked at again.
    /// </summary>
    public void RightsChanged(TlbFlushCause cause)
    {
        Statistics.CountFlush(cause);
        DropHostAddresses();
    }

    /// <summary>
    /// What protection keys allow has changed: host addresses of pages with those keys go. Fetches go by no key, so the epochs stay.
    /// </summary>
    /// <param name="keys">Bit k is set for a key k of user pages whose rights changed, and bit 16 + k for one of supervisor pages.</param>
    public void KeysChanged(uint keys)
    {
        if (keys != 0)
        {
            Statistics.CountFlush(TlbFlushCause.ProtectionKeys);
            foreach (TlbSlot slot in slots)
            {
                slot.DropKeys(keys);
            }
        }
    }

    /// <summary>
    /// Withdraws write hits to a frame, whatever address maps it: from now on its writes are seen by the slow path. No
    /// translation is dropped, so the epoch stays.
    /// </summary>
    public void WithholdWrites(Hva frame)
    {
        foreach (TlbSlot slot in slots)
        {
            slot.WithholdWrites(frame.Value);
        }
    }

    /// <summary>What is cached, by PCID and address. Pieces of a larger page that is there too are left out.</summary>
    public IReadOnlyList<CachedTranslation> Contents()
    {
        List<CachedTranslation> found = [];
        translations.CopyTo(found);
        HashSet<(ulong, int, ushort)> known = [.. found.Select(KeyOf)];
        List<CachedTranslation> pieces = [];
        foreach (TlbSlot slot in slots)
        {
            slot.CopyTo(pieces);
        }

        foreach (CachedTranslation piece in pieces)
        {
            bool covered = known.Contains(KeyOf(piece)) || found.Exists(larger => larger.PageShift > PageSize.Shift4K && larger.Covers(piece));
            if (!covered && known.Add(KeyOf(piece)))
            {
                found.Add(piece);
            }
        }

        return [.. found.OrderBy(entry => entry.Pcid).ThenBy(entry => entry.Page.Value).ThenBy(entry => entry.PageShift)];

        static (ulong Page, int Shift, ushort Pcid) KeyOf(CachedTranslation entry) => (entry.Page.Value, entry.PageShift, entry.IsGlobal ? ushort.MaxValue : entry.Pcid);
    }

    /// <summary>What the paging-structure caches hold, from the highest level down; nothing in <see cref="TlbMode.Fast"/>.</summary>
    public IReadOnlyList<CachedTableEntry> StructureContents() =>
        [.. structures.Contents().OrderByDescending(entry => entry.Level).ThenBy(entry => entry.Pcid).ThenBy(entry => entry.First.Value)];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TlbSlot slot in slots)
        {
            slot.Dispose();
        }
    }

    private void DropHostAddresses()
    {
        foreach (TlbSlot slot in slots)
        {
            slot.DropAll();
            NewEpoch(slot);
        }
    }

    private void NewEpoch(TlbSlot slot) => slot.Epoch = ++lastEpoch;

    /// <summary>The slot of a PCID, made or taken from the PCID that was current longest ago.</summary>
    private TlbSlot SlotFor(ushort pcid)
    {
        byte index = slotOf[pcid];
        if (index == NoSlot)
        {
            index = slots.Count < MostSlots ? AddSlot() : TakeOldest();
            slots[index].Pcid = pcid;
            slotOf[pcid] = index;
            NewEpoch(slots[index]);
        }

        slots[index].LastUse = ++selections;
        return slots[index];
    }

    private byte AddSlot()
    {
        slots.Add(new TlbSlot(Statistics));
        return (byte)(slots.Count - 1);
    }

    private byte TakeOldest()
    {
        TlbSlot oldest = slots[0];
        foreach (TlbSlot slot in slots)
        {
            oldest = slot.LastUse < oldest.LastUse ? slot : oldest;
        }

        byte index = slotOf[oldest.Pcid];
        slotOf[oldest.Pcid] = NoSlot;
        oldest.DropAll();
        return index;
    }
}
