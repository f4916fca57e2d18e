namespace Quadwalk.GuestMemory;

/// <summary>An interleaving in which something went wrong; its message holds the steps as a table and what replays them.</summary>
public sealed class InterleavingException : Exception
{
    /// <summary>Says what went wrong and how it came to that.</summary>
    /// <param name="problem">What went wrong.</param>
    /// <param name="interleaving">The steps up to there.</param>
    /// <param name="seed">The seed of a random order.</param>
    /// <param name="inner">What was thrown, if anything.</param>
    public InterleavingException(string problem, Interleaving interleaving, ulong? seed = null, Exception? inner = null)
        : base($"{problem}\n{interleaving}replay: {interleaving?.Key}{(seed is null ? "" : $"\nseed: {seed}")}", inner)
    {
        ArgumentNullException.ThrowIfNull(interleaving);
        Problem = problem;
        Interleaving = interleaving;
        Seed = seed;
    }

    /// <summary>What went wrong, without the table.</summary>
    public string Problem { get; }

    /// <summary>The steps up to there.</summary>
    public Interleaving Interleaving { get; }

    /// <summary>The seed of the random order, or null.</summary>
    public ulong? Seed { get; }
}
