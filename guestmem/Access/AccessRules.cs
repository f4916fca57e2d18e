namespace Quadwalk.GuestMemory;

/// <summary>
/// Which kinds of memory each access path may reach, and with which error it fails otherwise. In all else the paths agree.
/// </summary>
/// <remarks>
/// The rules are those of <see cref="KernelBehavior.V6_13"/> and later; before, frames of a driver's without references were beyond every path
/// but the userspace one. An access by a copy to or from user memory cannot tell why it failed, so a lost page is EFAULT there.
/// </remarks>
public static class AccessRules
{
    private const Errno Ok = Errno.None, Fault = Errno.EFAULT, Lost = Errno.EHWPOISON;

    // A row for each kind, in the order of the enumeration; a column for each path.
    private static readonly Errno[][] Table =
    [
        //                              userspace  direct  restore  local  view
        /* Anonymous */                    [Ok,    Ok,     Ok,      Ok,    Ok],
        /* SharedFile */                   [Ok,    Ok,     Ok,      Ok,    Ok],
        /* Secret */                       [Ok,    Fault,  Fault,   Fault, Fault],
        /* GuestMemfdShared */             [Ok,    Ok,     Ok,      Ok,    Ok],
        /* GuestMemfdSharedNoDirectMap */  [Ok,    Fault,  Ok,      Ok,    Ok],
        /* GuestMemfdPrivate */            [Fault, Ok,     Ok,      Ok,    Ok],
        /* GuestMemfdPrivateNoDirectMap */ [Fault, Fault,  Ok,      Ok,    Ok],
        /* PrivateBesideShared */          [Fault, Ok,     Ok,      Ok,    Ok],
        /* DriverFrames */                 [Ok,    Ok,     Ok,      Ok,    Ok],
        /* DeviceRegisters */              [Fault, Fault,  Fault,   Fault, Fault],
        /* LostPage */                     [Fault, Lost,   Lost,    Lost,  Lost],
        /* HostReadOnly */                 [Ok,    Ok,     Ok,      Ok,    Ok],
        /* Hole */                         [Fault, Fault,  Fault,   Fault, Fault],
    ];

    /// <summary>How an access ends.</summary>
    /// <param name="kind">What is accessed.</param>
    /// <param name="path">By which way.</param>
    /// <param name="write">Whether it is a write or a compare-exchange.</param>
    /// <returns>None for success, or the path's <see cref="GuestAccessPath.LastError"/>.</returns>
    public static Errno Expected(GuestMemoryKind kind, AccessPathKind path, bool write) =>
        write && kind == GuestMemoryKind.HostReadOnly ? Fault : Table[(int)kind][(int)path];
}
