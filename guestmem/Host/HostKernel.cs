namespace Quadwalk.GuestMemory;

/// <summary>The modelled host: frames, their allocator, the direct map, and the rules of one kernel version.</summary>
/// <remarks>
/// Nothing here is thread-safe: parties take turns, step by step. See <see cref="StepScheduler"/>.
/// </remarks>
public sealed class HostKernel : IDisposable
{
    private readonly HashSet<int> withoutDirectMap = [];
    private readonly List<AddressSpace> processes = [];
    private readonly Dictionary<int, MemoryFile> files = [];
    private int mappings;

    /// <summary>Makes a host.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="HostMemoryException">There is not that much memory.</exception>
    public HostKernel(HostKernelOptions? options = null)
    {
        Options = options ?? new HostKernelOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(Options.Processors, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(Options.ReservedFrames, Options.Frames, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(Options.Frames, uint.MaxValue, nameof(options));
        Frames = new PageFrames(Options.Frames, Options.Memory);
        for (ulong pfn = 0; pfn < Options.ReservedFrames; pfn++)
        {
            Frames[new Pfn(pfn)] = new PageFrame { Flags = FrameFlags.Reserved, RefCount = 1 };
        }

        DirectMap = new DirectMap(Frames, Clock, Log, Options.Processors);
        Allocator = new PageAllocator(Frames, DirectMap, Log, Options.ReservedFrames);
        Folios = new Folios(this);
    }

    /// <summary>What it was made from.</summary>
    public HostKernelOptions Options { get; }

    /// <summary>Whose rules are followed.</summary>
    public KernelBehavior Behavior => Options.Behavior;

    /// <summary>The frames.</summary>
    public PageFrames Frames { get; }

    /// <summary>Who hands them out.</summary>
    public PageAllocator Allocator { get; }

    /// <summary>The mapping of all frames.</summary>
    public DirectMap DirectMap { get; }

    /// <summary>References, pins and marks.</summary>
    public Folios Folios { get; }

    /// <summary>What went wrong.</summary>
    public KernelLog Log { get; } = new();

    /// <summary>The time.</summary>
    public HostClock Clock { get; } = new();

    /// <summary>Where steps get the bits from that say what they touch.</summary>
    public StepScope Scope { get; } = new();

    /// <summary>The processes, in the order in which they were made.</summary>
    public IReadOnlyList<AddressSpace> Processes => processes;

    /// <summary>Whether a mistake is to be made.</summary>
    public bool Injects(InjectedFaults fault) => (Options.Faults & fault) != 0;

    /// <inheritdoc/>
    public void Dispose() => Frames.Dispose();

    /// <summary>Whether a mapping keeps its pages out of the direct map (AS_NO_DIRECT_MAP, secretmem_mapping).</summary>
    internal bool IsWithoutDirectMap(int mapping) => withoutDirectMap.Contains(mapping);

    /// <summary>Says that a mapping keeps its pages out of the direct map.</summary>
    internal void MarkWithoutDirectMap(int mapping) => withoutDirectMap.Add(mapping);

    /// <summary>The file of a number, or null.</summary>
    internal MemoryFile? FileOf(int mapping) => files.GetValueOrDefault(mapping);

    internal void Add(MemoryFile file) => files.Add(file.Id, file);

    internal void Add(AddressSpace process) => processes.Add(process);

    internal void Remove(AddressSpace process) => processes.Remove(process);

    /// <summary>A number for a file or process that owns pages; not 0.</summary>
    internal int NextMapping() => ++mappings;
}
