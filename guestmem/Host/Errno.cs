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

    /// <summary>Out of memory or of address space.</summary>
    ENOMEM = 12,

    /// <summary>It exists already, or overlaps something that does.</summary>
    EEXIST = 17,

    /// <summary>An argument is out of its range.</summary>
    EINVAL = 22,

    /// <summary>Larger than a file can be.</summary>
    EFBIG = 27,

    /// <summary>This kernel or host does not have the system call.</summary>
    ENOSYS = 38,
}
