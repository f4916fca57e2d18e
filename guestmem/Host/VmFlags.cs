namespace Quadwalk.GuestMemory;

/// <summary>What a range of a process's addresses allows and is (<c>VM_*</c>, <c>include/linux/mm.h</c>).</summary>
[Flags]
public enum VmFlags
{
    /// <summary>Nothing is allowed.</summary>
    None = 0,

    /// <summary>VM_READ.</summary>
    Read = 1 << 0,

    /// <summary>VM_WRITE.</summary>
    Write = 1 << 1,

    /// <summary>VM_EXEC.</summary>
    Exec = 1 << 2,

    /// <summary>VM_SHARED: writes go to what backs it; without, a write makes a copy.</summary>
    Shared = 1 << 3,

    /// <summary>VM_IO: registers of a device; not for GUP.</summary>
    Io = 1 << 4,

    /// <summary>VM_PFNMAP: bare frame numbers, whatever struct pages there are; not for GUP.</summary>
    PfnMap = 1 << 5,

    /// <summary>VM_MIXEDMAP: bare frame numbers and pages.</summary>
    MixedMap = 1 << 6,

    /// <summary>VM_DONTCOPY: a child does not get it.</summary>
    DontCopy = 1 << 7,

    /// <summary>VM_HUGEPAGE: pages of 2 MiB where they fit.</summary>
    HugePage = 1 << 8,

    /// <summary>A proposed flag: GUP refuses it, by whatever file it is backed.</summary>
    NoGup = 1 << 9,
}
