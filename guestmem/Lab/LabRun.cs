namespace Quadwalk.GuestMemory;

/// <summary>What a line of a run tells.</summary>
public enum LabLineKind
{
    /// <summary>What is going on, in words.</summary>
    Note,

    /// <summary>A step of an operation.</summary>
    Step,

    /// <summary>What came of parties running together.</summary>
    Explored,

    /// <summary>Something that was expected, and came true.</summary>
    Held,

    /// <summary>Something that was expected, and did not.</summary>
    Failed,
}

/// <summary>A line of a run.</summary>
/// <param name="Kind">What it tells.</param>
/// <param name="Actor">Who took the step; empty for what is no step.</param>
/// <param name="Text">The line.</param>
public readonly record struct LabLine(LabLineKind Kind, string Actor, string Text)
{
    /// <summary>What came of it, for <see cref="LabLineKind.Explored"/>; else null.</summary>
    public LabExploration? Exploration { get; init; }
}

/// <summary>A counter before and after a run.</summary>
/// <param name="Name">What is counted.</param>
/// <param name="Before">When the host and its guests had been made.</param>
/// <param name="After">At the end.</param>
public readonly record struct LabCounter(string Name, long Before, long After);

/// <summary>One run of a scenario.</summary>
/// <param name="Scenario">What was run.</param>
/// <param name="Behavior">Whose rules were followed.</param>
/// <param name="Memory">What held the frames' content: never <see cref="HostMemoryKind.Auto"/>.</param>
/// <param name="Lines">What was done.</param>
/// <param name="Counters">What it cost.</param>
/// <param name="Error">Why it ended before its end; null: it did not.</param>
public sealed record LabRun(
    LabScenario Scenario, KernelBehavior Behavior, HostMemoryKind Memory, IReadOnlyList<LabLine> Lines, IReadOnlyList<LabCounter> Counters, string? Error)
{
    /// <summary>How many expectations came true.</summary>
    public int HeldCount => Lines.Count(line => line.Kind == LabLineKind.Held);

    /// <summary>How many expectations did not, complaints of the kernel that nobody expected among them.</summary>
    public int FailedCount => Lines.Count(line => line.Kind == LabLineKind.Failed);

    /// <summary>All that was expected came true, and something was.</summary>
    public bool Held => Error is null && FailedCount == 0 && HeldCount != 0;
}
