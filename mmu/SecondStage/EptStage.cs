using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>EPT as the second stage of a two-dimensional walk.</summary>
/// <typeparam name="THost">Host-physical memory.</typeparam>
public struct EptStage<THost>(THost host, EptState state) : ISecondStage
    where THost : struct, IHostTableMemory
{
    private readonly EptState state = state;
    private THost host = host;

    /// <inheritdoc/>
    public bool TryTranslate<TObserver>(Gpa gpa, in SecondStageAccess access, ref TObserver observer, out SecondStageResult result)
        where TObserver : struct, ISecondStageObserver => EptWalker.TryTranslate(ref host, state, gpa, access, ref observer, out result);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReadHost(Hpa address, out ulong value) => host.TryRead(address, out value);

    /// <inheritdoc/>
    public bool TryCompareExchangeHost(Hpa address, ulong expected, ulong desired, out bool exchanged) =>
        host.TryCompareExchange(address, expected, desired, out exchanged);
}
