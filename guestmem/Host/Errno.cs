namespace Quadwalk.GuestMemory;

/// <summary>
/// Linux error numbers (<c>include/uapi/asm-generic/errno-base.h</c>), positive. Those named here are the ones that host memory
/// answers with by itself; a system call may fail with any other, which then is a value without a name.
/// </summary>
public enum Errno
{
    /// <summary>No error.</summary>
    None = 0,

    /// <summary>Operation not permitted: a sandbox forbids the system call.</summary>
    EPERM = 1,

    /// <summary>No such thing.</summary>
    ENOENT = 2,

    /// <summary>A signal came first.</summary>
    EINTR = 4,

    /// <summary>The other end of a binding is gone.</summary>
    EIO = 5,

    /// <summary>No such device, or no such frame.</summary>
    ENXIO = 6,

    /// <summary>Not now: try again.</summary>
    EAGAIN = 11,

    /// <summary>Out of memory or of address space.</summary>
    ENOMEM = 12,

    /// <summary>An address that nothing can be reached at.</summary>
    EFAULT = 14,

    /// <summary>Somebody uses it.</summary>
    EBUSY = 16,

    /// <summary>It exists already, or overlaps something that does.</summary>
    EEXIST = 17,

    /// <summary>What it is applied to cannot do it.</summary>
    ENODEV = 19,

    /// <summary>An argument is out of its range.</summary>
    EINVAL = 22,

    /// <summary>Larger than a file can be.</summary>
    EFBIG = 27,

    /// <summary>This kernel or host does not have the system call.</summary>
    ENOSYS = 38,

    /// <summary>The operation is not supported here.</summary>
    EOPNOTSUPP = 95,

    /// <summary>Memory of a device, and nobody asked for that.</summary>
    EREMOTEIO = 121,

    /// <summary>The hardware has lost the page.</summary>
    EHWPOISON = 133,
}
