using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>An entry of a two-dimensional walk.</summary>
/// <param name="Step">The entry.</param>
/// <param name="Host">Where it lies in host-physical memory; null for a PDPTE register.</param>
internal readonly record struct StageStep(NestedWalkStep Step, Hpa? Host);

/// <summary>A walk of both stages for one access, which changed nothing in the guest, and what it led to.</summary>
internal sealed record StageFindings
{
    public required PagingState State { get; init; }

    public required Gva Address { get; init; }

    public required WalkAccess Access { get; init; }

    public required EptPointer Eptp { get; init; }

    public required IReadOnlyList<StageStep> Steps { get; init; }

    public required NestedWalkResult Result { get; init; }

    /// <summary>What answers at the address that the second stage ended with; null after a fault of the guest.</summary>
    public FramePlace? Place { get; init; }

    /// <summary>The memory type and what decided it; null where there is no translation.</summary>
    public string? MemoryType { get; init; }

    /// <summary>Walks as the machine's first processor would.</summary>
    public static StageFindings Of(Machine machine, Gva address, WalkAccess access)
    {
        NestedWalkTrace trace = new();
        PagingState state = machine.Cpu.Paging;
        NestedWalkResult result = machine.SecondStage.Walk(state, address, access, trace);
        return new StageFindings
        {
            State = state,
            Address = address,
            Access = access,
            Eptp = machine.SecondStage.Eptp,
            Steps = Located(trace.Steps),
            Result = result,
            Place = result.GuestFaults ? null : FramePlace.Of(result.Gpa, machine.Slots, machine.Mmio),
            MemoryType = result.Succeeded ? TypeOf(machine.Cpu.MemoryTypes, result) : null,
        };
    }

    /// <summary>Why the hypervisor has to act, where the walk ended with an exit: <c>no memslot</c>.</summary>
    public string Cause => Place?.Slot is { } slot ? $"memslot {slot.Id} is read-only" : "no memslot";

    private static List<StageStep> Located(IReadOnlyList<NestedWalkStep> steps)
    {
        List<StageStep> located = [];
        foreach (NestedWalkStep step in steps)
        {
            Hpa? host = !step.IsGuest ? new Hpa(step.Address)
                : located.Count == 0 || located[^1].Step.IsGuest ? null
                : HostOf(new Gpa(step.Address), located[^1].Step);
            located.Add(new StageStep(step, host));
        }

        return located;
    }

    /// <summary>An address by the entry that maps its page.</summary>
    private static Hpa HostOf(Gpa gpa, NestedWalkStep leaf)
    {
        ulong offset = (1UL << (PageSize.Shift4K + (9 * (leaf.Level - 1)))) - 1;
        return new Hpa((leaf.Before & EptEntry.AddressMask & ~offset) | (gpa.Value & offset));
    }

    private static string TypeOf(MemoryTyping types, in NestedWalkResult result)
    {
        MemoryTypeDecision decision = EptMemoryType.OfAccess(result.SecondStage.Entry, types.SelectionOf(result.Guest), types.CacheDisabled);
        return $"{MemoryTypeEncoding.Name(decision.Type)}: {MemoryTypeReport.Describe(decision, result.Gpa)}";
    }
}
