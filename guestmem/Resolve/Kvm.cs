using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.GuestMemory;

/// <summary>
/// A virtual machine as its hypervisor sees memory (<c>struct kvm</c>): the VMM's process, the memslots, the second stage, and the notifier
/// that keeps the last true to the first.
/// </summary>
public sealed class Kvm : IDisposable
{
    private readonly Notifier notifier;
    private readonly Dictionary<int, (GuestMemfd File, ulong First)> files = [];
    private readonly List<GfnToPfnCache> caches = [];

    /// <summary>Makes a virtual machine of a process, and registers its notifier there.</summary>
    /// <param name="process">The VMM.</param>
    public Kvm(AddressSpace process)
    {
        ArgumentNullException.ThrowIfNull(process);
        Process = process;
        MmuLock = new HostLock("mmu_lock", process.Kernel.Scope);
        StageBit = process.Kernel.Scope.Take();
        SlotBit = process.Kernel.Scope.Take();
        notifier = new Notifier(this);
        process.Register(notifier);
    }

    /// <summary>The VMM.</summary>
    public AddressSpace Process { get; }

    /// <summary>The host.</summary>
    public HostKernel Kernel => Process.Kernel;

    /// <summary>Which guest frames are memory; <see cref="Memslot.Host"/> is an address of <see cref="Process"/>.</summary>
    public Memslots Slots { get; } = new();

    /// <summary>The second stage.</summary>
    public StageTwoMap StageTwo { get; } = new();

    /// <summary>Which guest frames are private.</summary>
    public MemoryAttributes Attributes { get; } = new();

    /// <summary>mmu_lock: over the second stage and the invalidation state.</summary>
    public HostLock MmuLock { get; }

    /// <summary>mmu_invalidate_seq: grows with each invalidation that has ended.</summary>
    public ulong InvalidateSequence { get; private set; }

    /// <summary>mmu_invalidate_in_progress: invalidations that have begun and not ended.</summary>
    public int InvalidationsInProgress { get; private set; }

    /// <summary>
    /// mn_active_invalidate_count: invalidations of the VMM's page tables that have begun and not ended. It is raised before the caches of
    /// frames are invalidated, and lowered after the sequence has grown, so that no cache is filled in between.
    /// </summary>
    public int ActiveInvalidations { get; private set; }

    /// <summary>What the invalidations in progress cover, together.</summary>
    public (Gfn First, Gfn End) InvalidateRange { get; private set; }

    /// <summary>Flushes of the guest's translations.</summary>
    public long Flushes { get; private set; }

    /// <summary>The bit by which steps say that they read or change the second stage.</summary>
    public ulong StageBit { get; }

    /// <summary>The bit by which steps say that they read or change the memslots.</summary>
    public ulong SlotBit { get; }

    /// <summary>
    /// mmu_invalidate_retry_gfn: whether a frame that was looked up at a sequence may be stale by now. Asked under the mmu lock.
    /// </summary>
    /// <param name="sequence">The sequence before the look-up.</param>
    /// <param name="gfn">The guest frame.</param>
    public bool MustRetry(ulong sequence, Gfn gfn)
    {
        bool covered = InvalidationsInProgress > 0 && gfn.Value >= InvalidateRange.First.Value && gfn.Value < InvalidateRange.End.Value;
        return covered || InvalidateSequence != sequence;
    }

    /// <summary>KVM_SET_MEMORY_ATTRIBUTES: makes guest frames private or shared; what the guest has of them goes.</summary>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    /// <param name="isPrivate">Which of the two.</param>
    public HostOperation SetAttributes(Gfn first, ulong count, bool isPrivate) => new AttributesOperation(this, first, count, isPrivate);

    /// <summary>Reads guest memory as the guest does, by the second stage alone; false where there is no translation.</summary>
    /// <param name="gpa">Where; the bytes lie in one page.</param>
    /// <param name="destination">Receives the bytes.</param>
    public bool TryGuestRead(Gpa gpa, Span<byte> destination)
    {
        if (!StageTwo.TryFind(gpa.Frame, out _, out Pfn frame))
        {
            return false;
        }

        Kernel.Frames.Bytes(frame).Slice(gpa.PageOffset, destination.Length).CopyTo(destination);
        return true;
    }

    /// <summary>Writes guest memory as the guest does, by the second stage alone; false where there is no writable translation.</summary>
    /// <param name="gpa">Where; the bytes lie in one page.</param>
    /// <param name="source">The bytes.</param>
    public bool TryGuestWrite(Gpa gpa, ReadOnlySpan<byte> source)
    {
        if (!StageTwo.TryFind(gpa.Frame, out StageTwoEntry entry, out Pfn frame) || !entry.Writable)
        {
            return false;
        }

        StageTwo.Update(gpa.Frame, entry with { Dirty = true, Accessed = true });
        source.CopyTo(Kernel.Frames.Bytes(frame)[gpa.PageOffset..]);
        return true;
    }

    /// <summary>KVM_SET_USER_MEMORY_REGION2 with KVM_MEM_GUEST_MEMFD: a slot whose private frames come from a guest_memfd.</summary>
    /// <param name="gpa">The first guest-physical address.</param>
    /// <param name="size">The size in bytes.</param>
    /// <param name="host">Where the VMM maps the shared frames; a multiple of 4096, not 0.</param>
    /// <param name="file">The guest_memfd.</param>
    /// <param name="firstPage">The page of the file that the slot begins with.</param>
    /// <param name="flags">What the slot allows: not read-only.</param>
    /// <returns>The slot.</returns>
    /// <exception cref="MemslotException">EEXIST: guest-physical overlap. EINVAL: anything else.</exception>
    public Memslot AddGuestMemfdSlot(Gpa gpa, ulong size, Hva host, GuestMemfd file, ulong firstPage, MemslotFlags flags = MemslotFlags.None)
    {
        ArgumentNullException.ThrowIfNull(file);
        if ((flags & MemslotFlags.ReadOnly) != 0)
        {
            throw new MemslotException(Errno.EINVAL, "a memslot with a guest_memfd cannot be read-only");
        }

        Memslot slot = Slots.Add(gpa, size, host, flags);
        if (file.Bind(this, slot, firstPage) != Errno.None)
        {
            Slots.Remove(slot.Id);
            throw new MemslotException(Errno.EINVAL, $"pages {firstPage} on of the guest_memfd are bound already or do not exist");
        }

        files[slot.Id] = (file, firstPage);
        return slot;
    }

    /// <summary>The guest_memfd of a slot and the page that a guest frame has there; false if the slot has none.</summary>
    public bool TryGuestMemfd(Memslot slot, Gfn gfn, [NotNullWhen(true)] out GuestMemfd? file, out ulong page)
    {
        ArgumentNullException.ThrowIfNull(slot);
        bool found = files.TryGetValue(slot.Id, out (GuestMemfd File, ulong First) entry);
        file = found ? entry.File : null;
        page = found ? entry.First + (gfn.Value - slot.Base.Frame.Value) : 0;
        return found;
    }

    /// <summary>Forgets a slot: the guest loses its frames.</summary>
    /// <param name="id">The slot's number.</param>
    public void RemoveSlot(int id)
    {
        Memslot slot = Slots.All.First(other => other.Id == id);
        Slots.Remove(id);
        if (files.Remove(id, out (GuestMemfd File, ulong First) entry))
        {
            entry.File.Unbind(this, id);
        }

        Zap(slot.Base.Frame, slot.Size >> PageSize.Shift4K);
    }

    /// <inheritdoc/>
    public void Dispose() => Process.Unregister(notifier);

    /// <summary>mmu_notifier_retry_cache: whether a frame that was looked up for a cache may be stale.</summary>
    /// <param name="sequence">The sequence before the look-up.</param>
    public bool MustRetryCache(ulong sequence) => ActiveInvalidations > 0 || InvalidateSequence != sequence;

    internal void Add(GfnToPfnCache cache)
    {
        if (!caches.Contains(cache))
        {
            caches.Add(cache);
        }
    }

    internal void Remove(GfnToPfnCache cache) => caches.Remove(cache);

    internal void InvalidateCaches(Gfn first, ulong count)
    {
        foreach (GfnToPfnCache cache in caches)
        {
            if (cache.Shows(first, count))
            {
                cache.Invalidate();
            }
        }
    }

    internal void BeginActive() => ActiveInvalidations++;

    internal void EndActive() => ActiveInvalidations--;

    internal void BeginInvalidation(Gfn first, Gfn end)
    {
        InvalidateRange = InvalidationsInProgress++ == 0
            ? (first, end)
            : (new Gfn(Math.Min(first.Value, InvalidateRange.First.Value)), new Gfn(Math.Max(end.Value, InvalidateRange.End.Value)));
    }

    internal void EndInvalidation()
    {
        // The sequence first: who sees no invalidation in progress sees that one has been.
        InvalidateSequence++;
        InvalidationsInProgress--;
    }

    internal void Zap(Gfn first, ulong count)
    {
        if (StageTwo.Zap(first, count) > 0)
        {
            Flushes++;
        }
    }

    /// <summary>The guest frames of the slots that show a range of the VMM's addresses.</summary>
    internal IEnumerable<(Gfn First, ulong Count)> GuestFrames(Hva start, Hva end)
    {
        foreach (Memslot slot in Slots.All)
        {
            ulong from = Math.Max(start.Value, slot.Host.Value);
            ulong to = Math.Min(end.Value, slot.Host.Value + slot.Size);
            if (from < to)
            {
                ulong first = (slot.Base.Value + (from - slot.Host.Value)) >> PageSize.Shift4K;
                ulong last = (slot.Base.Value + (to - 1 - slot.Host.Value)) >> PageSize.Shift4K;
                yield return (new Gfn(first), last - first + 1);
            }
        }
    }

    private sealed class Notifier(Kvm vm) : MmuNotifier
    {
        public override HostOperation InvalidateStart(NotifierRange range) => new StartOperation(vm, range);

        public override HostOperation InvalidateEnd(NotifierRange range) => new EndOperation(vm);

        public override bool ClearYoung(Hva start, Hva end) => Young(start, end, clear: true);

        public override bool TestYoung(Hva start, Hva end) => Young(start, end, clear: false);

        private bool Young(Hva start, Hva end, bool clear)
        {
            bool young = false;
            foreach ((Gfn first, ulong count) in vm.GuestFrames(start, end))
            {
                for (ulong i = 0; i < count; i++)
                {
                    Gfn gfn = new(first.Value + i);
                    if (vm.StageTwo.TryFind(gfn, out StageTwoEntry entry, out _) && entry.Accessed)
                    {
                        young = true;
                        if (clear)
                        {
                            vm.StageTwo.Update(gfn, entry with { Accessed = false });
                        }
                    }
                }
            }

            return young;
        }
    }

    private sealed class StartOperation(Kvm vm, NotifierRange range) : HostOperation
    {
        public override string Name => "invalidate_range_start";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Do("invalidate start: active_count++", 0, vm.StageBit);
            vm.BeginActive();
            foreach (GfnToPfnCache cache in vm.caches.ToArray())
            {
                if (!cache.Shows(range.Start, range.End))
                {
                    continue;
                }

                yield return Step.Acquire("invalidate start: gpc->lock", cache.Lock, 0, vm.StageBit);
                cache.Invalidate();
                cache.Lock.Release();
            }

            yield return Step.Acquire("invalidate start: mmu_lock, in_progress++", vm.MmuLock, vm.SlotBit, vm.StageBit);
            (Gfn First, ulong Count)[] frames = [.. vm.GuestFrames(range.Start, range.End)];
            ulong first = frames.Length == 0 ? 0 : frames.Min(part => part.First.Value);
            ulong end = frames.Length == 0 ? 0 : frames.Max(part => part.First.Value + part.Count);
            vm.BeginInvalidation(new Gfn(first), new Gfn(end));
            yield return Step.Do("invalidate start: zap and flush", vm.SlotBit, vm.StageBit | vm.MmuLock.Bit);
            foreach ((Gfn part, ulong count) in frames)
            {
                vm.Zap(part, count);
            }

            vm.MmuLock.Release();
        }
    }

    private sealed class EndOperation(Kvm vm) : HostOperation
    {
        public override string Name => "invalidate_range_end";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("invalidate end: mmu_lock, seq++, in_progress--", vm.MmuLock, 0, vm.StageBit);
            vm.EndInvalidation();
            vm.MmuLock.Release();
            yield return Step.Do("invalidate end: active_count--", 0, vm.StageBit);
            vm.EndActive();
        }
    }

    private sealed class AttributesOperation(Kvm vm, Gfn first, ulong count, bool isPrivate) : HostOperation
    {
        public override string Name => "set attributes";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("attributes: mmu_lock, invalidate begin, zap", vm.MmuLock, 0, vm.StageBit);
            vm.BeginInvalidation(first, new Gfn(first.Value + count));
            vm.Zap(first, count);
            vm.BeginActive();
            vm.InvalidateCaches(first, count);
            vm.MmuLock.Release();
            yield return Step.Do("attributes: store", 0, vm.SlotBit);
            vm.Attributes.Set(first, count, isPrivate);
            yield return Step.Acquire("attributes: mmu_lock, invalidate end", vm.MmuLock, 0, vm.StageBit);
            vm.EndInvalidation();
            vm.EndActive();
            vm.MmuLock.Release();
        }
    }
}
