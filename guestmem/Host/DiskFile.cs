namespace Quadwalk.GuestMemory;

/// <summary>
/// A file whose pages have a place on a disk: read from there, written back to there, and dropped from memory when they are clean.
/// </summary>
/// <remarks>A shared page is mapped read-only until it is written, so that the file knows which pages are dirty (<c>page_mkwrite</c>).</remarks>
public sealed class DiskFile : MemoryFile
{
    private readonly Dictionary<ulong, byte[]> disk = [];

    /// <summary>Makes a file of zeros.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="size">How many pages it has.</param>
    public DiskFile(HostKernel kernel, ulong size)
        : base(kernel, size)
    {
    }

    /// <inheritdoc/>
    public override string Name => "file";

    /// <inheritdoc/>
    public override bool NeedsDirtyTracking => true;

    /// <inheritdoc/>
    public override bool IsFsDax => Dax;

    /// <summary>Its pages are the disk's own (fsdax): not for pins that are there to stay.</summary>
    public bool Dax { get; init; }

    /// <summary>What fsync would report: EIO once dirty pages were lost (AS_EIO).</summary>
    public Errno Error { get; internal set; }

    /// <summary>Pages written to the disk so far.</summary>
    public long DiskWrites { get; private set; }

    /// <summary>The bytes of a page as they are on the disk.</summary>
    /// <param name="page">Its number.</param>
    public ReadOnlySpan<byte> OnDisk(ulong page) => disk.TryGetValue(page, out byte[]? bytes) ? bytes : new byte[PageSize.Size4K];

    /// <summary>Writes a page back if it is dirty.</summary>
    /// <param name="page">Its number.</param>
    public HostOperation Writeback(ulong page) => new WritebackOperation(this, page);

    /// <inheritdoc/>
    protected override void Added(Pfn head)
    {
        if (disk.TryGetValue(Kernel.Frames[head].Index, out byte[]? bytes))
        {
            bytes.CopyTo(Kernel.Frames.Bytes(head));
        }
    }

    /// <inheritdoc/>
    private protected override void Dropped(ulong first, ulong count)
    {
        foreach (ulong page in disk.Keys.Where(page => page >= first && page - first < count).ToArray())
        {
            disk.Remove(page);
        }
    }

    /// <inheritdoc/>
    internal override bool TryPageOut(Pfn frame)
    {
        if (Kernel.Frames[frame].Has(FrameFlags.Dirty))
        {
            return false;
        }

        Remove(frame);
        return true;
    }

    /// <summary>The disk takes a page.</summary>
    internal void Write(ulong page, Pfn frame)
    {
        disk[page] = Kernel.Frames.Bytes(frame).ToArray();
        DiskWrites++;
    }
}
