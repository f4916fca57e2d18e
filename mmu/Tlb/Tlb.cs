using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// A software translation lookaside buffer: direct-mapped, one set of entries per <see cref="TlbContext"/>. It holds translations
/// to host addresses, so a hit costs a compare and an add.
/// </summary>
/// <remarks>
/// Invalidation follows SDM Vol. 3A, 5.10.4.1: INVLPG drops every entry for the page's linear address, global ones and pieces of
/// large pages included; MOV to CR3 drops all but global entries; changes to CR0.PG, CR0.WP, CR4 and EFER drop everything.
/// Every drop moves <see cref="Epoch"/> on, which is how decoded blocks learn that their translation must be looked at again.
/// </remarks>
public sealed unsafe class Tlb : IDisposable
{
    /// <summary>The number of entries of each context.</summary>
    public const int EntriesPerContext = 1 << IndexBits;

    /// <summary>A tag that no page address equals.</summary>
    public const ulong NoTag = 1;

    private const int IndexBits = 10;
    private const int EntryShift = 5;
    private const int Contexts = 3;
    private const int Total = EntriesPerContext * Contexts;

    private readonly Origin[] origins = new Origin[Total];
    private TlbEntry* entries;
    private bool holdsLargePages;

    /// <summary>Makes an empty TLB.</summary>
    public Tlb()
    {
        entries = (TlbEntry*)NativeMemory.AlignedAlloc(Total * (nuint)sizeof(TlbEntry), 64);
        Clear();
    }

    /// <summary>Counts invalidations of any kind, from 1; a translation seen at the same epoch still stands.</summary>
    public ulong Epoch { get; private set; } = 1;

    /// <summary>The first entry of a context, for the inlined fast path.</summary>
    public TlbEntry* Entries(TlbContext context) => entries + ((int)context << IndexBits);

    /// <summary>The byte offset of the entry for <paramref name="gva"/> from a context's first entry.</summary>
    public static nuint OffsetOf(ulong gva) => (nuint)(gva >> (PageSize.Shift4K - EntryShift)) & ((EntriesPerContext - 1) << EntryShift);

    /// <summary>The entry that <paramref name="gva"/> may be cached in.</summary>
    public ref TlbEntry EntryFor(TlbContext context, Gva gva) =>
        ref *(TlbEntry*)((byte*)Entries(context) + OffsetOf(gva.Value));

    /// <summary>
    /// Caches a translation for the kinds of access named. Kinds already cached from the same translation stay; one that differs, be it
    /// only in page size or G, is replaced, so that every kind goes by the invalidations that its own walk calls for.
    /// </summary>
    /// <param name="context">The privilege for which the rights were checked.</param>
    /// <param name="gva">Any address in the page.</param>
    /// <param name="host">The host address of the 4 KiB frame's first byte.</param>
    /// <param name="walk">The successful walk: its page size and whether the leaf is global.</param>
    /// <param name="read">Data reads may hit.</param>
    /// <param name="write">Data writes may hit: D is set, and nothing wants to hear of writes.</param>
    /// <param name="fetch">Instruction fetches may hit.</param>
    public void Fill(TlbContext context, Gva gva, Hva host, in WalkResult walk, bool read, bool write, bool fetch)
    {
        ulong page = gva.Value & ~PageSize.Mask4K;
        nint addend = (nint)(host.Value - page);
        int index = ((int)context << IndexBits) + (int)(OffsetOf(page) >> EntryShift);
        ref TlbEntry entry = ref entries[index];
        ref Origin origin = ref origins[index];
        Origin filled = new(page, host.Value, (byte)walk.PageShift, (walk.Rights & PageRights.Global) != 0);
        if (origin != filled)
        {
            entry.ReadTag = entry.WriteTag = entry.FetchTag = NoTag;
            entry.Addend = addend;
            origin = filled;
        }

        entry.ReadTag = read ? page : entry.ReadTag;
        entry.WriteTag = write ? page : entry.WriteTag;
        entry.FetchTag = fetch ? page : entry.FetchTag;
        holdsLargePages |= walk.PageShift > PageSize.Shift4K;
    }

    /// <summary>INVLPG: drops every entry that translates <paramref name="gva"/>, in every context, global or not.</summary>
    public void FlushPage(Gva gva)
    {
        Epoch++;
        if (holdsLargePages)
        {
            for (int i = 0; i < Total; i++)
            {
                if (origins[i].Valid && (origins[i].Page ^ gva.Value) >> origins[i].Shift == 0)
                {
                    Drop(i);
                }
            }

            return;
        }

        ulong page = gva.Value & ~PageSize.Mask4K;
        for (int context = 0; context < Contexts; context++)
        {
            int index = (context << IndexBits) + (int)(OffsetOf(page) >> EntryShift);
            if (origins[index].Page == page)
            {
                Drop(index);
            }
        }
    }

    /// <summary>MOV to CR3: drops all entries that are not global.</summary>
    public void FlushNonGlobal()
    {
        Epoch++;
        for (int i = 0; i < Total; i++)
        {
            if (origins[i].Valid && !origins[i].Global)
            {
                Drop(i);
            }
        }
    }

    /// <summary>Drops everything.</summary>
    public void FlushAll()
    {
        Epoch++;
        Clear();
    }

    /// <summary>
    /// Withdraws write hits to a frame, whatever address maps it: from now on its writes are seen by the slow path. No
    /// translation is dropped, so the epoch stays.
    /// </summary>
    public void WithholdWrites(Hva frame)
    {
        for (int i = 0; i < Total; i++)
        {
            if (origins[i].Valid && origins[i].Host == frame.Value)
            {
                entries[i].WriteTag = NoTag;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(entries);
        entries = null;
    }

    private void Clear()
    {
        for (int i = 0; i < Total; i++)
        {
            Drop(i);
        }

        holdsLargePages = false;
    }

    private void Drop(int index)
    {
        entries[index] = new TlbEntry { ReadTag = NoTag, WriteTag = NoTag, FetchTag = NoTag };
        origins[index] = default;
    }

    private readonly record struct Origin(ulong Page, ulong Host, byte Shift, bool Global)
    {
        public bool Valid => Shift != 0;
    }
}
