namespace Quadwalk.GuestMemory;

/// <summary>A small world with parties that act in it at the same time, made anew for each interleaving, and disposed after it.</summary>
public sealed class Scenario : IDisposable
{
    private readonly List<Actor> actors = [];

    /// <summary>The parties, in the order in which they were added.</summary>
    public IReadOnlyList<Actor> Actors => actors;

    /// <summary>Looked at after each step; it returns what is wrong, or null.</summary>
    public Func<string?> Always { get; init; } = () => null;

    /// <summary>Looked at when everybody is done; it returns what is wrong, or null.</summary>
    public Func<string?> AtEnd { get; init; } = () => null;

    /// <summary>Looked at after <see cref="AtEnd"/>, for whoever runs scenarios of others; it returns what is wrong, or null.</summary>
    internal Func<string?> Afterwards { get; set; } = () => null;

    /// <summary>What the scenario is made of and ends with it.</summary>
    public IDisposable? World { get; init; }

    /// <summary>Disposes the world.</summary>
    public void Dispose() => World?.Dispose();

    /// <summary>Adds a party, which runs up to its first step at once.</summary>
    /// <param name="name">Who it is.</param>
    /// <param name="operation">What it does.</param>
    public Scenario With(string name, HostOperation operation)
    {
        actors.Add(new Actor(name, operation));
        return this;
    }
}
