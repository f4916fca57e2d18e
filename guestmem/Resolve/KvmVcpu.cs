namespace Quadwalk.GuestMemory;

/// <summary>
/// A virtual processor as far as memory goes (<c>struct kvm_vcpu</c>): in the guest or out of it, requests to serve before it enters, the
/// translations of the second stage that its TLB holds, and the frames that its VMCS names.
/// </summary>
/// <remarks>
/// Its TLB keeps what it holds across exits, as one with a VPID does, until a request tells it to flush: a missed flush is seen as an access to
/// the old frame. Guest code is a list of accesses, see <see cref="Run"/>.
/// </remarks>
public sealed class KvmVcpu
{
    private readonly Dictionary<ulong, StageTwoEntry> tlb = [];
    private readonly List<GfnToPfnCache> caches = [];
    private readonly Dictionary<GfnToPfnCache, Pfn> loaded = [];
    private (Gfn Gfn, ulong Generation)? mmio;

    internal KvmVcpu(Kvm vm, int id)
    {
        (Vm, Id) = (vm, id);
        Bit = vm.Kernel.Scope.Take();
        Ring = vm.DirtyRingEntries == 0 ? null : new DirtyRing(vm.DirtyRingEntries);
    }

    /// <summary>The virtual machine.</summary>
    public Kvm Vm { get; }

    /// <summary>Its number, from 0.</summary>
    public int Id { get; }

    /// <summary>IN_GUEST_MODE: it executes guest code, or is about to, past its last look at the requests.</summary>
    public bool InGuest { get; private set; }

    /// <summary>What it has to do before it enters.</summary>
    public VcpuRequests Requests { get; private set; }

    /// <summary>It was in the guest when a request came and has not left since.</summary>
    public bool IsKicked { get; private set; }

    /// <summary>The log of what the guest has written through this vCPU; null where the log is a bitmap.</summary>
    public DirtyRing? Ring { get; }

    /// <summary>The frame of the APIC access page as the VMCS has it.</summary>
    public Pfn? ApicAccessPage { get; internal set; }

    /// <summary>Accesses to the APIC access page that the processor took for such, and virtualized.</summary>
    public int VirtualizedApicAccesses { get; internal set; }

    /// <summary>Exits for MMIO that needed no fault, since the vCPU remembered that there is no slot (vcpu_match_mmio_gpa).</summary>
    public int RememberedMmio { get; private set; }

    /// <summary>Caches of frames that guest code uses (KVM_GUEST_USES_PFN).</summary>
    public IReadOnlyList<GfnToPfnCache> GuestCaches => caches;

    /// <summary>The bit by which steps say that they read or change this vCPU.</summary>
    public ulong Bit { get; }

    /// <summary>KVM_RUN with guest code that makes these accesses, in order, and then halts.</summary>
    /// <param name="accesses">The accesses.</param>
    public VcpuRun Run(params ReadOnlySpan<GuestAccess> accesses) => new(this, accesses.ToArray());

    /// <summary>KVM_PRE_FAULT_MEMORY: makes translations for a range before the guest asks for them.</summary>
    /// <param name="gpa">The first address; a multiple of 4096.</param>
    /// <param name="size">How many bytes; a multiple of 4096, and not 0.</param>
    public PreFaultOperation PreFault(Gpa gpa, ulong size) => new(this, gpa, size);

    /// <summary>Translations that the TLB holds now: guest frame and host frame.</summary>
    public IEnumerable<(Gfn Gfn, Pfn Frame, bool Writable)> Translations => tlb.Select(entry => (new Gfn(entry.Key), entry.Value.Frame, entry.Value.Writable));

    /// <summary>The frame that guest code uses of a cache; null outside the guest.</summary>
    public Pfn? LoadedFrame(GfnToPfnCache cache) => loaded.TryGetValue(cache, out Pfn frame) ? frame : null;

    internal void Make(VcpuRequests requests)
    {
        Requests |= requests;
        IsKicked |= InGuest;
    }

    internal void Done(VcpuRequests requests) => Requests &= ~requests;

    internal void FlushTlb() => tlb.Clear();

    internal void Uses(GfnToPfnCache cache)
    {
        if (!caches.Contains(cache))
        {
            caches.Add(cache);
        }
    }

    internal void UsesNoMore(GfnToPfnCache cache)
    {
        caches.Remove(cache);
        loaded.Remove(cache);
    }

    internal void Enter()
    {
        InGuest = true;
        foreach (GfnToPfnCache cache in caches)
        {
            loaded[cache] = cache.Frame;
        }
    }

    internal void Leave()
    {
        InGuest = IsKicked = false;
        loaded.Clear();
    }

    /// <summary>The translation that the hardware uses for an access: from the TLB, or from the second stage, which then has A and D set.</summary>
    internal bool TryTranslate(Gfn gfn, bool write, bool asPrivate, out Pfn frame)
    {
        if (!tlb.TryGetValue(gfn.Value, out StageTwoEntry entry) || entry.Private != asPrivate || (write && !(entry.Writable && entry.Dirty)))
        {
            if (!Vm.StageTwo.TryFind(gfn, out entry, out frame) || entry.Private != asPrivate || (write && !entry.Writable))
            {
                return false;
            }

            entry = entry with { Accessed = true, Dirty = entry.Dirty || write };
            Vm.StageTwo.Update(gfn, entry);
            entry = entry with { Frame = frame, Level = 1 };
            tlb[gfn.Value] = entry;
        }

        frame = entry.Frame;
        return true;
    }

    /// <summary>vcpu_cache_mmio_info: there is no slot, as of a generation; nothing is remembered of one that is not over.</summary>
    internal void RememberMmio(Gfn gfn, ulong generation) => mmio = (generation & Memslots.UpdateInProgress) == 0 ? (gfn, generation) : null;

    internal bool IsRememberedMmio(Gfn gfn)
    {
        bool known = mmio == (gfn, Vm.Slots.Generation);
        RememberedMmio += known ? 1 : 0;
        return known;
    }
}
