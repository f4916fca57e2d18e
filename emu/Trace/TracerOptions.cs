namespace Quadwalk.Emulation;

/// <summary>What a <see cref="Tracer"/> prints.</summary>
public sealed record TracerOptions
{
    /// <summary>The addresses of interest; none means all.</summary>
    public IReadOnlyList<TraceRange> Ranges { get; init; } = [];

    /// <summary>How many instructions, of those in <see cref="Ranges"/>, go by before the first one is printed.</summary>
    public ulong Skip { get; init; }

    /// <summary>How many instructions are printed, at least 1; the run stops after the last.</summary>
    public ulong Count { get; init; } = ulong.MaxValue;

    /// <summary>Whether the bytes of each instruction are printed.</summary>
    public bool Bytes { get; init; }

    /// <summary>Whether page walks are printed, level by level.</summary>
    public bool Walks { get; init; }

    /// <summary>Whether device accesses, by address and by port, are printed.</summary>
    public bool Devices { get; init; }

    /// <summary>Whether exceptions are printed with their causes and their delivery; else a fault is only named.</summary>
    public bool Exceptions { get; init; }

    /// <summary>The names of addresses.</summary>
    public SymbolTable Symbols { get; init; } = SymbolTable.Empty;
}
