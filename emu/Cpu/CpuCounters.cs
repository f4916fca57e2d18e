namespace Quadwalk.Emulation;

/// <summary>Exact counts of what a processor did.</summary>
public sealed class CpuCounters
{
    /// <summary>Instructions retired.</summary>
    public ulong Instructions { get; internal set; }

    /// <summary>Those of them that Unicorn executed.</summary>
    public ulong UnicornInstructions { get; internal set; }

    /// <summary>Ticks of the processor's clock that it spent halted, or waiting for a device that asked for a retry.</summary>
    public ulong HaltedTicks { get; internal set; }

    /// <summary>Data accesses of instructions, each looked up in the TLB.</summary>
    public ulong DataAccesses { get; internal set; }

    /// <summary>Accesses and fetches that found no translation in the TLB and took a walk.</summary>
    public ulong TlbMisses { get; internal set; }

    /// <summary>Page walks, by the processor and by the hypervisor.</summary>
    public ulong Walks { get; internal set; }

    /// <summary>Data accesses that found their translation in the TLB.</summary>
    public ulong TlbHits => DataAccesses > DataMisses ? DataAccesses - DataMisses : 0;

    /// <summary>Exits for a guest-physical address in no memslot.</summary>
    public ulong MmioExits { get; internal set; }

    /// <summary>Instructions that the hypervisor could not emulate, each time it tried: see <see cref="EmulationFailure"/>.</summary>
    public ulong EmulationFailures { get; internal set; }

    /// <summary>Exceptions delivered to the guest.</summary>
    public ulong Exceptions { get; internal set; }

    /// <summary>Blocks decoded.</summary>
    public ulong BlocksDecoded { get; internal set; }

    internal ulong DataMisses { get; set; }
}
