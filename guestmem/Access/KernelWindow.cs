namespace Quadwalk.GuestMemory;

/// <summary>
/// A run of kernel addresses that one set of page tables alone has: whoever has other tables loaded finds nothing there. Its entries are made
/// and cleared without a flush; what a processor has cached stays until the window is flushed on it.
/// </summary>
public sealed class KernelWindow
{
    private readonly HostPageTable tables;
    private readonly HostTlb[] tlbs;

    internal KernelWindow(HostKernel kernel, HostPageTable tables, Hva start, int pages)
    {
        this.tables = tables;
        Start = start;
        Pages = pages;
        tlbs = new HostTlb[kernel.Options.Processors];
        for (int i = 0; i < tlbs.Length; i++)
        {
            tlbs[i] = new HostTlb();
        }
    }

    /// <summary>The address of the first page.</summary>
    public Hva Start { get; }

    /// <summary>How many pages there are.</summary>
    public int Pages { get; }

    /// <summary>The page that a processor reaches at a page of the window: by what it has cached, else by the tables that it has loaded.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="page">The page of the window.</param>
    /// <param name="frame">The frame.</param>
    /// <returns>False: the access faults.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The window has no such page.</exception>
    public bool TryTranslate(HostProcessor processor, int page, out Pfn frame)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)page, (uint)Pages, nameof(page));
        frame = default;
        if (processor.Loaded != tables)
        {
            return false;
        }

        HostTlb tlb = tlbs[processor.Number];
        if (tlb.TryFind((ulong)page, out frame))
        {
            return true;
        }

        if (!tables.LookupPfn(AddressOf(page), out frame, out _, out _))
        {
            return false;
        }

        tlb.Fill((ulong)page, frame);
        return true;
    }

    /// <summary>Makes an entry; false if there is no frame for a table.</summary>
    internal bool TryMap(int page, Pfn frame) => tables.TrySet(AddressOf(page), 1, HostPte.MapKernel(frame));

    /// <summary>Clears an entry, which was made.</summary>
    internal void Unmap(int page) => tables.Replace(AddressOf(page), 1, default);

    /// <summary>Drops all that a processor has cached of the window.</summary>
    internal void Flush(int processor) => tlbs[processor].FlushAll();

    /// <summary>Drops what a processor has cached of one page.</summary>
    internal void FlushPage(int processor, int page) => tlbs[processor].Flush((ulong)page, 1);

    private Hva AddressOf(int page) => Start + ((ulong)page << PageSize.Shift4K);
}
