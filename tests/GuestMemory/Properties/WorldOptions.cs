using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>What a random world is made from; with a number of steps, all that is needed to see a failure again.</summary>
internal sealed record WorldOptions
{
    public ulong Seed { get; init; } = 1;

    /// <summary>How many operations go on at the same time.</summary>
    public int Actors { get; init; } = 4;

    public InjectedFaults Faults { get; init; }

    public KernelBehavior Behavior { get; init; } = KernelBehavior.Proposed;

    /// <summary>How often each kind of operation is drawn.</summary>
    public WorldMix Mix { get; init; } = WorldMix.Even;

    /// <summary>With ranges and files of 2 MiB pages.</summary>
    public bool Large { get; init; }

    /// <summary>Look at invariants; without, the world is the model alone.</summary>
    public bool Checked { get; init; } = true;

    /// <summary>The invariants that are looked at, by their bits; all by default.</summary>
    public uint Invariants { get; init; } = uint.MaxValue;

    public HostMemoryKind Memory { get; init; } = HostMemoryKind.Anonymous;

    /// <summary>With mappings made real, for whoever compares; the memory is a memfd then.</summary>
    public bool Mirrored { get; init; }
}
