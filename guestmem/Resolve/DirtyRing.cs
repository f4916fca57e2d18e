namespace Quadwalk.GuestMemory;

/// <summary>A page that was written, as a dirty ring has it (<c>struct kvm_dirty_gfn</c>).</summary>
/// <param name="SlotId">The slot's number.</param>
/// <param name="Page">The page of the slot.</param>
public readonly record struct DirtyPage(int SlotId, ulong Page);

/// <summary>
/// The log of pages written through one vCPU (<c>virt/kvm/dirty_ring.c</c>): KVM puts entries in, the VMM harvests them, and a reset takes
/// the harvested ones out and protects their pages again.
/// </summary>
/// <remarks>
/// <code>
///   reset index        fetch index        dirty index
///       |  harvested        |   to harvest     |   free
/// </code>
/// A vCPU whose ring has only its reserve left does not enter the guest. The VMM reads the pages after the reset: until then
/// the guest may write them without another entry.
/// </remarks>
public sealed class DirtyRing
{
    /// <summary>The least number of entries.</summary>
    public const int LeastEntries = 4;

    private readonly DirtyPage[] entries;
    private readonly int softLimit;
    private long dirtyIndex;
    private long fetchIndex;
    private long resetIndex;

    internal DirtyRing(int count)
    {
        entries = new DirtyPage[count];
        softLimit = count - Math.Min(64, count / 2);
    }

    /// <summary>How many entries are in use, harvested ones among them.</summary>
    public int Used => (int)(dirtyIndex - resetIndex);

    /// <summary>Only the reserve is left: the vCPU leaves to the VMM.</summary>
    public bool IsSoftFull => Used >= softLimit;

    /// <summary>The VMM reads what is to be harvested, and marks it as harvested.</summary>
    public IReadOnlyList<DirtyPage> Harvest()
    {
        List<DirtyPage> pages = [];
        while (fetchIndex < dirtyIndex)
        {
            pages.Add(entries[fetchIndex++ % entries.Length]);
        }

        return pages;
    }

    internal void Push(DirtyPage page)
    {
        if (Used == entries.Length)
        {
            throw new InvalidOperationException("a dirty ring is full: its vCPU went on past the soft limit");
        }

        entries[dirtyIndex++ % entries.Length] = page;
    }

    /// <summary>Takes the harvested entries out.</summary>
    internal IReadOnlyList<DirtyPage> TakeHarvested()
    {
        List<DirtyPage> pages = [];
        while (resetIndex < fetchIndex)
        {
            pages.Add(entries[resetIndex++ % entries.Length]);
        }

        return pages;
    }
}
