namespace Quadwalk.GuestMemory;

/// <summary>
/// What one processor of the host has cached of one mapping of frames (the direct map, a window, a view): translations that it can still use
/// when the page tables say otherwise, until a flush. Nothing is ever evicted, so that what can be stale is.
/// </summary>
public sealed class HostTlb
{
    /// <summary>The longest range that is flushed page by page; a longer one drops everything (<c>tlb_single_page_flush_ceiling</c>).</summary>
    public const ulong SingleFlushCeiling = 33;

    private const int ChunkShift = 9;
    private const ulong ChunkMask = (1UL << ChunkShift) - 1;
    private const int EpochShift = 32;

    // An entry is its frame below the epoch in which it was made: to drop everything is to begin another epoch.
    private ulong[]?[] chunks = [];
    private uint epoch = 1;

    /// <summary>Flushes so far, of a range or of everything.</summary>
    public long Flushes { get; private set; }

    /// <summary>Whether a page is cached.</summary>
    public bool Holds(ulong page) => TryFind(page, out _);

    /// <summary>The frame that a page is cached with.</summary>
    /// <param name="page">The page's number in its mapping.</param>
    /// <param name="frame">The frame.</param>
    public bool TryFind(ulong page, out Pfn frame)
    {
        ulong chunk = page >> ChunkShift;
        ulong entry = chunk < (ulong)chunks.Length && chunks[chunk] is ulong[] entries ? entries[page & ChunkMask] : 0;
        frame = new Pfn((uint)entry);
        return entry >> EpochShift == epoch;
    }

    /// <summary>Caches a page.</summary>
    /// <param name="page">The page's number in its mapping.</param>
    /// <param name="frame">The frame; its number has 32 bits, as that of every modelled frame.</param>
    public void Fill(ulong page, Pfn frame)
    {
        ulong chunk = page >> ChunkShift;
        if (chunk >= (ulong)chunks.Length)
        {
            Array.Resize(ref chunks, (int)Math.Max(chunk + 1, (ulong)chunks.Length * 2));
        }

        ulong[] entries = chunks[chunk] ??= new ulong[ChunkMask + 1];
        entries[page & ChunkMask] = ((ulong)epoch << EpochShift) | (uint)frame.Value;
    }

    /// <summary>Drops a range of pages, or everything where the range is long.</summary>
    public void Flush(ulong first, ulong count)
    {
        if (count > SingleFlushCeiling)
        {
            FlushAll();
            return;
        }

        Flushes++;
        for (ulong page = first; page < first + count; page++)
        {
            ulong chunk = page >> ChunkShift;
            if (chunk < (ulong)chunks.Length && chunks[chunk] is ulong[] entries)
            {
                entries[page & ChunkMask] = 0;
            }
        }
    }

    /// <summary>Drops everything.</summary>
    public void FlushAll()
    {
        Flushes++;
        if (++epoch == 0)
        {
            epoch = 1;
            chunks = [];
        }
    }
}
