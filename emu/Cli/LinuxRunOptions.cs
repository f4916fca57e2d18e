using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>What <c>quadwalk run --personality linux</c> was asked for.</summary>
internal sealed record LinuxRunOptions
{
    /// <summary>The arguments behind the program.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    public required IReadOnlyList<string> Environment { get; init; }

    public required IReadOnlyList<LinuxPath> Allowed { get; init; }

    public required ulong Seed { get; init; }
}
