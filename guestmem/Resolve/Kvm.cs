namespace Quadwalk.GuestMemory;

/// <summary>
/// A virtual machine as its hypervisor sees memory (<c>struct kvm</c>): the VMM's process, the memslots, the second stage, the vCPUs, and the
/// notifier that keeps the last two true to the first.
/// </summary>
public sealed partial class Kvm : IDisposable
{
    private readonly Notifier notifier;
    private readonly List<GfnToPfnCache> caches = [];
    private readonly List<KvmVcpu> vcpus = [];

    /// <summary>Makes a virtual machine of a process, and registers its notifier there.</summary>
    /// <param name="process">The VMM.</param>
    public Kvm(AddressSpace process)
    {
        ArgumentNullException.ThrowIfNull(process);
        Process = process;
        StepScope scope = process.Kernel.Scope;
        MmuLock = new HostLock("mmu_lock", scope);
        SlotsLock = new HostLock("slots_lock", scope);
        Srcu = new SleepableRcu(scope);
        StageBit = scope.Take();
        SlotBit = scope.Take();
        CacheListBit = scope.Take();
        DirtyBit = scope.Take();
        notifier = new Notifier(this);
        process.Register(notifier);
    }

    /// <summary>The VMM.</summary>
    public AddressSpace Process { get; }

    /// <summary>The host.</summary>
    public HostKernel Kernel => Process.Kernel;

    /// <summary>
    /// Which guest frames are memory; <see cref="Memslot.Host"/> is an address of <see cref="Process"/>. Slots may be added here before
    /// anybody uses them; beside others they are changed by <see cref="CreateSlot"/> and its like.
    /// </summary>
    public Memslots Slots { get; } = new() { Accepted = MemslotFlags.ReadOnly | MemslotFlags.LogDirtyPages | MemslotFlags.GuestMemfd };

    /// <summary>The second stage.</summary>
    public StageTwoMap StageTwo { get; } = new();

    /// <summary>Which guest frames are private.</summary>
    public MemoryAttributes Attributes { get; } = new();

    /// <summary>The virtual processors.</summary>
    public IReadOnlyList<KvmVcpu> Vcpus => vcpus;

    /// <summary>
    /// allow_unsafe_mappings: frames without references may be used for good and without a notifier, although their owner does not know.
    /// </summary>
    public bool AllowUnsafeMappings { get; init; }

    /// <summary>mmu_lock: over the second stage and the invalidation state.</summary>
    public HostLock MmuLock { get; }

    /// <summary>slots_lock: over changes of the memslots and of attributes.</summary>
    public HostLock SlotsLock { get; }

    /// <summary>kvm->srcu: held for reading by whoever uses a memslot.</summary>
    public SleepableRcu Srcu { get; }

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

    /// <summary>Mappings of their own that caches of frames and lasting mappings have now (vmap, memremap).</summary>
    public int LiveVmaps { get; internal set; }

    /// <summary>The bit by which steps say that they read or change the second stage.</summary>
    public ulong StageBit { get; }

    /// <summary>The bit by which steps say that they read or change the memslots.</summary>
    public ulong SlotBit { get; }

    /// <summary>The bit by which steps say that they read or change the list of caches of frames, and what those show.</summary>
    public ulong CacheListBit { get; }

    /// <summary>The bit by which steps say that they read or change the dirty log.</summary>
    public ulong DirtyBit { get; }

    /// <summary>The bits of all vCPUs.</summary>
    public ulong VcpuBits { get; private set; }

    /// <summary>KVM_CREATE_VCPU.</summary>
    public KvmVcpu AddVcpu()
    {
        KvmVcpu vcpu = new(this, vcpus.Count);
        vcpus.Add(vcpu);
        VcpuBits |= vcpu.Bit;
        return vcpu;
    }

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

    /// <summary>mmu_notifier_retry_cache: whether a frame that was looked up for a cache may be stale.</summary>
    /// <param name="sequence">The sequence before the look-up.</param>
    public bool MustRetryCache(ulong sequence) => ActiveInvalidations > 0 || InvalidateSequence != sequence;

    /// <summary>Reads guest memory as the guest does, by the second stage alone; false where there is no translation, or one to a device.</summary>
    /// <param name="gpa">Where; the bytes lie in one page.</param>
    /// <param name="destination">Receives the bytes.</param>
    public bool TryGuestRead(Gpa gpa, Span<byte> destination)
    {
        if (!StageTwo.TryFind(gpa.Frame, out _, out Pfn frame) || !Kernel.Frames.IsValid(frame))
        {
            return false;
        }

        Kernel.Frames.Bytes(frame).Slice(gpa.PageOffset, destination.Length).CopyTo(destination);
        return true;
    }

    /// <summary>Writes guest memory as the guest does, by the second stage alone; false where there is no writable translation, or one to a device.</summary>
    /// <param name="gpa">Where; the bytes lie in one page.</param>
    /// <param name="source">The bytes.</param>
    public bool TryGuestWrite(Gpa gpa, ReadOnlySpan<byte> source)
    {
        if (!StageTwo.TryFind(gpa.Frame, out StageTwoEntry entry, out Pfn frame) || !entry.Writable || !Kernel.Frames.IsValid(frame))
        {
            return false;
        }

        StageTwo.Update(gpa.Frame, entry with { Dirty = true, Accessed = true });
        source.CopyTo(Kernel.Frames.Bytes(frame)[gpa.PageOffset..]);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => Process.Unregister(notifier);

    internal void Add(GfnToPfnCache cache)
    {
        bool forget = Kernel.Injects(InjectedFaults.CacheNotListed) && caches.Exists(other => other.ShowsSameFrame(cache));
        if (!forget && !caches.Contains(cache))
        {
            caches.Add(cache);
        }
    }

    internal void Remove(GfnToPfnCache cache) => caches.Remove(cache);

    /// <summary>
    /// kvm_make_all_cpus_request: every vCPU has something to do before it enters the guest, and those that are in it are kicked out.
    /// The piece that calls it says that it changes <see cref="VcpuBits"/>; <see cref="WaitOutside"/> comes next.
    /// </summary>
    internal void MakeAllCpusRequest(VcpuRequests requests)
    {
        foreach (KvmVcpu vcpu in vcpus)
        {
            vcpu.Make(requests);
        }
    }

    /// <summary>Waits until no vCPU that was kicked is in the guest; no step if there is none.</summary>
    internal IEnumerable<Step> WaitOutside(string who)
    {
        if (vcpus.Exists(vcpu => vcpu.IsKicked))
        {
            yield return Step.Wait($"{who}: wait until the vCPUs are out", () => !vcpus.Exists(vcpu => vcpu.IsKicked), VcpuBits, VcpuBits);
        }
    }

    /// <summary>
    /// kvm_flush_remote_tlbs: from the end of these steps no vCPU uses a translation that the second stage does not have any more. The piece
    /// before says that it changes <see cref="VcpuBits"/>.
    /// </summary>
    internal IEnumerable<Step> FlushRemoteTlbs(string who)
    {
        Flushes++;
        if (Kernel.Injects(InjectedFaults.SkipStageTwoFlush))
        {
            yield break;
        }

        MakeAllCpusRequest(VcpuRequests.TlbFlush);
        foreach (Step step in WaitOutside(who))
        {
            yield return step;
        }
    }

    /// <summary>Removes translations; whether a flush is due.</summary>
    internal bool Zap(Gfn first, ulong count)
    {
        if (Kernel.Behavior != KernelBehavior.V6_12)
        {
            return StageTwo.Zap(first, count) > 0;
        }

        List<StageTwoEntry> zapped = [];
        StageTwo.Zap(first, count, zapped);
        foreach (StageTwoEntry entry in zapped)
        {
            // kvm_set_pfn_dirty: 6.12 tells the struct page when the entry goes, if it takes the frame for one with a page.
            if (entry.Dirty && Kernel.Frames.IsValid(entry.Frame) && !Kernel.Frames[entry.Frame].Has(FrameFlags.Reserved))
            {
                Kernel.Folios.MarkDirty(entry.Frame);
            }
        }

        return zapped.Count > 0;
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
}
