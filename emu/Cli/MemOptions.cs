using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>What <c>quadwalk mem</c> was asked for; addresses are still text, since they may name symbols of the image.</summary>
internal sealed record MemOptions
{
    /// <summary>How many lines are listed unless said otherwise.</summary>
    public const ulong DefaultLimit = 1000;

    public required ImageOptions Image { get; init; }

    public required ReportOptions Report { get; init; }

    /// <summary>The addresses to look at; null for all.</summary>
    public string? At { get; init; }

    /// <summary>Pages rather than ranges.</summary>
    public bool Pages { get; init; }

    /// <summary>A guest-physical address; list where its frame is mapped.</summary>
    public Gpa? Frame { get; init; }

    /// <summary>The most ranges, pages or mappings to list.</summary>
    public ulong Limit { get; init; } = DefaultLimit;
}
