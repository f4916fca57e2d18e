using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Host-physical memory with frames to build second-stage tables in.</summary>
public interface ISecondStageFrames : IHostTableMemory
{
    /// <summary>Gives a frame of zeros; false when there is none left.</summary>
    bool TryAllocate(out Pfn frame);

    /// <summary>Takes back a frame that <see cref="TryAllocate"/> gave.</summary>
    void Free(Pfn frame);
}
