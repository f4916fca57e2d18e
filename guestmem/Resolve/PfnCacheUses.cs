namespace Quadwalk.GuestMemory;

/// <summary>Who uses the frame of a cache.</summary>
[Flags]
public enum PfnCacheUses
{
    /// <summary>KVM_HOST_USES_PFN: KVM itself, through an address of the kernel's.</summary>
    Host = 1 << 0,

    /// <summary>
    /// KVM_GUEST_USES_PFN: a vCPU in the guest, whose VMCS names the frame. Linux had it until 6.8, without a user; a series that brings it
    /// back is posted.
    /// </summary>
    Guest = 1 << 1,
}
