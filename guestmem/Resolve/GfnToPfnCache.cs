namespace Quadwalk.GuestMemory;

/// <summary>
/// The hypervisor's own lasting use of one guest page (<c>struct gfn_to_pfn_cache</c>, <c>virt/kvm/pfncache.c</c>): looked up once, checked
/// before each use, and invalidated by the notifier. It holds no reference between refresh and use.
/// </summary>
/// <remarks>
/// KVM uses the frame through the kernel's address for it: the direct map, or a mapping of its own (vmap) where the direct map does not show
/// the frame. An invalidation leaves that mapping alone; the next refresh that finds another frame, or none, takes it away.
/// </remarks>
public sealed class GfnToPfnCache
{
    private readonly Kvm vm;
    private readonly PfnCacheUses uses;
    private readonly KvmVcpu? vcpu;
    private ulong generation;
    private Gpa? gpa;
    private Memslot? slot;

    /// <summary>Makes an inactive cache for KVM's own use.</summary>
    /// <param name="vm">The virtual machine.</param>
    public GfnToPfnCache(Kvm vm)
    {
        ArgumentNullException.ThrowIfNull(vm);
        (this.vm, uses) = (vm, PfnCacheUses.Host);
        Lock = new HostLock("gpc->lock", vm.Kernel.Scope);
        RefreshLock = new HostLock("gpc->refresh_lock", vm.Kernel.Scope);
    }

    /// <summary>Makes an inactive cache whose frame a vCPU uses in the guest.</summary>
    /// <param name="vcpu">The vCPU.</param>
    /// <param name="uses">Who uses it; <see cref="PfnCacheUses.Guest"/> among them only under <see cref="KernelBehavior.Proposed"/>, or activation is EINVAL.</param>
    public GfnToPfnCache(KvmVcpu vcpu, PfnCacheUses uses)
        : this(vcpu?.Vm!) => (this.vcpu, this.uses) = (vcpu, uses);

    /// <summary>Between activation and deactivation.</summary>
    public bool IsActive { get; private set; }

    /// <summary>The frame is current as far as the notifier has said.</summary>
    public bool IsValid { get; private set; }

    /// <summary>The address in the VMM that the frame was looked up by.</summary>
    public Hva Hva { get; private set; }

    /// <summary>The frame; meaningful while <see cref="IsValid"/>.</summary>
    public Pfn Frame { get; private set; }

    /// <summary>Whether the kernel has an address for the frame.</summary>
    public bool IsMapped { get; private set; }

    /// <summary>Whether that address is a mapping of its own rather than the direct map.</summary>
    public bool IsVmap { get; private set; }

    /// <summary>How often a look-up was made again because of an invalidation.</summary>
    public int Retries { get; private set; }

    /// <summary>gpc->lock: over what a user of the cache reads.</summary>
    public HostLock Lock { get; }

    /// <summary>gpc->refresh_lock: one refresh at a time.</summary>
    public HostLock RefreshLock { get; }

    /// <summary>The first byte within the page.</summary>
    public int PageOffset => gpa?.PageOffset ?? Hva.PageOffset;

    /// <summary>kvm_gpc_activate: by guest-physical address. What fails leaves the cache active and without a frame.</summary>
    /// <param name="address">Where.</param>
    /// <param name="length">How many bytes; they lie in one page.</param>
    public HostOperation<Errno> Activate(Gpa address, ulong length) => new RefreshOperation(this, address, null, length, activate: true);

    /// <summary>kvm_gpc_activate_hva: by an address of the VMM's. What fails leaves the cache active and without a frame.</summary>
    /// <param name="address">Where.</param>
    /// <param name="length">How many bytes; they lie in one page.</param>
    public HostOperation<Errno> Activate(Hva address, ulong length) => new RefreshOperation(this, null, address, length, activate: true);

    /// <summary>kvm_gpc_refresh: looks the frame up again if it has to be; EINVAL for a cache that is not active.</summary>
    /// <param name="length">How many bytes; they lie in one page.</param>
    public HostOperation<Errno> Refresh(ulong length) => new RefreshOperation(this, gpa, gpa is null ? Hva : null, length, activate: false);

    /// <summary>KVM reads the page: lock, check, and where the check fails a refresh and another try.</summary>
    /// <param name="destination">Receives the bytes; they lie in one page.</param>
    public HostOperation<Errno> Read(Memory<byte> destination) => new UseOperation(this, destination, default, isWrite: false);

    /// <summary>KVM writes the page, which the dirty log hears of.</summary>
    /// <param name="source">The bytes; they lie in one page.</param>
    public HostOperation<Errno> Write(ReadOnlyMemory<byte> source) => new UseOperation(this, default, source, isWrite: true);

    /// <summary>kvm_gpc_check: whether the frame may be used now. Asked under <see cref="Lock"/>.</summary>
    /// <param name="length">How many bytes.</param>
    public bool Check(ulong length) =>
        IsActive && (gpa is null || generation == vm.Slots.Generation) && (ulong)PageOffset + length <= PageSize.Size4K && IsValid;

    /// <summary>kvm_gpc_deactivate: nobody uses it afterwards, the notifier forgets it, and its mapping goes.</summary>
    public HostOperation Deactivate() => new DeactivateOperation(this);

    /// <summary>The notifier's, and the file's: what it shows is about to change. Called under <see cref="Lock"/>.</summary>
    internal void Invalidate()
    {
        IsValid = false;
        if ((uses & PfnCacheUses.Guest) != 0)
        {
            vcpu!.Make(VcpuRequests.OutsideGuestMode);
        }
    }

    /// <summary>Whether the cache shows a guest frame of a range.</summary>
    internal bool Shows(Gfn first, ulong count) => gpa is Gpa address && address.Frame.Value - first.Value < count;

    /// <summary>Whether the cache was looked up by an address of a range.</summary>
    internal bool Shows(Hva start, Hva end) => Hva.Value >= start.Value && Hva.Value < end.Value;

    internal bool ShowsSameFrame(GfnToPfnCache other) => other != this && gpa is Gpa address && other.gpa?.Frame == address.Frame;

    // gpc_map: where the kernel can use a frame. False: through the direct map.
    private bool MapsByVmap(Pfn frame) => !vm.Kernel.Frames.IsValid(frame) || vm.Kernel.DirectMap.IsAbsent(frame);

    // gpc_unmap.
    private void Unmap()
    {
        vm.LiveVmaps -= IsMapped && IsVmap ? 1 : 0;
        IsMapped = IsVmap = false;
    }

    private sealed class RefreshOperation(GfnToPfnCache cache, Gpa? gpa, Hva? hva, ulong length, bool activate) : HostOperation<Errno>
    {
        private Kvm Vm => cache.vm;

        public override string Name => activate ? "kvm_gpc_activate" : "kvm_gpc_refresh";

        protected internal override IEnumerable<Step> Steps()
        {
            int offset = gpa?.PageOffset ?? hva!.Value.PageOffset;
            bool allowed = (cache.uses & PfnCacheUses.Guest) == 0 || Vm.Kernel.Behavior == KernelBehavior.Proposed;
            if ((ulong)offset + length > PageSize.Size4K || length == 0 || length > PageSize.Size4K || !allowed)
            {
                Result = Errno.EINVAL;
                yield break;
            }

            yield return Step.Acquire("gpc: refresh_lock", cache.RefreshLock, Vm.Srcu.Bit);
            int reading = Vm.Srcu.ReadLock();
            yield return Step.Acquire("gpc: lock", cache.Lock, Vm.SlotBit, Vm.CacheListBit | (cache.vcpu?.Bit ?? 0));
            if (!activate && !cache.IsActive)
            {
                Result = Errno.EINVAL;
            }
            else if (!TryFindAddress())
            {
                Result = Errno.EFAULT;
            }

            if (activate && !cache.IsActive)
            {
                // Listed before it is valid: an invalidation from now on finds it.
                cache.IsActive = true;
                Vm.Add(cache);
                if ((cache.uses & PfnCacheUses.Guest) != 0)
                {
                    cache.vcpu!.Uses(cache);
                }
            }

            if (Result == Errno.None && !cache.IsValid)
            {
                foreach (Step step in LookUp())
                {
                    yield return step;
                }
            }

            if (Result == Errno.EFAULT)
            {
                cache.IsValid = false;
                cache.Unmap();
            }

            yield return Step.Do("gpc: drop the locks", Vm.Srcu.Bit, cache.Lock.Bit | cache.RefreshLock.Bit | Vm.CacheListBit);
            cache.Lock.Release();
            Vm.Srcu.ReadUnlock(reading);
            cache.RefreshLock.Release();
        }

        private bool TryFindAddress()
        {
            Hva before = cache.Hva.Page;
            ulong current = Vm.Slots.Generation;
            if (gpa is not Gpa address)
            {
                (cache.gpa, cache.slot, cache.Hva) = (null, null, hva!.Value);
            }
            else if (cache.gpa != gpa || cache.generation != current || cache.slot is null)
            {
                (cache.gpa, cache.generation) = (gpa, current);
                if (!Vm.Slots.TryFind(address, out Memslot? slot) || slot.IsInvalid)
                {
                    cache.slot = null;
                    return false;
                }

                (cache.slot, cache.Hva) = (slot, slot.Host + (address.Value - slot.Base.Value));
            }

            cache.IsValid &= cache.Hva.Page == before;
            return true;
        }

        // hva_to_pfn_retry: the lock is dropped for the look-up, and the sequence tells whether it was in vain.
        private IEnumerable<Step> LookUp()
        {
            while (true)
            {
                cache.IsValid = false;
                ulong sequence = Vm.InvalidateSequence;
                yield return Step.Do("gpc: drop the lock", Vm.StageBit, cache.Lock.Bit);
                cache.Lock.Release();
                if (Vm.ActiveInvalidations > 0)
                {
                    // The kernel looks up in vain until they are over.
                    yield return Step.Wait("gpc: wait for the invalidations", () => Vm.ActiveInvalidations == 0, Vm.StageBit);
                    sequence = Vm.InvalidateSequence;
                }

                Errno error;
                Pfn frame;
                PfnResolver? resolver = null;
                if (TryFile(out GuestMemfd? file, out ulong page))
                {
                    yield return Step.Do("gpc: kvm_gmem_get_pfn", file!.CacheBit, file.CacheBit);
                    error = file.GetPfn(Vm, cache.slot!.Id, page, out frame);
                }
                else
                {
                    resolver = new PfnResolver(Vm.Process, cache.Hva, new FollowPfn(FollFlags.Write));
                    yield return Step.Through(resolver);
                    error = resolver.Result.IsError ? Errno.EFAULT : Errno.None;
                    frame = resolver.Result.Frame;
                }

                ulong counted = file?.CacheBit ?? Vm.Process.TableBit;
                yield return Step.Acquire("gpc: lock, compare the sequence", cache.Lock, Vm.StageBit | Vm.SlotBit, Vm.CacheListBit | counted);
                if (error != Errno.None)
                {
                    Result = Errno.EFAULT;
                    yield break;
                }

                bool stale = Vm.MustRetryCache(sequence) && !Vm.Kernel.Injects(InjectedFaults.SkipInvalidateCheck);
                if (!stale)
                {
                    Take(frame);
                }

                // The reference goes: the notifier keeps the cache true from here on.
                resolver?.Release(dirty: false);
                if (resolver is null)
                {
                    Vm.Kernel.Folios.Put(frame);
                }

                if (!stale)
                {
                    yield break;
                }

                cache.Retries++;
            }
        }

        private bool TryFile(out GuestMemfd? file, out ulong page)
        {
            (file, page) = (null, 0);
            return gpa is Gpa address && cache.slot is Memslot slot && Vm.TryGuestMemfd(slot, address.Frame, out file, out page)
                && (file.NoDirectMap || Vm.Attributes.IsPrivate(address.Frame));
        }

        private void Take(Pfn frame)
        {
            bool mapped = (cache.uses & PfnCacheUses.Host) != 0;
            bool vmap = mapped && cache.MapsByVmap(frame);
            if (cache.Frame != frame || cache.IsMapped != mapped || cache.IsVmap != vmap)
            {
                cache.Unmap();
                (cache.IsMapped, cache.IsVmap) = (mapped, vmap);
                Vm.LiveVmaps += vmap ? 1 : 0;
            }

            (cache.Frame, cache.IsValid) = (frame, true);
        }
    }

    private sealed class DeactivateOperation(GfnToPfnCache cache) : HostOperation
    {
        public override string Name => "kvm_gpc_deactivate";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("gpc: refresh_lock", cache.RefreshLock);
            yield return Step.Acquire("gpc: lock, not active any more", cache.Lock, 0, cache.vm.CacheListBit | (cache.vcpu?.Bit ?? 0));
            cache.IsActive = cache.IsValid = false;
            cache.vcpu?.UsesNoMore(cache);
            cache.Unmap();
            cache.vm.Remove(cache);
            cache.Lock.Release();
            yield return Step.Do("gpc: drop refresh_lock", 0, cache.RefreshLock.Bit);
            cache.RefreshLock.Release();
        }
    }

    private sealed class UseOperation(GfnToPfnCache cache, Memory<byte> destination, ReadOnlyMemory<byte> source, bool isWrite) : HostOperation<Errno>
    {
        private Kvm Vm => cache.vm;

        private int Length => isWrite ? source.Length : destination.Length;

        public override string Name => isWrite ? "write through a cache" : "read through a cache";

        protected internal override IEnumerable<Step> Steps()
        {
            bool done = false;
            while (!done && Result == Errno.None)
            {
                yield return Step.AcquireShared("gpc user: lock, check", cache.Lock, Vm.SlotBit | Vm.CacheListBit);
                done = cache.Check((ulong)Length);
                if (done)
                {
                    yield return Step.Do("gpc user: use the mapping", Vm.Process.TableBit | Vm.SlotBit, Vm.DirtyBit | (isWrite ? Vm.Process.TableBit : 0));
                    Use();
                }

                cache.Lock.Release();
                if (!done)
                {
                    HostOperation<Errno> refresh = cache.Refresh((ulong)Length);
                    yield return Step.Through(refresh);
                    Result = refresh.Result;
                }
            }
        }

        private void Use()
        {
            if (!cache.IsVmap && !Vm.Kernel.DirectMap.TryAccess(cache.Frame))
            {
                Vm.Kernel.Log.Report(KernelEventKind.Oops, cache.Frame, "a cache's address lies in a part of the direct map that is not mapped");
                Result = Errno.EFAULT;
                return;
            }

            Span<byte> page = Vm.Kernel.Frames.Bytes(cache.Frame)[cache.PageOffset..];
            if (!isWrite)
            {
                page[..Length].CopyTo(destination.Span);
                return;
            }

            source.Span.CopyTo(page);
            if (cache.gpa is Gpa address && cache.slot is Memslot slot)
            {
                Vm.MarkDirty(Vm.Slots.Find(slot.Id) ?? slot, address.Frame, null);
            }
        }
    }
}
