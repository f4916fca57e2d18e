namespace Quadwalk.GuestMemory;

/// <summary>What a memslot allows, as in <c>struct kvm_userspace_memory_region</c>.</summary>
[Flags]
public enum MemslotFlags
{
    /// <summary>Memory to read and write.</summary>
    None = 0,

    /// <summary>Guest writes are logged page by page (KVM_MEM_LOG_DIRTY_PAGES). Slots of a <see cref="Kvm"/> alone have it.</summary>
    LogDirtyPages = 1 << 0,

    /// <summary>Guest writes do not reach the memory; they leave the guest, as MMIO does (KVM_MEM_READONLY).</summary>
    ReadOnly = 1 << 1,

    /// <summary>Private frames come from a guest_memfd (KVM_MEM_GUEST_MEMFD). Slots of a <see cref="Kvm"/> alone have it.</summary>
    GuestMemfd = 1 << 2,

    /// <summary>KVM_MEMSLOT_INVALID: the slot is about to go or to move, and a fault in it is tried again later. Nobody can ask for it.</summary>
    Invalid = 1 << 16,
}
