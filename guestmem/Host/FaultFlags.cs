namespace Quadwalk.GuestMemory;

/// <summary>What a fault is for, and how it may wait (<c>FAULT_FLAG_*</c>, <c>include/linux/mm_types.h</c>).</summary>
[Flags]
public enum FaultFlags
{
    /// <summary>A read, which waits with the mmap lock held.</summary>
    None = 0,

    /// <summary>FAULT_FLAG_WRITE: the access is a write.</summary>
    Write = 1 << 0,

    /// <summary>FAULT_FLAG_ALLOW_RETRY: the mmap lock may be dropped to wait; the result is <see cref="VmFault.Retry"/> then.</summary>
    AllowRetry = 1 << 1,

    /// <summary>FAULT_FLAG_RETRY_NOWAIT: say <see cref="VmFault.Retry"/> rather than wait, and keep the lock.</summary>
    RetryNoWait = 1 << 2,

    /// <summary>FAULT_FLAG_KILLABLE: a fatal signal ends a wait.</summary>
    Killable = 1 << 3,

    /// <summary>FAULT_FLAG_TRIED: the lock was dropped once already: wait with it.</summary>
    Tried = 1 << 4,

    /// <summary>FAULT_FLAG_INTERRUPTIBLE: any signal ends a wait.</summary>
    Interruptible = 1 << 5,

    /// <summary>FAULT_FLAG_UNSHARE: make an anonymous page the process's own, as a write would, for a pin that only reads.</summary>
    Unshare = 1 << 6,

    /// <summary>The caller has asked the range itself, and may do what it does not allow (get_user_pages with FOLL_FORCE).</summary>
    Checked = 1 << 7,
}
