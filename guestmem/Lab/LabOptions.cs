namespace Quadwalk.GuestMemory;

/// <summary>How a scenario is run.</summary>
public sealed record LabOptions
{
    /// <summary>Whose rules are followed.</summary>
    public KernelBehavior Behavior { get; init; } = KernelBehavior.V6_13;

    /// <summary>What holds the frames' content.</summary>
    public HostMemoryKind Memory { get; init; } = HostMemoryKind.Auto;

    /// <summary>The model's mappings are made real too, and after each step the processor is asked whether they are as the model says. Memfd only.</summary>
    public bool Mirrored { get; init; }

    /// <summary>The one order that its exploration takes in place of all; null: all.</summary>
    public LabReplay? Replay { get; init; }

    /// <summary>Each exploration takes one order drawn from this in place of all; null: all.</summary>
    public ulong? Seed { get; init; }

    /// <summary>Ends the run between two steps, or between two orders of an exploration.</summary>
    public CancellationToken Cancellation { get; init; }
}
