namespace Quadwalk.GuestMemory;

/// <summary>The modelled host: frames, their allocator, the direct map, and the rules of one kernel version.</summary>
/// <remarks>
/// Nothing here is thread-safe: parties take turns, step by step. See <see cref="StepScheduler"/>.
/// </remarks>
public sealed class HostKernel : IDisposable
{
    private readonly List<AddressSpace> processes = [];
    private readonly Dictionary<int, MemoryFile> files = [];
    private bool[] withoutDirectMap = [];
    private int mappings;

    /// <summary>Makes a host.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="HostMemoryException">There is not that much memory.</exception>
    /// <exception cref="NotSupportedException">It is to be mirrored and its memory is no memfd.</exception>
    public HostKernel(HostKernelOptions? options = null)
    {
        Options = options ?? new HostKernelOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(Options.Processors, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(Options.ReservedFrames, Options.Frames, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(Options.Frames, uint.MaxValue, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Options.MovableFrames, Options.Frames - Options.ReservedFrames, nameof(options));
        Frames = new PageFrames(Options.Frames, Options.Memory);
        if (Options.Mirrored && Frames.Memory.Kind != HostMemoryKind.Memfd)
        {
            Frames.Dispose();
            throw new NotSupportedException("only memory of the memfd kind can be mapped a second time");
        }

        for (ulong pfn = 0; pfn < Options.ReservedFrames; pfn++)
        {
            Frames[new Pfn(pfn)] = new PageFrame { Flags = FrameFlags.Reserved, RefCount = 1 };
        }

        DirectMap = new DirectMap(this);
        Allocator = new PageAllocator(Frames, DirectMap, Log, Options.ReservedFrames, Options.MovableFrames);
        Folios = new Folios(this);
        Swap = new SwapArea(this, Options.SwapPages);
        Mirror = Options.Mirrored ? new RealMirror(this) : null;
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

    /// <summary>Where pages go when memory is short.</summary>
    public SwapArea Swap { get; }

    /// <summary>GUP-fast asks the range too, and reports a page that the slow way would have refused: for finding out, not for use.</summary>
    public bool AuditsGup { get; set; }

    /// <summary>The mappings made real; null unless <see cref="HostKernelOptions.Mirrored"/> asked for it.</summary>
    public RealMirror? Mirror { get; }

    /// <summary>What went wrong.</summary>
    public KernelLog Log { get; } = new();

    /// <summary>The time.</summary>
    public HostClock Clock { get; } = new();

    /// <summary>Where steps get the bits from that say what they touch.</summary>
    public StepScope Scope { get; } = new();

    /// <summary>The processes, in the order in which they were made.</summary>
    public IReadOnlyList<AddressSpace> Processes => processes;

    /// <summary>
    /// The bits of everything that belongs to pages: the tables of all processes, the caches of all files and swap. References and the state of
    /// folios go with the tables and caches that they are in.
    /// </summary>
    internal ulong PageBits
    {
        get
        {
            ulong bits = Swap.Bit;
            foreach (AddressSpace process in processes)
            {
                bits |= process.TableBit;
            }

            foreach (MemoryFile file in files.Values)
            {
                bits |= file.CacheBit;
            }

            return bits;
        }
    }

    /// <summary>The frame that reclaim looks at next.</summary>
    internal ulong ReclaimHand { get; set; }

    /// <summary>Whether a mistake is to be made.</summary>
    public bool Injects(InjectedFaults fault) => (Options.Faults & fault) != 0;

    /// <inheritdoc/>
    public void Dispose()
    {
        Mirror?.Dispose();
        Frames.Dispose();
    }

    /// <summary>Whether a mapping keeps its pages out of the direct map (AS_NO_DIRECT_MAP, secretmem_mapping).</summary>
    internal bool IsWithoutDirectMap(int mapping) => mapping < withoutDirectMap.Length && withoutDirectMap[mapping];

    /// <summary>Says that a mapping keeps its pages out of the direct map.</summary>
    internal void MarkWithoutDirectMap(int mapping)
    {
        Array.Resize(ref withoutDirectMap, Math.Max(withoutDirectMap.Length, mapping + 1));
        withoutDirectMap[mapping] = true;
    }

    /// <summary>The file of a number, or null.</summary>
    internal MemoryFile? FileOf(int mapping) => files.GetValueOrDefault(mapping);

    internal void Add(MemoryFile file) => files.Add(file.Id, file);

    internal void Add(AddressSpace process) => processes.Add(process);

    internal void Remove(AddressSpace process) => processes.Remove(process);

    /// <summary>Whether a process has not exited: it still has page tables.</summary>
    internal bool IsAlive(AddressSpace process) => processes.Contains(process);

    /// <summary>A number for a file or process that owns pages; not 0.</summary>
    internal int NextMapping() => ++mappings;
}
