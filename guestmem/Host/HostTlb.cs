namespace Quadwalk.GuestMemory;

/// <summary>
/// What one processor of the host has cached of one mapping of frames (the direct map, a window, a view): page numbers that it can still use
/// when the page tables say otherwise, until a flush.
/// </summary>
public sealed class HostTlb
{
    /// <summary>The longest range that is flushed page by page; a longer one drops everything (<c>tlb_single_page_flush_ceiling</c>).</summary>
    public const ulong SingleFlushCeiling = 33;

    private readonly HashSet<ulong> pages = [];

    /// <summary>How many entries there are.</summary>
    public int Count => pages.Count;

    /// <summary>Whether a page is cached.</summary>
    public bool Holds(ulong page) => pages.Contains(page);

    /// <summary>Caches a page.</summary>
    public void Fill(ulong page) => pages.Add(page);

    /// <summary>Drops a range of pages, or everything where the range is long.</summary>
    public void Flush(ulong first, ulong count)
    {
        if (count > SingleFlushCeiling)
        {
            pages.Clear();
            return;
        }

        for (ulong i = 0; i < count; i++)
        {
            pages.Remove(first + i);
        }
    }

    /// <summary>Drops everything.</summary>
    public void FlushAll() => pages.Clear();
}
