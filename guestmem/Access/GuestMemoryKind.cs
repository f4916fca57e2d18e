namespace Quadwalk.GuestMemory;

/// <summary>Kinds of memory that a guest frame can lead to, as far as access paths tell them apart.</summary>
public enum GuestMemoryKind
{
    /// <summary>Anonymous memory of the VMM's.</summary>
    Anonymous,

    /// <summary>A file in memory that the VMM maps.</summary>
    SharedFile,

    /// <summary>memfd_secret, mapped by the VMM.</summary>
    Secret,

    /// <summary>A shared page of a guest_memfd, mapped by the VMM.</summary>
    GuestMemfdShared,

    /// <summary>The same of a file without a direct map.</summary>
    GuestMemfdSharedNoDirectMap,

    /// <summary>A private page of a guest_memfd that the VMM maps as far as it is shared.</summary>
    GuestMemfdPrivate,

    /// <summary>The same of a file without a direct map.</summary>
    GuestMemfdPrivateNoDirectMap,

    /// <summary>A private page of a guest_memfd in a slot whose shared pages are other memory of the VMM's.</summary>
    PrivateBesideShared,

    /// <summary>Frames of a driver's with a struct page and without references (VM_PFNMAP).</summary>
    DriverFrames,

    /// <summary>Registers of a device (VM_PFNMAP, no struct page).</summary>
    DeviceRegisters,

    /// <summary>A page that the hardware has lost, and that is mapped no more.</summary>
    LostPage,

    /// <summary>Memory that the VMM itself may only read.</summary>
    HostReadOnly,

    /// <summary>A memslot with nothing behind it.</summary>
    Hole,
}

/// <summary>The ways to guest memory that differ in what they may reach.</summary>
public enum AccessPathKind
{
    /// <summary><see cref="UserspacePath"/>.</summary>
    Userspace,

    /// <summary><see cref="DirectMapPath"/>, which refuses what the direct map does not show.</summary>
    DirectMap,

    /// <summary><see cref="DirectMapPath"/>, which shows it for a while.</summary>
    DirectMapRestore,

    /// <summary><see cref="MmLocalPath"/>.</summary>
    MmLocal,

    /// <summary><see cref="ViewSwitchPath"/>.</summary>
    ViewSwitch,
}
