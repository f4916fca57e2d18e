namespace Quadwalk.GuestMemory;

/// <summary>How a fault ended (<c>vm_fault_t</c>).</summary>
public enum VmFault
{
    /// <summary>The page is given, with a reference for the table entry that is going to map it.</summary>
    Page,

    /// <summary>VM_FAULT_NOPAGE: the handler has made the entry itself, or somebody else has: look again.</summary>
    NoPage,

    /// <summary>VM_FAULT_RETRY: the mmap lock was dropped: find the range again.</summary>
    Retry,

    /// <summary>VM_FAULT_SIGBUS: nothing is there.</summary>
    SigBus,

    /// <summary>VM_FAULT_SIGSEGV: the access is not allowed.</summary>
    SigSegv,

    /// <summary>VM_FAULT_HWPOISON: the hardware has lost the page.</summary>
    HwPoison,

    /// <summary>VM_FAULT_OOM: no frame is left.</summary>
    OutOfMemory,
}

/// <summary>What backs a range of addresses and answers its faults (<c>struct vm_operations_struct</c>).</summary>
public abstract class VmBacking
{
    /// <summary>What it is: <c>memfd</c>.</summary>
    public abstract string Name { get; }

    /// <summary>GUP refuses pages of it, since the direct map does not show them (AS_NO_DIRECT_MAP, vma_is_secretmem).</summary>
    public virtual bool NoDirectMap => false;

    /// <summary>It has to know of every write, since it writes pages out by itself: a long-term pin for writing is refused.</summary>
    public virtual bool NeedsDirtyTracking => false;

    /// <summary>Its pages are those of a device that a file system manages (vma_is_fsdax): no long-term pins.</summary>
    public virtual bool IsFsDax => false;

    /// <summary>The lock that a fault reads while it looks for the page (filemap_invalidate_lock); null: none.</summary>
    public virtual HostLock? FaultLock => null;

    /// <summary>
    /// Answers a fault. For a page it takes a reference and gives the frame; a handler of bare frame numbers makes the entry itself and says
    /// <see cref="VmFault.NoPage"/>.
    /// </summary>
    /// <param name="area">The range.</param>
    /// <param name="hva">The address, at any byte.</param>
    /// <param name="write">A write is wanted.</param>
    /// <param name="frame">The frame of the page.</param>
    public abstract VmFault Fault(VirtualMemoryArea area, Hva hva, bool write, out Pfn frame);

    /// <summary>page_mkwrite: a shared page is about to become writable.</summary>
    /// <param name="area">The range.</param>
    /// <param name="hva">The address.</param>
    /// <param name="frame">The frame.</param>
    public virtual VmFault MakeWritable(VirtualMemoryArea area, Hva hva, Pfn frame) => VmFault.Page;

    /// <summary>A range of addresses now shows it: its pages can be found by whoever wants to unmap them (the i_mmap tree).</summary>
    internal virtual void Opened(VirtualMemoryArea area)
    {
    }

    /// <summary>A range shows it no more.</summary>
    internal virtual void Closed(VirtualMemoryArea area)
    {
    }
}
