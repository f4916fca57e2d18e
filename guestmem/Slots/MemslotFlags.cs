namespace Quadwalk.GuestMemory;

/// <summary>What a memslot allows, as in <c>struct kvm_userspace_memory_region</c>.</summary>
[Flags]
public enum MemslotFlags
{
    /// <summary>Memory to read and write.</summary>
    None = 0,

    /// <summary>Guest writes do not reach the memory; they leave the guest, as MMIO does (KVM_MEM_READONLY).</summary>
    ReadOnly = 1 << 1,
}
