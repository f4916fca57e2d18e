namespace Quadwalk.Emulation;

/// <summary>A known way in which an engine departs from the processor.</summary>
/// <param name="Name">What <c>--tolerate</c> calls it.</param>
/// <param name="What">What the engine does.</param>
/// <param name="Rule">What the SDM says instead, and where.</param>
/// <param name="Issue">Where the engine's own project speaks of it; null where no report is known.</param>
public sealed record EngineErratum(string Name, string What, string Rule, string? Issue)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Name}: {What}{(Issue is null ? "" : $" ({Issue})")}";
}
