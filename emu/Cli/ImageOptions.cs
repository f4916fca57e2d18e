using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>Which image a command is about, and the machine it is loaded into.</summary>
internal sealed record ImageOptions
{
    public required string Path { get; init; }

    public ulong RamBytes { get; init; } = MachineOptions.DefaultRamBytes;

    public string MemoryPath { get; init; } = MemoryPaths.Userspace;

    public HostMemoryKind HostMemory { get; init; } = HostMemoryKind.Auto;

    /// <summary>The ring to start in, or null for the image's own.</summary>
    public int? Ring { get; init; }

    /// <summary>Where a flat binary goes; null for an ELF image.</summary>
    public Gva? LoadAddress { get; init; }
}
