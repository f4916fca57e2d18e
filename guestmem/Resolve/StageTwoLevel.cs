namespace Quadwalk.GuestMemory;

/// <summary>How large a translation of the second stage may be (<c>kvm_mmu_max_mapping_level</c>, <c>kvm_lpage_info</c>).</summary>
internal static class StageTwoLevel
{
    /// <summary>Of a shared guest frame: no larger than the host's own page, and what slot and attributes allow.</summary>
    /// <param name="vm">The virtual machine.</param>
    /// <param name="slot">The frame's slot.</param>
    /// <param name="gfn">The frame.</param>
    public static int OfShared(Kvm vm, Memslot slot, Gfn gfn)
    {
        HostPte leaf = vm.Process.Tables.Find(slot.Host + (gfn.Address.Value - slot.Base.Value), out int level);
        return leaf.IsPresent ? Limit(vm, slot, gfn, level, (slot.Base.Value ^ slot.Host.Value) >> PageSize.Shift4K) : 1;
    }

    /// <summary>Of a private guest frame: no larger than the folio of the file, and what slot and attributes allow.</summary>
    /// <param name="vm">The virtual machine.</param>
    /// <param name="slot">The frame's slot.</param>
    /// <param name="gfn">The frame.</param>
    /// <param name="page">The page of the file that it is.</param>
    /// <param name="order">log2 of the frames of the file's folio.</param>
    public static int OfPrivate(Kvm vm, Memslot slot, Gfn gfn, ulong page, int order) =>
        Limit(vm, slot, gfn, order >= HostPageTable.OrderOf(3) ? 3 : order >= HostPageTable.OrderOf(2) ? 2 : 1, gfn.Value ^ page);

    // misaligned: the bits of frame numbers in which guest and host differ.
    private static int Limit(Kvm vm, Memslot slot, Gfn gfn, int level, ulong misaligned)
    {
        if (vm.Kernel.Injects(InjectedFaults.IgnoreLevelLimits))
        {
            return level;
        }

        for (level = slot.LogsDirty ? 1 : level; level > 1; level--)
        {
            ulong pages = 1UL << HostPageTable.OrderOf(level);
            Gfn first = new(gfn.Value & ~(pages - 1));
            bool inside = first.Value >= slot.Base.Frame.Value && first.Value + pages <= slot.Base.Frame.Value + slot.Pages;
            if (inside && (misaligned & (pages - 1)) == 0 && !vm.AttributesChange(first, pages)
                && (vm.Attributes.PrivateFrames == 0 || vm.Attributes.IsUniform(first, pages)))
            {
                break;
            }
        }

        return level;
    }
}
