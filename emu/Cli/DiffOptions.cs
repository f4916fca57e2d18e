using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>What <c>quadwalk diff</c> was asked for.</summary>
internal sealed record DiffOptions
{
    public required ImageOptions Image { get; init; }

    /// <summary>The engine that is compared with the interpreter.</summary>
    public required EngineChoice Second { get; init; }

    public ComparisonStep Step { get; init; }

    /// <summary>The most instructions to compare.</summary>
    public ulong Limit { get; init; }

    /// <summary>The instructions that are not compared.</summary>
    public ulong Skip { get; init; }

    /// <summary>The command without what says where to begin and how far to go.</summary>
    public required string Command { get; init; }
}
