namespace Quadwalk.GuestMemory;

/// <summary>Which kernel's rules the modelled host follows, where they differ.</summary>
public enum KernelBehavior
{
    /// <summary>
    /// Linux 6.12: KVM takes every frame that has a struct page and is not reserved for one with a reference count.
    /// </summary>
    V6_12,

    /// <summary>Linux 6.13: KVM follows page tables under its notifier, and takes references only from frames that have them (<c>kvm_follow_pfn</c>).</summary>
    V6_13,

    /// <summary>Patches posted and not merged, on top of 6.13.</summary>
    Proposed,
}
