namespace Quadwalk.Cli;

/// <summary>How the numbers of a run are shown.</summary>
internal enum StatsFormat
{
    None,
    Text,
    Json,
}

/// <summary>What <c>quadwalk run</c> was asked for.</summary>
internal sealed record RunOptions
{
    public required ImageOptions Image { get; init; }

    /// <summary>The most instructions, or null for as many as the guest takes.</summary>
    public ulong? Limit { get; init; }

    public StatsFormat Stats { get; init; }

    /// <summary>The Linux program, or null where the image brings its own kernel.</summary>
    public LinuxRunOptions? Linux { get; init; }
}
