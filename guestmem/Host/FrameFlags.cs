namespace Quadwalk.GuestMemory;

/// <summary>The state of a frame, as flags of its struct page (<c>include/linux/page-flags.h</c>). Of a compound page the head has them.</summary>
[Flags]
public enum FrameFlags : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>PG_locked: somebody holds the folio's lock.</summary>
    Locked = 1 << 0,

    /// <summary>PG_referenced: it was used.</summary>
    Accessed = 1 << 1,

    /// <summary>PG_dirty: its content differs from what backs it.</summary>
    Dirty = 1 << 2,

    /// <summary>PG_writeback: it is being written out.</summary>
    Writeback = 1 << 3,

    /// <summary>PG_head: the first frame of a compound page.</summary>
    Head = 1 << 4,

    /// <summary>A further frame of a compound page.</summary>
    Tail = 1 << 5,

    /// <summary>PG_reserved: nobody counts references, and it is never freed.</summary>
    Reserved = 1 << 6,

    /// <summary>PG_hwpoison: the hardware has reported it as broken.</summary>
    HwPoison = 1 << 7,

    /// <summary>PG_buddy: free, and the first frame of a free block.</summary>
    Buddy = 1 << 8,

    /// <summary>PG_anon: the page of an anonymous mapping.</summary>
    Anon = 1 << 9,

    /// <summary>PG_anon_exclusive: an anonymous page that one process alone maps, and may be written without a copy.</summary>
    AnonExclusive = 1 << 10,

    /// <summary>A page of a file in memory, held by its page cache.</summary>
    PageCache = 1 << 11,

    /// <summary>Memory of a driver, which gives out no references: the frame's count is not for others to touch.</summary>
    Driver = 1 << 12,

    /// <summary>Page table or other memory of the kernel's own.</summary>
    Kernel = 1 << 13,

    /// <summary>Taken out of use: no allocation gets it.</summary>
    Offline = 1 << 14,

    /// <summary>Private memory of a guest_memfd: no host mapping may show it.</summary>
    Private = 1 << 15,

    /// <summary>PG_swapcache: the page of an entry in swap, held by the swap cache with one reference.</summary>
    SwapCache = 1 << 16,

    /// <summary>Memory of a PCI device, which only who asks for it may have (MEMORY_DEVICE_PCI_P2PDMA).</summary>
    PciP2pDma = 1 << 17,

    /// <summary>Free, and kept from the allocator while its range is taken offline (MIGRATE_ISOLATE).</summary>
    Isolated = 1 << 18,
}
