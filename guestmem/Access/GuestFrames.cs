namespace Quadwalk.GuestMemory;

/// <summary>From a guest frame to a host frame with a reference, for paths that do not go by the VMM's addresses.</summary>
internal static class GuestFrames
{
    /// <summary>The address of the VMM's at which a guest page should be.</summary>
    public static Hva HvaOf(in GuestHold hold) => hold.Slot.Host + (hold.Gfn.Address.Value - hold.Slot.Base.Value);

    /// <summary>Whether a look-up at an address would have to wait for another party.</summary>
    public static bool MustWait(AddressSpace process, Hva hva) =>
        !process.MmapLock.IsFree(shared: true) || process.IsUnderWay(hva);

    /// <summary>Whether the bytes of a frame can be had: it is memory of this host, and the hardware has not lost it.</summary>
    public static bool IsReadable(HostKernel kernel, Pfn frame) =>
        kernel.Frames.IsValid(frame) && !kernel.Frames[frame].Has(FrameFlags.HwPoison) && !kernel.Frames.FolioOf(frame).Has(FrameFlags.HwPoison);

    /// <summary>Whether a page is the guest's alone: the VMM has said so, or the file that the slot shows in place has it so.</summary>
    public static bool IsPrivate(Kvm vm, Memslot slot, Gfn gfn)
    {
        if (vm.Attributes.PrivateFrames != 0 && vm.Attributes.IsPrivate(gfn))
        {
            return true;
        }

        return vm.TryGuestMemfd(slot, gfn, out GuestMemfd? file, out ulong page) && file.IsPrivate(page)
            && vm.Process.Find(slot.Host + (gfn.Address.Value - slot.Base.Value))?.Backing == file;
    }

    /// <summary>Whether the frame comes from a guest_memfd, as a fault of the second stage has it: a private one, or one that GUP refuses.</summary>
    public static bool TryFile(Kvm vm, in GuestHold hold, out GuestMemfd? file, out ulong page)
    {
        bool found = vm.TryGuestMemfd(hold.Slot, hold.Gfn, out file, out page);
        return (found && file!.NoDirectMap) || ((found || vm.Attributes.PrivateFrames != 0) && IsPrivate(vm, hold.Slot, hold.Gfn));
    }

    /// <summary>Gets a frame, with a reference where there are any; by the page tables alone where they have it already.</summary>
    public static Errno Get(Kvm vm, ref GuestHold hold, bool write, ref AccessLedger ledger)
    {
        if (TryFile(vm, hold, out GuestMemfd? file, out ulong page))
        {
            return GetFromFile(vm, file, page, ref hold, ref ledger);
        }

        Hva hva = HvaOf(hold);
        ledger.Walks++;
        HostPte entry = vm.Process.Tables.Find(hva, out int level);
        FollFlags flags = FollFlags.Get | (write ? FollFlags.Write : 0);
        if (GupRules.FastAllows(vm.Process, entry, level, hva, flags) && vm.Kernel.Folios.TryGet(HostPageTable.FrameOf(entry, hva, level)))
        {
            hold.Frame = HostPageTable.FrameOf(entry, hva, level);
            hold.Counted = true;
            ledger.References++;
            return Readable(vm, ref hold);
        }

        if (MustWait(vm.Process, hva))
        {
            return Errno.EAGAIN;
        }

        PfnResolver resolver = new(vm.Process, hva, Request(write));
        resolver.Run();
        return Resolved(vm, resolver, ref hold, ref ledger);
    }

    /// <summary>As <see cref="Get"/>, step by step.</summary>
    public static IEnumerable<Step> GetSteps(Kvm vm, GuestAccessOperation access, Func<PfnResolver, Errno> resolved, Func<GuestMemfd?, ulong, Errno> fromFile)
    {
        if (TryFile(vm, access.Hold, out GuestMemfd? file, out ulong page))
        {
            yield return Step.Do("access: kvm_gmem_get_pfn", (file?.CacheBit ?? 0) | vm.SlotBit, file?.CacheBit ?? 0);
            access.Error = fromFile(file, page);
            yield break;
        }

        PfnResolver resolver = new(vm.Process, HvaOf(access.Hold), Request(access.Write));
        yield return Step.Through(resolver);
        access.Error = resolved(resolver);
    }

    /// <summary>kvm_gmem_get_pfn, into a hold.</summary>
    public static Errno GetFromFile(Kvm vm, GuestMemfd? file, ulong page, ref GuestHold hold, ref AccessLedger ledger)
    {
        Errno error = file is null ? Errno.EFAULT : file.GetPfn(vm, hold.Slot.Id, page, out hold.Frame);
        if (error != Errno.None)
        {
            return error;
        }

        hold.Counted = true;
        ledger.References++;
        return Errno.None;
    }

    /// <summary>What a look-up gave, into a hold.</summary>
    public static Errno Resolved(Kvm vm, PfnResolver resolver, ref GuestHold hold, ref AccessLedger ledger)
    {
        ledger.Faults += resolver.SlowLookups;
        PfnResult result = resolver.Result;
        if (result.IsError)
        {
            return result == PfnResult.HwPoison ? Errno.EHWPOISON
                : result == PfnResult.SignalPending ? Errno.EINTR
                : result == PfnResult.NeedsIo ? Errno.EAGAIN
                : Errno.EFAULT;
        }

        hold.Frame = result.Frame;
        hold.Counted = resolver.RefcountedPage is not null;
        ledger.References += hold.Counted ? 1 : 0;
        return Readable(vm, ref hold);
    }

    /// <summary>Gives the reference back, and marks what was done to the page (<c>kvm_release_page_dirty</c>, <c>_clean</c>).</summary>
    public static void Put(Kvm vm, ref GuestHold hold, bool write)
    {
        Written(vm, hold, write);
        if (hold.Counted)
        {
            hold.Counted = false;
            vm.Kernel.Folios.MarkAccessed(hold.Frame);
            vm.Kernel.Folios.Put(hold.Frame);
        }
    }

    /// <summary>A page was written, if it was: in the guest's dirty log and for the host.</summary>
    public static void Written(Kvm vm, in GuestHold hold, bool write)
    {
        if (!write)
        {
            return;
        }

        vm.MarkDirty(hold.Slot, hold.Gfn, vcpu: null);
        if (vm.Kernel.Folios.IsRefCounted(hold.Frame))
        {
            vm.Kernel.Folios.MarkDirty(hold.Frame);
        }
    }

    private static FollowPfn Request(bool write) => new(write ? FollFlags.Write : FollFlags.None);

    private static Errno Readable(Kvm vm, ref GuestHold hold)
    {
        if (IsReadable(vm.Kernel, hold.Frame))
        {
            return Errno.None;
        }

        Errno error = vm.Kernel.Frames.IsValid(hold.Frame) ? Errno.EHWPOISON : Errno.EFAULT;
        Put(vm, ref hold, write: false);
        return error;
    }
}
