namespace Quadwalk.GuestMemory;

/// <summary>
/// Takes one frame out of use before it breaks (<c>soft_offline_page</c>): its page moves away, content and all, and nobody gets a signal.
/// </summary>
/// <remarks>EBUSY: the page is held, pinned, or cannot move. ENXIO: no such frame.</remarks>
public sealed class SoftOfflineOperation : HostOperation<Errno>
{
    private readonly HostKernel kernel;
    private readonly Pfn frame;

    /// <summary>Prepares it.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="frame">The frame.</param>
    public SoftOfflineOperation(HostKernel kernel, Pfn frame)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        (this.kernel, this.frame) = (kernel, frame);
    }

    /// <inheritdoc/>
    public override string Name => "soft_offline_page";

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Do("soft offline: look at the frame", 0, kernel.PageBits);
        if (!kernel.Frames.IsValid(frame))
        {
            Result = Errno.ENXIO;
            yield break;
        }

        if (kernel.Frames[frame].Has(FrameFlags.HwPoison) || kernel.Allocator.TryTakeOffline(frame, FrameFlags.HwPoison))
        {
            yield break;
        }

        if (kernel.Frames.FolioOf(frame).Order > 0)
        {
            yield return Step.Through(new SplitFolioOperation(kernel, frame));
        }

        MigrateOperation migrate = new(kernel, frame);
        yield return Step.Through(migrate);
        yield return Step.Do("soft offline: take the free frame out", 0, kernel.PageBits);
        Result = migrate.Result == Errno.None && kernel.Allocator.TryTakeOffline(frame, FrameFlags.HwPoison) ? Errno.None : Errno.EBUSY;
    }
}
