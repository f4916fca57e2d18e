namespace Quadwalk.GuestMemory;

/// <summary>Which pages get_user_pages may give (<c>mm/gup.c</c>: gup_fast_pte_range, check_vma_flags, follow_page_pte).</summary>
internal static class GupRules
{
    /// <summary>Whether the fast way may take the page of an entry: it sees the folio only.</summary>
    public static bool FastAllows(HostKernel kernel, HostPte entry, int level, Hva hva, FollFlags flags)
    {
        if (!entry.IsPresent || entry.IsSpecial || ((flags & FollFlags.Write) != 0 && !entry.IsWritable))
        {
            return false;
        }

        Pfn frame = HostPageTable.FrameOf(entry, hva, level);
        if (!kernel.Frames.IsValid(frame))
        {
            return false;
        }

        ref PageFrame folio = ref kernel.Frames.FolioOf(frame);
        return folio.RefCount > 0 && !kernel.IsWithoutDirectMap(folio.Mapping) && !folio.Has(FrameFlags.Private) && !MustUnshare(folio, entry, flags);
    }

    /// <summary>Whether the slow way may take the page of an entry without a fault; the range was asked before.</summary>
    public static bool SlowAllows(HostKernel kernel, HostPte entry, FollFlags flags)
    {
        if (!entry.IsPresent || ((flags & FollFlags.Write) != 0 && !entry.IsWritable))
        {
            return false;
        }

        return entry.IsSpecial || !MustUnshare(kernel.Frames.FolioOf(entry.Frame), entry, flags);
    }

    /// <summary>check_vma_flags.</summary>
    public static Errno CheckArea(VirtualMemoryArea? area, FollFlags flags)
    {
        if (area is null || (area.Flags & (VmFlags.Io | VmFlags.PfnMap)) != 0)
        {
            return Errno.EFAULT;
        }

        if (area.Backing is { NoDirectMap: true } || ((area.Flags & VmFlags.NoGup) != 0 && area.Owner.Kernel.Behavior == KernelBehavior.Proposed))
        {
            return Errno.EFAULT;
        }

        VmFlags needed = (flags & FollFlags.Write) != 0 ? VmFlags.Write : VmFlags.Read;
        return (area.Flags & needed) == 0 ? Errno.EFAULT : Errno.None;
    }

    /// <summary>vm_fault_to_errno.</summary>
    public static Errno ErrorOf(VmFault fault, FollFlags flags) => fault switch
    {
        VmFault.Page or VmFault.NoPage => Errno.None,
        VmFault.Retry => Errno.EAGAIN,
        VmFault.HwPoison => (flags & FollFlags.HwPoison) != 0 ? Errno.EHWPOISON : Errno.EFAULT,
        VmFault.OutOfMemory => Errno.ENOMEM,
        _ => Errno.EFAULT,
    };

    // gup_must_unshare: a pin for reading of a page that a later write would copy away from.
    private static bool MustUnshare(in PageFrame folio, HostPte entry, FollFlags flags) =>
        (flags & (FollFlags.Pin | FollFlags.Write)) == FollFlags.Pin && !entry.IsWritable && folio.Has(FrameFlags.Anon) && !folio.Has(FrameFlags.AnonExclusive);
}
