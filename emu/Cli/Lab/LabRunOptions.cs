using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>What <c>quadwalk lab run</c> was asked for.</summary>
internal sealed record LabRunOptions
{
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>The kernel; null for each that a scenario is for.</summary>
    public KernelBehavior? Kernel { get; init; }

    public HostMemoryKind Memory { get; init; }

    /// <summary>The modelled mappings are made real too, and compared.</summary>
    public bool Mirror { get; init; }

    public LabReplay? Replay { get; init; }

    public ulong? Seed { get; init; }

    /// <summary>A run that held is told by its last line alone.</summary>
    public bool Summary { get; init; }

    /// <summary>Counters that did not change are shown too.</summary>
    public bool AllCounters { get; init; }

    public StatsFormat Format { get; init; }

    public string? Output { get; init; }
}
