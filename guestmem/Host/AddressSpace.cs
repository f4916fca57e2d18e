namespace Quadwalk.GuestMemory;

/// <summary>A process's memory (<c>struct mm_struct</c>): its ranges, its page tables, and who wants to hear of their changes.</summary>
public sealed partial class AddressSpace
{
    private readonly List<VirtualMemoryArea> areas = [];
    private readonly List<MmuNotifier> notifiers = [];
    private readonly List<BusError> busErrors = [];

    /// <summary>Makes an empty one.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="name">The process, for messages.</param>
    /// <exception cref="HostOutOfFramesException">There is no frame for its page tables.</exception>
    public AddressSpace(HostKernel kernel, string name = "vmm")
        : this(kernel, name, new HostPageTable(kernel))
    {
    }

    private AddressSpace(HostKernel kernel, string name, HostPageTable tables)
    {
        Kernel = kernel;
        Name = name;
        Id = kernel.NextMapping();
        Tables = tables;
        MmapLock = new HostLock("mmap_lock", kernel.Scope);
        TableBit = kernel.Scope.Take();
        kernel.Add(this);
    }

    /// <summary>The host.</summary>
    public HostKernel Kernel { get; }

    /// <summary>The process, for messages.</summary>
    public string Name { get; }

    /// <summary>Its number among the owners of pages.</summary>
    public int Id { get; }

    /// <summary>Its page tables.</summary>
    public HostPageTable Tables { get; }

    /// <summary>mmap_lock: over the ranges. Page-table entries change under it too, or under its readers one piece at a time.</summary>
    public HostLock MmapLock { get; }

    /// <summary>Its ranges, by address.</summary>
    public IReadOnlyList<VirtualMemoryArea> Areas => areas;

    /// <summary>A signal waits for the process's thread.</summary>
    public bool SignalPending { get; set; }

    /// <summary>The waiting signal is a fatal one.</summary>
    public bool FatalSignalPending { get; set; }

    /// <summary>PKRU of the process's thread: two bits for each protection key, no access and no write.</summary>
    public uint Pkru { get; set; }

    /// <summary>The process wants to hear at once of pages that the hardware has lost (PR_MCE_KILL_EARLY), as VMMs do.</summary>
    public bool EarlyKill { get; set; }

    /// <summary>The signals for lost pages that it got.</summary>
    public IReadOnlyList<BusError> BusErrors => busErrors;

    /// <summary>Walks of the tables without locks that are under way: a table is given back only after them (tlb_remove_table_sync_one).</summary>
    public int LocklessWalks { get; internal set; }

    /// <summary>The bit by which steps say that they read or change the page tables.</summary>
    public ulong TableBit { get; }

    /// <summary>Who is told of changes.</summary>
    public IReadOnlyList<MmuNotifier> Registered => notifiers;

    /// <summary>mmu_notifier_register.</summary>
    public void Register(MmuNotifier notifier) => notifiers.Add(notifier);

    /// <summary>mmu_notifier_unregister.</summary>
    public void Unregister(MmuNotifier notifier) => notifiers.Remove(notifier);

    /// <summary>send_sig_mceerr: SIGBUS for a lost page.</summary>
    /// <param name="error">What it says.</param>
    public void Raise(BusError error) => busErrors.Add(error);

    /// <summary>Whether PKRU lets the thread reach pages of a key (__pkru_allows_pkey).</summary>
    internal bool AllowsKey(int key, bool write) => (Pkru >> (2 * key) & (write ? 3u : 1u)) == 0;

    /// <summary>Whether a fault at an address would have to wait: for a migration, or for whoever has the page locked.</summary>
    internal bool IsUnderWay(Hva hva)
    {
        HostPte entry = Tables.Find(hva.Page, out int level);
        if (entry.IsSwap)
        {
            return Kernel.Swap.Cached(entry.SwapSlot) is Pfn cached && Kernel.Frames[cached].Has(FrameFlags.Locked);
        }

        return entry.IsMigration
            || (entry.HoldsPage && !entry.IsWritable && Kernel.Frames.FolioOf(HostPageTable.FrameOf(entry, hva, level)).Has(FrameFlags.Locked));
    }

    /// <summary>find_vma, but for what starts after the address: the range that holds it, or null.</summary>
    public VirtualMemoryArea? Find(Hva hva)
    {
        int low = 0;
        int high = areas.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (areas[middle].End.Value <= hva.Value)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low < areas.Count && areas[low].Contains(hva) ? areas[low] : null;
    }

    /// <summary>mmap with MAP_FIXED_NOREPLACE: a new range.</summary>
    /// <param name="start">The first address; a multiple of 4096.</param>
    /// <param name="pages">How many pages; not 0.</param>
    /// <param name="flags">What it allows and is.</param>
    /// <param name="backing">What its pages come from; null: anonymous memory.</param>
    /// <param name="offset">Where in the backing it starts, in pages.</param>
    /// <param name="area">The range.</param>
    /// <returns>EINVAL, EEXIST or none.</returns>
    public Errno Map(Hva start, ulong pages, VmFlags flags, VmBacking? backing, ulong offset, out VirtualMemoryArea? area)
    {
        area = null;
        ulong end = start.Value + (pages << PageSize.Shift4K);
        if (pages == 0 || start.PageOffset != 0 || pages > HostPageTable.UserEnd >> PageSize.Shift4K || end > HostPageTable.UserEnd)
        {
            return Errno.EINVAL;
        }

        int index = areas.FindIndex(other => other.End.Value > start.Value);
        if (index >= 0 && areas[index].Start.Value < end)
        {
            return Errno.EEXIST;
        }

        area = new VirtualMemoryArea(this, start, new Hva(end), flags, backing, offset);
        areas.Insert(index < 0 ? areas.Count : index, area);
        backing?.Opened(area);
        return Errno.None;
    }

    /// <summary>As <see cref="Map"/>, for whoever knows that it succeeds.</summary>
    /// <exception cref="ArgumentException">It does not.</exception>
    public VirtualMemoryArea MapAt(ulong start, ulong pages, VmFlags flags, VmBacking? backing = null, ulong offset = 0)
    {
        Errno error = Map(new Hva(start), pages, flags, backing, offset, out VirtualMemoryArea? area);
        return area ?? throw new ArgumentException($"no range of {pages} pages at 0x{start:x}: {error}", nameof(start));
    }

    /// <summary>Splits the range that holds an address strictly inside in two.</summary>
    internal void SplitAreaAt(Hva hva)
    {
        if (Find(hva) is not VirtualMemoryArea area || area.Start == hva)
        {
            return;
        }

        VirtualMemoryArea second = new(this, hva, area.End, area.Flags, area.Backing, area.PageOf(hva)) { ProtectionKey = area.ProtectionKey };
        area.End = hva;
        areas.Insert(areas.IndexOf(area) + 1, second);
        area.Backing?.Opened(second);
    }

    /// <summary>Removes the ranges that lie in a range of addresses; their pages are unmapped already.</summary>
    internal void RemoveAreas(Hva start, Hva end)
    {
        for (int i = areas.Count - 1; i >= 0; i--)
        {
            VirtualMemoryArea area = areas[i];
            if (area.Start.Value >= start.Value && area.End.Value <= end.Value)
            {
                areas.RemoveAt(i);
                area.Backing?.Closed(area);
            }
        }
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
