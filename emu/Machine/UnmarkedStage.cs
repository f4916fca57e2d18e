using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>A second stage over which a walk sets no flag in the guest's tables: a report must not change the guest.</summary>
internal readonly struct UnmarkedStage<TStage>(TStage stage) : ISecondStage
    where TStage : struct, ISecondStage
{
    private readonly TStage stage = stage;

    /// <inheritdoc/>
    public bool TryTranslate<TObserver>(Gpa gpa, in SecondStageAccess access, ref TObserver observer, out SecondStageResult result)
        where TObserver : struct, ISecondStageObserver => stage.TryTranslate(gpa, access, ref observer, out result);

    /// <inheritdoc/>
    public bool TryReadHost(Hpa address, out ulong value) => stage.TryReadHost(address, out value);

    /// <inheritdoc/>
    public bool TryCompareExchangeHost(Hpa address, ulong expected, ulong desired, out bool exchanged)
    {
        exchanged = true;
        return true;
    }
}
