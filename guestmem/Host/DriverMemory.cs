namespace Quadwalk.GuestMemory;

/// <summary>
/// Memory of a driver, shown to processes by bare frame numbers (<c>remap_pfn_range</c>, <c>vmf_insert_pfn</c>): VM_PFNMAP, or VM_MIXEDMAP.
/// Its frames have struct pages, and their counts are the driver's own affair.
/// </summary>
public sealed class DriverMemory : VmBacking
{
    private readonly Pfn[] frames;

    /// <summary>Describes memory that a driver has.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="frames">The frame of each page; numbers beyond the host's memory stand for registers of a device.</param>
    public DriverMemory(HostKernel kernel, params ReadOnlySpan<Pfn> frames)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        Kernel = kernel;
        this.frames = frames.ToArray();
    }

    /// <inheritdoc/>
    public override string Name => "driver";

    /// <summary>The host.</summary>
    public HostKernel Kernel { get; }

    /// <summary>Whether faults make entries without R/W that <see cref="MakeWritable"/> refuses to change.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>The largest page that faults make: level 1, 2 or 3.</summary>
    public int Level { get; init; } = 1;

    /// <summary>The next fault drops the mmap lock and asks for another try.</summary>
    public bool RetryOnce { get; set; }

    /// <summary>Takes frames for a driver from the allocator: reference counts 0, as TTM's tail pages and reserved carve-outs have them.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="order">log2 of how many.</param>
    /// <param name="refcountOfFirst">The count of the first.</param>
    /// <exception cref="HostOutOfFramesException">There are none.</exception>
    public static Pfn Allocate(HostKernel kernel, int order = 0, int refcountOfFirst = 0)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        Pfn first = kernel.Allocator.AllocateNonCompound(order) ?? throw new HostOutOfFramesException("a driver");
        kernel.Frames[first].RefCount = refcountOfFirst;
        return first;
    }

    /// <inheritdoc/>
    public override VmFault Fault(VirtualMemoryArea area, Hva hva, bool write, out Pfn frame)
    {
        ArgumentNullException.ThrowIfNull(area);
        frame = default;
        if (RetryOnce)
        {
            RetryOnce = false;
            return VmFault.Retry;
        }

        ulong order = (ulong)HostPageTable.OrderOf(Level);
        ulong page = area.PageOf(hva) >> (int)order << (int)order;
        if (page >= (ulong)frames.Length)
        {
            return VmFault.SigBus;
        }

        Hva at = new(hva.Value >> HostPageTable.Shift(Level) << HostPageTable.Shift(Level));
        HostPte entry = HostPte.Map(frames[page], !ReadOnly && (area.Flags & VmFlags.Write) != 0, Level, special: (area.Flags & (VmFlags.PfnMap | VmFlags.Io)) != 0 || !IsPage(frames[page]));
        if (!area.Owner.Tables.TrySet(at, Level, entry))
        {
            return VmFault.OutOfMemory;
        }

        if (!entry.IsSpecial)
        {
            Kernel.Folios.Get(frames[page]);
            Kernel.Frames.FolioOf(frames[page]).MapCount++;
        }

        return VmFault.NoPage;
    }

    /// <inheritdoc/>
    public override VmFault MakeWritable(VirtualMemoryArea area, Hva hva, Pfn frame) => ReadOnly ? VmFault.SigBus : VmFault.Page;

    private bool IsPage(Pfn frame) => Kernel.Folios.IsRefCounted(frame);
}
