namespace Quadwalk.GuestMemory;

/// <summary>
/// Frees memory (<c>shrink_node</c>): goes over the frames like the hand of a clock and takes out those that were not used since it last came
/// by; the result is how many it freed. Large pages are taken apart first.
/// </summary>
public sealed class ShrinkOperation : HostOperation<int>
{
    private readonly HostKernel kernel;
    private readonly int wanted;

    /// <summary>Prepares it.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="wanted">How many pages should be freed: it gives up after two rounds.</param>
    public ShrinkOperation(HostKernel kernel, int wanted)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        ArgumentOutOfRangeException.ThrowIfNegative(wanted);
        (this.kernel, this.wanted) = (kernel, wanted);
    }

    /// <inheritdoc/>
    public override string Name => "kswapd";

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        for (ulong looked = 0; looked < 2 * kernel.Frames.Count && Result < wanted; looked++)
        {
            Pfn page = new(kernel.ReclaimHand);
            kernel.ReclaimHand = (kernel.ReclaimHand + 1) % kernel.Frames.Count;
            if (!ReclaimOperation.IsCandidate(kernel, page))
            {
                continue;
            }

            if (kernel.Frames[page].Order > 0)
            {
                yield return Step.Through(new SplitFolioOperation(kernel, page));
            }

            ReclaimOperation reclaim = new(kernel, page);
            yield return Step.Through(reclaim);
            Result += reclaim.Result == Errno.None ? 1 : 0;
        }
    }
}
