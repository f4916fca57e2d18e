using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>A walk for one access, which changed nothing, and what it led to.</summary>
internal sealed record PageFindings
{
    public required PagingState State { get; init; }

    public required Gva Address { get; init; }

    public required WalkAccess Access { get; init; }

    public required WalkTrace Trace { get; init; }

    public required WalkResult Result { get; init; }

    /// <summary>What answers at the byte; null where the walk failed.</summary>
    public FramePlace? Place { get; init; }

    /// <summary>The page's memory type and what decided it; null where the walk failed or nobody asked.</summary>
    public string? MemoryType { get; init; }

    public static PageFindings Of(
        IGuestMemoryAccess memory, Memslots slots, MmioBus devices, in PagingState state, Gva address, WalkAccess access, MemoryTyping? types = null)
    {
        UnchangedTables tables = new(memory);
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref tables, state, address, access, ref trace);
        return new PageFindings
        {
            State = state,
            Address = address,
            Access = access,
            Trace = trace,
            Result = result,
            MemoryType = result.Succeeded && types is not null ? MemoryTypeReport.Of(types, result).ToString() : null,
            Place = result.Succeeded ? FramePlace.Of(result.Gpa, slots, devices) : null,
        };
    }
}
