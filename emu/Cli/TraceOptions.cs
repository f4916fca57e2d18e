namespace Quadwalk.Cli;

/// <summary>What <c>quadwalk trace</c> was asked for; addresses are still text, since they may name symbols of the image.</summary>
internal sealed record TraceOptions
{
    public required ImageOptions Image { get; init; }

    public IReadOnlyList<string> Ranges { get; init; } = [];

    public string? From { get; init; }

    public string? To { get; init; }

    public ulong Skip { get; init; }

    public ulong? Count { get; init; }

    public ulong? Limit { get; init; }

    public bool Bytes { get; init; }

    public bool Walks { get; init; }

    public bool Mmio { get; init; }

    public bool Exceptions { get; init; }

    public string? Output { get; init; }
}
