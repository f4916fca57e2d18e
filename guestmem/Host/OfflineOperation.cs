namespace Quadwalk.GuestMemory;

/// <summary>
/// Takes a range of frames out of use (<c>offline_pages</c>): keeps what is free from the allocator, and moves away what is in use.
/// </summary>
/// <remarks>
/// EBUSY: something there cannot be moved, or is pinned or held; the range is in use as before then. EINVAL: no such range. Linux tries until a
/// signal comes; here it is <see cref="Passes"/> times.
/// </remarks>
public sealed class OfflineOperation : HostOperation<Errno>
{
    /// <summary>How often the range is gone over before it gives up.</summary>
    public const int Passes = 3;

    private readonly HostKernel kernel;
    private readonly Pfn first;
    private readonly ulong count;

    /// <summary>Prepares it.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    public OfflineOperation(HostKernel kernel, Pfn first, ulong count)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        (this.kernel, this.first, this.count) = (kernel, first, count);
    }

    /// <inheritdoc/>
    public override string Name => "offline_pages";

    /// <summary>The first frame that stayed in use, where the result is EBUSY.</summary>
    public Pfn? BlockedAt { get; private set; }

    /// <summary>Puts frames into use again that were taken out, but for broken ones (<c>online_pages</c>).</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    /// <returns>An operation whose result is how many came back.</returns>
    public static HostOperation<ulong> Online(HostKernel kernel, Pfn first, ulong count) => new OnlineOperation(kernel, first, count);

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Do("offline: isolate the range", 0, kernel.PageBits);
        if (!TryBegin())
        {
            yield break;
        }

        for (int pass = 0; pass < Passes && FirstInUse() is not null; pass++)
        {
            for (ulong i = 0; i < count; i++)
            {
                Pfn page = kernel.Frames.HeadOf(new Pfn(first.Value + i));
                if (!kernel.Folios.IsRefCounted(page))
                {
                    continue;
                }

                if (kernel.Frames[page].Order > 0)
                {
                    yield return Step.Through(new SplitFolioOperation(kernel, page));
                }

                yield return Step.Through(new MigrateOperation(kernel, new Pfn(first.Value + i)));
            }
        }

        yield return Step.Do("offline: take the range out, or give it back", 0, kernel.PageBits);
        BlockedAt = FirstInUse();
        Result = BlockedAt is null ? Errno.None : Errno.EBUSY;
        if (BlockedAt is null)
        {
            kernel.Allocator.FinishOffline();
        }
        else
        {
            kernel.Allocator.EndIsolation();
        }
    }

    // has_unmovable_pages.
    private bool TryBegin()
    {
        if (count == 0 || first.Value >= kernel.Frames.Count || count > kernel.Frames.Count - first.Value)
        {
            Result = Errno.EINVAL;
            return false;
        }

        for (ulong i = 0; i < count; i++)
        {
            Pfn page = new(first.Value + i);
            ref PageFrame folio = ref kernel.Frames.FolioOf(page);
            bool inUse = folio.RefCount != 0 || (folio.Flags & (FrameFlags.Driver | FrameFlags.Reserved)) != 0;
            bool movable = kernel.Folios.IsRefCounted(page) && !folio.Has(FrameFlags.Kernel)
                && (folio.Has(FrameFlags.Anon) || (folio.Has(FrameFlags.PageCache) && kernel.FileOf(folio.Mapping) is { MigrationRefusal: Errno.None }));
            if (inUse && !movable)
            {
                BlockedAt = page;
                Result = Errno.EBUSY;
                return false;
            }
        }

        Result = kernel.Allocator.TryIsolate(first, count) ? Errno.None : Errno.EBUSY;
        return Result == Errno.None;
    }

    private Pfn? FirstInUse()
    {
        for (ulong i = 0; i < count; i++)
        {
            Pfn page = new(first.Value + i);
            if ((kernel.Frames[page].Flags & (FrameFlags.Isolated | FrameFlags.Offline)) == 0)
            {
                return page;
            }
        }

        return null;
    }

    private sealed class OnlineOperation(HostKernel kernel, Pfn first, ulong count) : HostOperation<ulong>
    {
        public override string Name => "online_pages";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Do("online: give the range to the allocator", 0, kernel.PageBits);
            ulong end = Math.Min(kernel.Frames.Count, first.Value + count);
            Result = first.Value < end ? kernel.Allocator.Online(first, end - first.Value) : 0;
        }
    }
}
