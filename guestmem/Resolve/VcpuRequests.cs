namespace Quadwalk.GuestMemory;

/// <summary>What a vCPU has to do before it enters the guest (<c>KVM_REQ_*</c>).</summary>
[Flags]
public enum VcpuRequests
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>KVM_REQ_TLB_FLUSH: drop the cached translations of the second stage.</summary>
    TlbFlush = 1 << 0,

    /// <summary>KVM_REQ_APIC_PAGE_RELOAD: look up the frame of the APIC access page again.</summary>
    ApicPageReload = 1 << 1,

    /// <summary>KVM_REQ_OUTSIDE_GUEST_MODE: nothing but to have been outside.</summary>
    OutsideGuestMode = 1 << 2,

    /// <summary>KVM_REQ_DIRTY_RING_SOFT_FULL: leave to the VMM unless its dirty ring has room again.</summary>
    DirtyRingSoftFull = 1 << 3,
}
