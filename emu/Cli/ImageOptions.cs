using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>Which image a command is about, and the machine it is loaded into.</summary>
internal sealed record ImageOptions
{
    public required string Path { get; init; }

    public ulong RamBytes { get; init; } = MachineOptions.DefaultRamBytes;

    public string MemoryPath { get; init; } = MemoryPaths.Userspace;

    public HostMemoryKind HostMemory { get; init; } = HostMemoryKind.Auto;

    /// <summary>The processor model.</summary>
    public CpuFeatures Cpu { get; init; } = new();

    /// <summary>Which devices the machine has.</summary>
    public MachineKind Kind { get; init; }

    /// <summary>How many processors it has.</summary>
    public int Processors { get; init; } = 1;

    /// <summary>What a multiboot image is told behind its name.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>The modules of a multiboot image, as <see cref="MultibootModule.ParseList"/> reads them; null for none.</summary>
    public string? Modules { get; init; }

    /// <summary>How faithful the TLB is.</summary>
    public TlbMode Tlb { get; init; }

    /// <summary>What executes instructions.</summary>
    public EngineChoice Engine { get; init; } = new();

    /// <summary>The ring to start in, or null for the image's own.</summary>
    public int? Ring { get; init; }

    /// <summary>Where a flat binary goes; null for an ELF image.</summary>
    public Gva? LoadAddress { get; init; }
}
