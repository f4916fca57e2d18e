namespace Quadwalk.Cli;

/// <summary>What the command has round it: its streams, and the wish to end it.</summary>
internal sealed record CliHost
{
    /// <summary>What the guest may read, or null where there is nothing.</summary>
    public Stream? Input { get; init; }

    public required Stream Output { get; init; }

    public required TextWriter Error { get; init; }

    public bool OutputIsTerminal { get; init; }

    public bool ErrorIsTerminal { get; init; }

    /// <summary>Cancelled when a person or the system asks the command to end.</summary>
    public CancellationToken Interrupt { get; init; }

    /// <summary>How long a run goes on before it shows its progress.</summary>
    public TimeSpan ProgressDelay { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Writes <c>quadwalk: message</c>.</summary>
    public void Complain(string message) => Error.WriteLine($"quadwalk: {message}");
}
