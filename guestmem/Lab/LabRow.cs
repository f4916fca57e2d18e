namespace Quadwalk.GuestMemory;

/// <summary>A row of the host-memory table: one mechanism of a host's, and what is asked of the model.</summary>
/// <param name="Number">1 to 47; scenarios and tests are named after it.</param>
/// <param name="Mechanism">What it is about, in a line.</param>
public sealed record LabRow(int Number, string Mechanism)
{
    /// <summary>All of them, in order.</summary>
    public static IReadOnlyList<LabRow> All { get; } =
    [
        new(1, "Driver memory by bare frame numbers whose struct pages have no references"),
        new(2, "Driver blocks of several frames that are not compound: only the first has a reference"),
        new(3, "The old guess that a frame with a struct page has its references counted"),
        new(4, "VM_IO and VM_PFNMAP: GUP refuses, and the page tables answer"),
        new(5, "hva_to_pfn_remapped: follow the entry, or fault it in and look again"),
        new(6, "VM_PFNMAP with leaves of 2 MiB and 1 GiB"),
        new(7, "The size of a host mapping, read from its page tables without a lock"),
        new(8, "One look-up that gives frame and level and takes no reference"),
        new(9, "memfd_secret never enters a guest"),
        new(10, "Under a notifier the reference of a look-up is dropped at once"),
        new(11, "What is used without a notifier is pinned"),
        new(12, "Dirty is marked when the stage-2 entry is made"),
        new(13, "Accessed is marked at retrieval, and aged through the notifier"),
        new(14, "Writeback: writes are stopped before the page is called clean"),
        new(15, "A stage-2 entry is a frame and permissions, and nothing about references"),
        new(16, "The notifier: changes of the host against faults of the guest"),
        new(17, "A host change that no notifier tells of leaves the guest with the old frame"),
        new(18, "After munmap there is nothing to follow"),
        new(19, "A page in a guest can migrate"),
        new(20, "gfn_to_pfn_cache: activate, check, refresh, deactivate"),
        new(21, "hva_to_pfn_retry: an invalidation between look-up and publication"),
        new(22, "KVM_HOST_USES_PFN: a kernel address for the host's own use"),
        new(23, "KVM_GUEST_USES_PFN: the guest has left before an invalidation returns"),
        new(24, "Pins against migration, hotplug and machine checks"),
        new(25, "An APIC-access page that can migrate"),
        new(26, "VM_MIXEDMAP: frames with a struct page come from GUP"),
        new(27, "kvm_resolve_pfn: a page or a mapping, and never both"),
        new(28, "Poisoned pages"),
        new(29, "Every way in which a look-up can end, and its code"),
        new(30, "Shared and private memory of a guest_memfd"),
        new(31, "A conversion to private needs that nobody else holds the page"),
        new(32, "guest_memfd without direct map"),
        new(33, "A restore of the direct map that was forgotten"),
        new(34, "What GUP-fast can see of a mapping, and slow GUP"),
        new(35, "Private memory has no references, no pins and no split folios"),
        new(36, "Guest memory by file and offset"),
        new(37, "MMIO emulation walks the guest's page tables over an access path"),
        new(38, "MMIO emulation fetches the instruction over an access path"),
        new(39, "Access path: the userspace mapping"),
        new(40, "Access path: the direct map, restored for the access"),
        new(41, "Access path: a mapping of the process's own in the kernel's half"),
        new(42, "Allocations and mappings that one process alone sees"),
        new(43, "Access path: a switch of views, and interrupts in it"),
        new(44, "A pfn cache over memory without a direct map"),
        new(45, "A window through which all I/O is bounced"),
        new(46, "pKVM: GUP without a direct map, by policy"),
        new(47, "Truncation and holes take memory from every view"),
    ];
}
