namespace Quadwalk.GuestMemory;

/// <summary>What the slow way does with an entry (<c>follow_page_pte</c>).</summary>
internal enum GupFollow
{
    /// <summary>The page may be had.</summary>
    Take,

    /// <summary>A fault first.</summary>
    Fault,

    /// <summary>A fault that makes the page the process's own (-EMLINK).</summary>
    Unshare,

    /// <summary>EFAULT.</summary>
    Refuse,
}

/// <summary>Which pages get_user_pages may give (<c>mm/gup.c</c>: is_valid_gup_args, gup_fast_pte_range, check_vma_flags, follow_page_pte).</summary>
internal static class GupRules
{
    private const FollFlags Internal = FollFlags.Tried | FollFlags.Touch;

    private const FollFlags ForFast = FollFlags.Write | FollFlags.LongTerm | FollFlags.Force | FollFlags.Pin | FollFlags.Get | FollFlags.FastOnly
        | FollFlags.NoFault | FollFlags.PciP2pDma | FollFlags.HonorNumaFault;

    private const FollFlags LongTermWrite = FollFlags.Pin | FollFlags.LongTerm | FollFlags.Write;

    /// <summary>is_valid_gup_args, and what the fast way asks beside: it knows few flags, and takes a reference always.</summary>
    public static bool IsValid(FollFlags flags, bool locked)
    {
        bool both = (flags & (FollFlags.Pin | FollFlags.Get)) == (FollFlags.Pin | FollFlags.Get);
        bool longWithoutPin = (flags & (FollFlags.LongTerm | FollFlags.Pin)) == FollFlags.LongTerm;
        bool longDevice = (flags & (FollFlags.LongTerm | FollFlags.PciP2pDma)) == (FollFlags.LongTerm | FollFlags.PciP2pDma);
        bool fastOnly = (flags & FollFlags.FastOnly) != 0 && (locked || !TriesFast(flags));
        return (flags & Internal) == 0 && !both && !longWithoutPin && !longDevice && !fastOnly;
    }

    /// <summary>Whether it begins without locks (get_user_pages_fast); other flags are for the slow way alone.</summary>
    public static bool TriesFast(FollFlags flags) => (flags & ~ForFast) == 0 && (flags & (FollFlags.Get | FollFlags.Pin)) != 0;

    /// <summary>Whether the fast way may take the page of an entry: it sees the folio only.</summary>
    public static bool FastAllows(AddressSpace mm, HostPte entry, int level, Hva hva, FollFlags flags)
    {
        bool write = (flags & FollFlags.Write) != 0;
        if (!entry.IsPresent || entry.IsSpecial || (write && !entry.IsWritable) || !mm.AllowsKey(entry.Key, write))
        {
            return false;
        }

        HostKernel kernel = mm.Kernel;
        Pfn frame = HostPageTable.FrameOf(entry, hva, level);
        if (!kernel.Frames.IsValid(frame))
        {
            return false;
        }

        ref PageFrame folio = ref kernel.Frames.FolioOf(frame);
        bool refused = kernel.IsWithoutDirectMap(folio.Mapping) && !kernel.Injects(InjectedFaults.FastIgnoresMapping);
        return folio.RefCount > 0 && !refused && !folio.Has(FrameFlags.Private) && !MustUnshare(folio, entry, flags)
            && (!folio.Has(FrameFlags.PciP2pDma) || (flags & FollFlags.PciP2pDma) != 0)
            && ((flags & FollFlags.LongTerm) == 0 || AllowsLongTerm(kernel, frame, folio, flags));
    }

    /// <summary>What the slow way does with an entry; the range was asked before.</summary>
    public static GupFollow Follow(VirtualMemoryArea area, HostPte entry, FollFlags flags)
    {
        if (!entry.IsPresent && !(entry.IsWithoutRights && ((flags & FollFlags.HonorNumaFault) == 0 || !area.IsAccessible)))
        {
            bool hole = entry.IsNone && (flags & FollFlags.Dump) != 0 && area.Backing is null;
            return hole ? GupFollow.Refuse : GupFollow.Fault;
        }

        HostKernel kernel = area.Owner.Kernel;
        if ((flags & FollFlags.Write) != 0 && !entry.IsWritable && !CanForceWrite(kernel, area, entry, flags))
        {
            return GupFollow.Fault;
        }

        if (entry.IsSpecial)
        {
            return (flags & (FollFlags.Get | FollFlags.Pin | FollFlags.Dump)) != 0 ? GupFollow.Refuse : GupFollow.Take;
        }

        return MustUnshare(kernel.Frames.FolioOf(entry.Frame), entry, flags) ? GupFollow.Unshare : GupFollow.Take;
    }

    /// <summary>check_vma_flags.</summary>
    public static Errno CheckArea(VirtualMemoryArea? area, FollFlags flags)
    {
        if (area is null || (area.Flags & (VmFlags.Io | VmFlags.PfnMap)) != 0 || ((flags & FollFlags.Anon) != 0 && area.Backing is not null))
        {
            return Errno.EFAULT;
        }

        if ((flags & FollFlags.LongTerm) != 0 && area.Backing is { IsFsDax: true })
        {
            return Errno.EOPNOTSUPP;
        }

        if (area.Backing is { NoDirectMap: true } || ((area.Flags & VmFlags.NoGup) != 0 && area.Owner.Kernel.Behavior == KernelBehavior.Proposed))
        {
            return Errno.EFAULT;
        }

        bool write = (flags & FollFlags.Write) != 0;
        bool force = (flags & FollFlags.Force) != 0;
        bool permitted = write
            ? !((flags & LongTermWrite) == LongTermWrite && area.NeedsDirtyTracking)
                && ((area.Flags & VmFlags.Write) != 0 || (force && (area.Flags & VmFlags.Shared) == 0))
            : (area.Flags & VmFlags.Read) != 0 || force;
        return permitted && ((flags & FollFlags.Remote) != 0 || area.Owner.AllowsKey(area.ProtectionKey, write)) ? Errno.None : Errno.EFAULT;
    }

    /// <summary>vm_fault_to_errno; a fault that has to be taken again is not for the caller of get_user_pages to see.</summary>
    public static Errno ErrorOf(VmFault fault, FollFlags flags) => fault switch
    {
        VmFault.Page or VmFault.NoPage or VmFault.Retry => Errno.None,
        VmFault.HwPoison => (flags & FollFlags.HwPoison) != 0 ? Errno.EHWPOISON : Errno.EFAULT,
        VmFault.OutOfMemory => Errno.ENOMEM,
        _ => Errno.EFAULT,
    };

    // can_follow_write_pte: the process's own copy in a private range without the right to write.
    private static bool CanForceWrite(HostKernel kernel, VirtualMemoryArea area, HostPte entry, FollFlags flags) =>
        (flags & FollFlags.Force) != 0 && !entry.IsSpecial && (area.Flags & (VmFlags.Shared | VmFlags.Write)) == 0
        && kernel.Frames.FolioOf(entry.Frame).Has(FrameFlags.Anon | FrameFlags.AnonExclusive);

    // gup_must_unshare: a pin for reading of a page that a later write would copy away from.
    private static bool MustUnshare(in PageFrame folio, HostPte entry, FollFlags flags) =>
        (flags & (FollFlags.Pin | FollFlags.Write)) == FollFlags.Pin && !entry.IsWritable && folio.Has(FrameFlags.Anon) && !folio.Has(FrameFlags.AnonExclusive);

    // folio_is_longterm_pinnable, and gup_fast_folio_allowed: of files only those that need not know of writes.
    private static bool AllowsLongTerm(HostKernel kernel, Pfn frame, in PageFrame folio, FollFlags flags)
    {
        MemoryFile? file = folio.Has(FrameFlags.Anon) ? null : kernel.FileOf(folio.Mapping);
        return !kernel.Allocator.IsMovable(frame) && file is not { IsFsDax: true } && ((flags & LongTermWrite) != LongTermWrite || file is not { NeedsDirtyTracking: true });
    }
}
