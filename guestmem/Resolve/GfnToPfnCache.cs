namespace Quadwalk.GuestMemory;

/// <summary>
/// The hypervisor's own lasting use of one guest page (<c>struct gfn_to_pfn_cache</c>, <c>virt/kvm/pfncache.c</c>): looked up once, checked
/// before each use, and invalidated by the notifier. It holds no reference between refresh and use.
/// </summary>
/// <remarks>
/// The frame is used through the kernel's address for it (KVM_HOST_USES_PFN): the direct map, or a mapping of its own (vmap) where the frame
/// is not in the direct map.
/// </remarks>
public sealed class GfnToPfnCache
{
    private readonly Kvm vm;
    private ulong generation;
    private Gpa? gpa;
    private Memslot? slot;

    /// <summary>Makes an inactive cache.</summary>
    /// <param name="vm">The virtual machine.</param>
    public GfnToPfnCache(Kvm vm)
    {
        ArgumentNullException.ThrowIfNull(vm);
        this.vm = vm;
        Lock = new HostLock("gpc->lock", vm.Kernel.Scope);
        RefreshLock = new HostLock("gpc->refresh_lock", vm.Kernel.Scope);
    }

    /// <summary>Between activation and deactivation.</summary>
    public bool IsActive { get; private set; }

    /// <summary>The frame is current as far as the notifier has said.</summary>
    public bool IsValid { get; private set; }

    /// <summary>The address in the VMM that the frame was looked up by.</summary>
    public Hva Hva { get; private set; }

    /// <summary>The frame; meaningful while <see cref="IsValid"/>.</summary>
    public Pfn Frame { get; private set; }

    /// <summary>Whether the kernel's address is a mapping of its own rather than the direct map.</summary>
    public bool IsVmap { get; private set; }

    /// <summary>How often a look-up was made again because of an invalidation.</summary>
    public int Retries { get; private set; }

    /// <summary>gpc->lock: over what a user of the cache reads.</summary>
    public HostLock Lock { get; }

    /// <summary>gpc->refresh_lock: one refresh at a time.</summary>
    public HostLock RefreshLock { get; }

    /// <summary>kvm_gpc_activate: by guest-physical address.</summary>
    /// <param name="address">Where.</param>
    /// <param name="length">How many bytes; they lie in one page.</param>
    public HostOperation<Errno> Activate(Gpa address, ulong length) => new RefreshOperation(this, address, null, length, activate: true);

    /// <summary>kvm_gpc_activate_hva: by an address of the VMM's.</summary>
    /// <param name="address">Where.</param>
    /// <param name="length">How many bytes; they lie in one page.</param>
    public HostOperation<Errno> Activate(Hva address, ulong length) => new RefreshOperation(this, null, address, length, activate: true);

    /// <summary>kvm_gpc_refresh: looks the frame up again if it has to be.</summary>
    /// <param name="length">How many bytes; they lie in one page.</param>
    public HostOperation<Errno> Refresh(ulong length) => new RefreshOperation(this, gpa, gpa is null ? Hva : null, length, activate: false);

    /// <summary>kvm_gpc_check: whether the frame may be used now. Asked under <see cref="Lock"/>.</summary>
    /// <param name="length">How many bytes.</param>
    public bool Check(ulong length)
    {
        int offset = gpa is Gpa address ? address.PageOffset : Hva.PageOffset;
        return IsActive && (gpa is null || generation == vm.Slots.Generation) && (ulong)offset + length <= PageSize.Size4K && IsValid;
    }

    /// <summary>kvm_gpc_deactivate.</summary>
    public void Deactivate()
    {
        IsActive = IsValid = false;
        vm.Remove(this);
    }

    /// <summary>The notifier's, and the file's: a range of addresses, or of guest frames, is about to change.</summary>
    internal void Invalidate() => IsValid = false;

    /// <summary>Whether the cache shows a guest frame of a range.</summary>
    internal bool Shows(Gfn first, ulong count) => gpa is Gpa address && address.Frame.Value - first.Value < count;

    /// <summary>Whether the cache was looked up by an address of a range.</summary>
    internal bool Shows(Hva start, Hva end) => Hva.Value >= start.Value && Hva.Value < end.Value;

    private sealed class RefreshOperation(GfnToPfnCache cache, Gpa? gpa, Hva? hva, ulong length, bool activate) : HostOperation<Errno>
    {
        private Kvm Vm => cache.vm;

        public override string Name => activate ? "kvm_gpc_activate" : "kvm_gpc_refresh";

        protected internal override IEnumerable<Step> Steps()
        {
            int offset = gpa?.PageOffset ?? hva!.Value.PageOffset;
            if ((ulong)offset + length > PageSize.Size4K || length == 0)
            {
                Result = Errno.EINVAL;
                yield break;
            }

            yield return Step.Acquire("gpc: refresh_lock", cache.RefreshLock);
            yield return Step.Acquire("gpc: lock", cache.Lock, Vm.SlotBit);
            if (activate)
            {
                // Listed before it is valid: an invalidation from now on finds it.
                cache.IsActive = true;
                Vm.Add(cache);
            }

            if (!cache.IsActive)
            {
                Result = Errno.EINVAL;
            }
            else if (!TryFindAddress())
            {
                cache.IsValid = false;
                Result = Errno.EFAULT;
            }
            else if (!cache.IsValid || activate)
            {
                foreach (Step step in LookUp())
                {
                    yield return step;
                }
            }

            yield return Step.Do("gpc: drop the locks", 0, cache.Lock.Bit | cache.RefreshLock.Bit);
            if (Result != Errno.None && activate)
            {
                cache.Deactivate();
            }

            cache.Lock.Release();
            cache.RefreshLock.Release();
        }

        private bool TryFindAddress()
        {
            cache.gpa = gpa;
            if (gpa is not Gpa address)
            {
                cache.Hva = hva!.Value;
                return true;
            }

            ulong current = Vm.Slots.Generation;
            if (!activate && cache.generation == current && cache.slot is not null)
            {
                return true;
            }

            cache.generation = current;
            if (!Vm.Slots.TryFind(address, out Memslot? slot))
            {
                cache.slot = null;
                return false;
            }

            Hva found = slot.Host + (address.Value - slot.Base.Value);
            cache.IsValid &= found == cache.Hva;
            (cache.slot, cache.Hva) = (slot, found);
            return true;
        }

        // hva_to_pfn_retry: the lock is dropped for the look-up, and the sequence tells whether it was in vain.
        private IEnumerable<Step> LookUp()
        {
            while (true)
            {
                cache.IsValid = false;
                ulong sequence = Vm.InvalidateSequence;
                yield return Step.Do("gpc: drop the lock", 0, cache.Lock.Bit);
                cache.Lock.Release();
                if (Vm.ActiveInvalidations > 0)
                {
                    // The kernel looks up in vain until they are over.
                    yield return Step.Wait("gpc: wait for the invalidations", () => Vm.ActiveInvalidations == 0, Vm.StageBit);
                    sequence = Vm.InvalidateSequence;
                }

                Errno error;
                Pfn frame;
                if (gpa is Gpa address && Vm.Attributes.IsPrivate(address.Frame) && cache.slot is Memslot slot && Vm.TryGuestMemfd(slot, address.Frame, out GuestMemfd? file, out ulong page))
                {
                    yield return Step.Do("gpc: kvm_gmem_get_pfn", file.CacheBit, file.CacheBit);
                    error = file.GetPfn(Vm, slot.Id, page, out frame);
                    if (error == Errno.None)
                    {
                        Vm.Kernel.Folios.Put(frame);
                    }
                }
                else
                {
                    PfnResolver resolver = new(Vm.Process, cache.Hva, new FollowPfn(FollFlags.Write));
                    yield return Step.Through(resolver);
                    error = resolver.Result.IsError ? Errno.EFAULT : Errno.None;
                    frame = resolver.Result.Frame;
                    resolver.Release(dirty: false);
                }

                yield return Step.Acquire("gpc: lock, compare the sequence", cache.Lock, Vm.StageBit);
                if (error != Errno.None)
                {
                    Result = Errno.EFAULT;
                    yield break;
                }

                if (!Vm.MustRetryCache(sequence) || Vm.Kernel.Injects(InjectedFaults.SkipInvalidateCheck))
                {
                    cache.Frame = frame;
                    cache.IsVmap = !Vm.Kernel.DirectMap.Shows(frame);
                    cache.IsValid = true;
                    yield break;
                }

                cache.Retries++;
            }
        }
    }
}
