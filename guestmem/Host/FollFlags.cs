namespace Quadwalk.GuestMemory;

/// <summary>How get_user_pages goes about it (<c>FOLL_*</c>, <c>include/linux/mm_types.h</c> and <c>mm/internal.h</c>).</summary>
/// <remarks><see cref="GupOperation"/> says which go together; what does not is EINVAL.</remarks>
[Flags]
public enum FollFlags
{
    /// <summary>Read, and take no reference.</summary>
    None = 0,

    /// <summary>FOLL_WRITE: the page is going to be written.</summary>
    Write = 1 << 0,

    /// <summary>FOLL_GET: take a reference. Not with <see cref="Pin"/>.</summary>
    Get = 1 << 1,

    /// <summary>FOLL_NOWAIT: give up rather than wait for a page that is under way.</summary>
    NoWait = 1 << 2,

    /// <summary>FOLL_HWPOISON: tell a lost page from a bad address.</summary>
    HwPoison = 1 << 3,

    /// <summary>FOLL_PIN: the content is going to be used for long, or by a device: keep the page where it is.</summary>
    Pin = 1 << 4,

    /// <summary>FOLL_INTERRUPTIBLE: any signal ends a wait, not only a fatal one.</summary>
    Interruptible = 1 << 5,

    /// <summary>FOLL_FAST_ONLY: without the mmap lock, or not at all.</summary>
    FastOnly = 1 << 6,

    /// <summary>FOLL_DUMP: a hole in anonymous memory is EFAULT, and no page is made for it.</summary>
    Dump = 1 << 7,

    /// <summary>FOLL_FORCE: read what cannot be read, and write what is private and read-only into a copy, as a debugger does.</summary>
    Force = 1 << 8,

    /// <summary>FOLL_NOFAULT: what is not mapped is EFAULT.</summary>
    NoFault = 1 << 9,

    /// <summary>FOLL_ANON: anonymous memory only.</summary>
    Anon = 1 << 10,

    /// <summary>FOLL_LONGTERM: the pin is there to stay: not in movable memory, and not of a file that has to know of writes. With <see cref="Pin"/>.</summary>
    LongTerm = 1 << 11,

    /// <summary>FOLL_SPLIT_PMD: split the leaf of a large page first.</summary>
    SplitPmd = 1 << 12,

    /// <summary>FOLL_PCI_P2PDMA: memory of a PCI device is welcome too. Not with <see cref="LongTerm"/>.</summary>
    PciP2pDma = 1 << 13,

    /// <summary>FOLL_HONOR_NUMA_FAULT: an entry that was made unreadable to see who uses it is to be faulted.</summary>
    HonorNumaFault = 1 << 14,

    /// <summary>FOLL_UNLOCKABLE: the mmap lock may be dropped while a fault waits; the range is looked up again then.</summary>
    Unlockable = 1 << 15,

    /// <summary>FOLL_REMOTE: for another process's memory: protection keys do not matter.</summary>
    Remote = 1 << 16,

    /// <summary>FOLL_TRIED: the lock was dropped for this once already: wait with it the next time. Set by the operation itself.</summary>
    Tried = 1 << 17,

    /// <summary>FOLL_TOUCH: mark the pages accessed, and those to be written dirty. Set by the operation itself after the fast way.</summary>
    Touch = 1 << 18,
}
