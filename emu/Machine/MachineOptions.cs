using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Everything a machine is made from.</summary>
public sealed record MachineOptions
{
    /// <summary>The default of <see cref="RamBytes"/>: 128 MiB.</summary>
    public const ulong DefaultRamBytes = 128UL << 20;

    /// <summary>The greatest <see cref="Processors"/>.</summary>
    public const int MostProcessors = 64;

    /// <summary>Guest RAM in bytes, a multiple of 4096. What exceeds 3 GiB lies from 4 GiB on.</summary>
    public ulong RamBytes { get; init; } = DefaultRamBytes;

    /// <summary>Which devices there are.</summary>
    public MachineKind Kind { get; init; }

    /// <summary>How many processors there are: 1 to <see cref="MostProcessors"/>, and 1 in a <see cref="MachineKind.Bare"/> machine.</summary>
    public int Processors { get; init; } = 1;

    /// <summary>What guest memory is made of.</summary>
    public HostMemoryKind HostMemory { get; init; } = HostMemoryKind.Auto;

    /// <summary>The path on which the hypervisor reaches guest memory; see <see cref="MemoryPaths"/>.</summary>
    public string MemoryPath { get; init; } = MemoryPaths.Userspace;

    /// <summary>
    /// Makes the path on which the hypervisor reaches guest memory, in place of one of <see cref="MemoryPaths"/>. The machine's own
    /// <see cref="Machine.ReadMemory"/> and <see cref="Machine.WriteMemory"/> do not take it.
    /// </summary>
    public Func<Memslots, IGuestMemoryAccess>? MemoryAccess { get; init; }

    /// <summary>
    /// Whether the processor supplies the bytes of an instruction that exits, as SVM's decode assists do: the hypervisor fetches only what these
    /// lack.
    /// </summary>
    public bool DecodeAssist { get; init; }

    /// <summary>The processor model.</summary>
    public CpuFeatures Features { get; init; } = new();

    /// <summary>How faithful the TLB is; what is not <see cref="TlbMode.Fast"/> costs speed.</summary>
    public TlbMode Tlb { get; init; }

    /// <summary>What executes instructions. <see cref="EngineKind.Unicorn"/> needs libunicorn, and <see cref="TlbMode.Fast"/>.</summary>
    public EngineKind Engine { get; init; }

    /// <summary>The file of libunicorn, for <see cref="EngineKind.Unicorn"/>; null for the system's.</summary>
    public string? UnicornPath { get; init; }

    /// <summary>The errata of the engine that may show, from <see cref="UnicornErrata"/>; the interpreter executes what the others concern.</summary>
    public IReadOnlyCollection<EngineErratum> Tolerated { get; init; } = [];

    /// <summary>What RDRAND and RDSEED draw from: the same seed gives the same numbers.</summary>
    public ulong Seed { get; init; }

    /// <summary>Where console output goes, byte by byte as the guest sends it; null discards it.</summary>
    public Stream? Console { get; init; }

    /// <summary>Whether console output is passed on at each line end rather than when a run stops or the buffer is full.</summary>
    public bool FlushLines { get; init; }

    /// <summary>The ticks of a processor's turn where there are several processors; any gives a run that can be repeated.</summary>
    internal ulong TurnTicks { get; init; } = 500;
}
