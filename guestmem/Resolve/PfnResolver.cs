namespace Quadwalk.GuestMemory;

/// <summary>
/// From an address of the VMM's to a host frame (<c>hva_to_pfn</c>, <c>virt/kvm/kvm_main.c</c>): without locks, then by faults, then, for
/// ranges that GUP refuses, by the page tables alone.
/// </summary>
public sealed class PfnResolver : HostOperation<PfnResult>
{
    private readonly AddressSpace mm;
    private readonly Hva hva;
    private readonly FollowPfn request;

    /// <summary>Prepares a look-up.</summary>
    /// <param name="mm">The VMM.</param>
    /// <param name="hva">The address.</param>
    /// <param name="request">What is wanted.</param>
    public PfnResolver(AddressSpace mm, Hva hva, FollowPfn request)
    {
        ArgumentNullException.ThrowIfNull(mm);
        (this.mm, this.hva, this.request) = (mm, hva.Page, request);
    }

    /// <inheritdoc/>
    public override string Name => "hva_to_pfn";

    /// <summary>Whether the frame may be mapped writable.</summary>
    public bool Writable { get; private set; }

    /// <summary>
    /// The page that a reference, or with <see cref="FollowPfn.Pin"/> a pin, was taken of, for the caller to release; null where the frame has
    /// none: exactly for VM_PFNMAP and VM_IO in 6.13.
    /// </summary>
    public Pfn? RefcountedPage { get; private set; }

    /// <summary>How many times get_user_pages was asked with faults allowed.</summary>
    public int SlowLookups { get; private set; }

    private KernelBehavior Behavior => mm.Kernel.Behavior;

    private FollFlags Reference => request.Pin ? FollFlags.Pin : FollFlags.Get;

    /// <summary>Gives back what <see cref="RefcountedPage"/> names (<c>kvm_release_page_unused</c>, <c>_clean</c>, <c>_dirty</c>).</summary>
    /// <param name="dirty">The page was made writable for the guest.</param>
    public void Release(bool dirty)
    {
        if (RefcountedPage is not Pfn page)
        {
            return;
        }

        Release(mm.Kernel.Folios, page, request.Pin, dirty);
        RefcountedPage = null;
    }

    /// <summary>
    /// hva_to_pfn_fast as a call: the frame of a page that is mapped and that GUP gives without a lock or a fault, with a reference for the
    /// caller. It allocates nothing and is one piece: nobody can come in between.
    /// </summary>
    /// <param name="mm">The process.</param>
    /// <param name="hva">The address.</param>
    /// <param name="flags">Any of <see cref="FollFlags.Write"/>, and one of <see cref="FollFlags.Get"/> and <see cref="FollFlags.Pin"/>.</param>
    /// <param name="frame">The frame.</param>
    /// <returns>False: it takes more than that, and nothing was done.</returns>
    public static bool TryFast(AddressSpace mm, Hva hva, FollFlags flags, out Pfn frame)
    {
        ArgumentNullException.ThrowIfNull(mm);
        HostPte entry = mm.Tables.Find(hva, out int level);
        frame = HostPageTable.FrameOf(entry, hva, level);
        Folios folios = mm.Kernel.Folios;
        if (!GupRules.FastAllows(mm, entry, level, hva, flags) || !((flags & FollFlags.Pin) != 0 ? folios.TryPin(frame) : folios.TryGet(frame)))
        {
            return false;
        }

        if ((flags & FollFlags.Write) != 0)
        {
            folios.MarkAccessed(frame);
        }

        return true;
    }

    /// <summary>Gives back a reference or a pin, and marks the page as used.</summary>
    internal static void Release(Folios folios, Pfn page, bool pin, bool dirty)
    {
        if (dirty)
        {
            folios.MarkDirty(page);
        }

        folios.MarkAccessed(page);
        if (pin)
        {
            folios.Unpin(page);
        }
        else
        {
            folios.Put(page);
        }
    }

    private protected override bool TryAtOnce()
    {
        if ((request.Write || request.MapWritable) && TryFast(mm, hva, FollFlags.Write | Reference, out Pfn frame))
        {
            Found(frame, writable: true);
            return true;
        }

        if (request.Write || !TryFast(mm, hva, Reference, out frame))
        {
            return false;
        }

        SlowLookups++;
        Found(frame, writable: false);
        return true;
    }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        // hva_to_pfn_fast: a writable page at once, if a write is wanted or a writable mapping would be welcome.
        if (request.Write || request.MapWritable)
        {
            GupOperation fast = new(mm, hva, 1, FollFlags.Write | FollFlags.FastOnly | Reference);
            yield return Step.Through(fast);
            if (fast.Result.Pages == 1)
            {
                Found(fast.Frames[0], writable: true);
                yield break;
            }
        }

        FollFlags slowFlags = (request.Flags & (FollFlags.Write | FollFlags.NoWait | FollFlags.Interruptible))
            | FollFlags.HwPoison | FollFlags.HonorNumaFault | Reference;
        GupOperation slow = new(mm, hva, 1, slowFlags);
        SlowLookups++;
        yield return Step.Through(slow);
        if (slow.Result.Pages == 1)
        {
            Found(slow.Frames[0], request.Write);
            if (!request.Write && request.MapWritable)
            {
                GupOperation upgrade = new(mm, hva, 1, FollFlags.Write | FollFlags.FastOnly | Reference);
                yield return Step.Through(upgrade);
                if (upgrade.Result.Pages == 1)
                {
                    Release(dirty: false);
                    Found(upgrade.Frames[0], writable: true);
                }
            }

            yield break;
        }

        switch (slow.Result.Error)
        {
            case Errno.EINTR:
            case Errno.EAGAIN:
                Result = PfnResult.SignalPending;
                yield break;
            case Errno.EHWPOISON:
                Result = PfnResult.HwPoison;
                yield break;
        }

        yield return Step.AcquireShared("hva_to_pfn: mmap_lock", mm.MmapLock);
        for (bool retry = true; retry;)
        {
            retry = false;
            VirtualMemoryArea? area = mm.Find(hva);
            if (area is null || (area.Flags & (VmFlags.Io | VmFlags.PfnMap)) == 0)
            {
                // vma_is_valid: a page could be had there, if one waited.
                VmFlags needed = request.Write ? VmFlags.Read | VmFlags.Write : VmFlags.Read;
                bool wouldWait = area is not null && (request.Flags & FollFlags.NoWait) != 0 && (area.Flags & needed) == needed;
                Result = wouldWait ? PfnResult.NeedsIo : PfnResult.Fault;
                break;
            }

            yield return Step.Do("hva_to_pfn_remapped: follow_pfnmap", mm.TableBit, mm.TableBit);
            HostPte entry = mm.Tables.Find(hva, out int level);
            if (!entry.IsPresent)
            {
                // fixup_user_fault: where the fault drops the lock, it is taken again, and the range may be another by then.
                FaultFlags how = FaultFlags.AllowRetry | FaultFlags.Killable | (request.Write ? FaultFlags.Write : FaultFlags.None);
                FaultOperation fault = new(mm, hva, how, locked: true);
                yield return Step.Through(fault);
                if (fault.DroppedLock)
                {
                    yield return Step.AcquireShared("hva_to_pfn_remapped: -EAGAIN, find the range again", mm.MmapLock);
                    retry = !mm.FatalSignalPending;
                    Result = retry ? Result : PfnResult.Fault;
                    continue;
                }

                if (fault.Result != VmFault.NoPage)
                {
                    Result = PfnResult.Fault;
                    break;
                }

                yield return Step.Do("hva_to_pfn_remapped: follow_pfnmap again", mm.TableBit, mm.TableBit);
                entry = mm.Tables.Find(hva, out level);
            }

            Remapped(entry, level);
        }

        yield return Step.Do("hva_to_pfn: drop mmap_lock", 0, mm.MmapLock.Bit);
        mm.MmapLock.Release();
    }

    private void Found(Pfn frame, bool writable)
    {
        Result = PfnResult.Found(frame);
        RefcountedPage = frame;
        Writable = writable;
    }

    // A frame from a page table: there may be no reference to take, and 6.12 does not know that.
    private void Remapped(HostPte entry, int level)
    {
        if (!entry.IsPresent)
        {
            Result = PfnResult.Fault;
            return;
        }

        if (request.Write && !entry.IsWritable)
        {
            Result = PfnResult.ReadOnlyFault;
            return;
        }

        Pfn frame = HostPageTable.FrameOf(entry, hva, level);
        if (request.Pin && !request.AllowUnsafe)
        {
            // kvm_resolve_pfn: what cannot be pinned cannot be used without a notifier.
            Result = PfnResult.Fault;
            return;
        }

        PageFrames frames = mm.Kernel.Frames;
        bool counted = frames.IsValid(frame) && !frames[frame].Has(FrameFlags.Reserved);
        if (Behavior == KernelBehavior.V6_12 && counted)
        {
            if (mm.Kernel.Injects(InjectedFaults.TakeForeignReference))
            {
                mm.Kernel.Folios.Get(frame);
            }
            else if (!mm.Kernel.Folios.TryGet(frame))
            {
                Result = PfnResult.Fault;
                return;
            }

            RefcountedPage = frame;
        }

        Result = PfnResult.Found(frame);
        Writable = entry.IsWritable;
    }
}
