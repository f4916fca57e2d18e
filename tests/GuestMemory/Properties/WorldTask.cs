using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>An operation that goes on in a random world, and what has to be known of it when it ends.</summary>
internal sealed class WorldTask
{
    public required WorldOp Kind { get; init; }

    public required HostOperation Operation { get; init; }

    /// <summary>What to do with its outcome.</summary>
    public Action<WorldTask>? Ended { get; init; }

    /// <summary>What to look at after each of its steps.</summary>
    public Action<WorldTask>? Stepped { get; init; }

    /// <summary>Whether it has failed, of those whose failure changes no counter.</summary>
    public Func<bool>? Failed { get; init; }

    /// <summary>The process whose page tables it changes; it does not exit meanwhile.</summary>
    public AddressSpace? Process { get; init; }

    /// <summary>The machine whose second stage it fills, with <see cref="Gfn"/>.</summary>
    public WorldMachine? Machine { get; init; }

    public Gfn Gfn { get; set; }

    /// <summary>The cache that it fills.</summary>
    public GfnToPfnCache? Cache { get; init; }

    /// <summary>Pages that it drops, if it succeeds.</summary>
    public List<ShadowPage>? Drops { get; init; }

    /// <summary>The number of the last write when it began.</summary>
    public ulong Begun { get; set; }

    /// <summary>What the pages held that it copies.</summary>
    public ulong[]? Before { get; init; }
}
