using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Second-stage tables, logs and guest frames in the frames of a <see cref="HostFrames"/>.</summary>
public readonly struct HostFrameTables(HostFrames frames) : ISecondStageFrames
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRead(Hpa address, out ulong value) => frames.TryRead(address, out value);

    /// <inheritdoc/>
    public bool TryWrite(Hpa address, ulong value) => frames.TryWrite(address, value);

    /// <inheritdoc/>
    public bool TryCompareExchange(Hpa address, ulong expected, ulong desired, out bool exchanged) =>
        frames.TryCompareExchange(address, expected, desired, out exchanged);

    /// <inheritdoc/>
    public bool TryAllocate(out Pfn frame) => frames.TryAllocate(out frame);

    /// <inheritdoc/>
    public void Free(Pfn frame) => frames.Free(frame);
}
