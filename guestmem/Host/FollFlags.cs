namespace Quadwalk.GuestMemory;

/// <summary>How get_user_pages goes about it (<c>FOLL_*</c>, <c>include/linux/mm_types.h</c>).</summary>
[Flags]
public enum FollFlags
{
    /// <summary>Read, and take no reference.</summary>
    None = 0,

    /// <summary>FOLL_WRITE: the page is going to be written.</summary>
    Write = 1 << 0,

    /// <summary>FOLL_GET: take a reference.</summary>
    Get = 1 << 1,

    /// <summary>FOLL_NOWAIT: give up rather than wait.</summary>
    NoWait = 1 << 2,

    /// <summary>FOLL_HWPOISON: tell a lost page from a bad address.</summary>
    HwPoison = 1 << 3,

    /// <summary>FOLL_PIN: the content is going to be used for long, or by a device: keep the page where it is.</summary>
    Pin = 1 << 4,

    /// <summary>FOLL_INTERRUPTIBLE: any signal ends it, not only a fatal one.</summary>
    Interruptible = 1 << 5,

    /// <summary>FOLL_FAST_ONLY: without the mmap lock, or not at all.</summary>
    FastOnly = 1 << 6,
}
