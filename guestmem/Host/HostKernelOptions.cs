namespace Quadwalk.GuestMemory;

/// <summary>What a modelled host is made from.</summary>
public sealed record HostKernelOptions
{
    /// <summary>How many frames there are.</summary>
    public ulong Frames { get; init; } = 16384;

    /// <summary>Frames from 0 on that firmware and kernel keep: reserved, and never handed out.</summary>
    public ulong ReservedFrames { get; init; } = 16;

    /// <summary>
    /// Frames at the end that are movable memory (ZONE_MOVABLE): for pages that can be migrated, and not for pins that are there to stay.
    /// </summary>
    public ulong MovableFrames { get; init; }

    /// <summary>How many pages there are to swap to.</summary>
    public ulong SwapPages { get; init; } = 16384;

    /// <summary>What holds the frames' content.</summary>
    public HostMemoryKind Memory { get; init; } = HostMemoryKind.Auto;

    /// <summary>
    /// Makes the direct map and the processes' mappings real beside the modelled ones, for <see cref="RealMirror.Compare"/>. The memory must be
    /// a memfd.
    /// </summary>
    public bool Mirrored { get; init; }

    /// <summary>Whose rules are followed.</summary>
    public KernelBehavior Behavior { get; init; } = KernelBehavior.V6_13;

    /// <summary>How many processors the host has.</summary>
    public int Processors { get; init; } = 2;

    /// <summary>What is done wrong, for trying out whether it is noticed.</summary>
    public InjectedFaults Faults { get; init; }
}
