namespace Quadwalk.GuestMemory;

/// <summary>What a guest_memfd is to be (<c>GUEST_MEMFD_FLAG_*</c>).</summary>
[Flags]
public enum GuestMemfdFlags
{
    /// <summary>Memory for guests only: it cannot be mapped by the host.</summary>
    None = 0,

    /// <summary>GUEST_MEMFD_FLAG_MMAP: the host may map it, and reaches those parts that are shared.</summary>
    Mmap = 1 << 0,

    /// <summary>GUEST_MEMFD_FLAG_INIT_SHARED: it begins shared. Without, it begins private.</summary>
    InitShared = 1 << 1,

    /// <summary>GUEST_MEMFD_FLAG_NO_DIRECT_MAP, as proposed: its pages leave the kernel's direct map when they are made.</summary>
    NoDirectMap = 1 << 2,
}
