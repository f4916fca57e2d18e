namespace Quadwalk.GuestMemory;

/// <summary>
/// A processor of the modelled host, as far as views of memory go: which page tables it has loaded, those that it will go back to, and what an
/// interrupt finds.
/// </summary>
/// <remarks>
/// The tables of the process that runs on it (or the kernel's own) are its default view. A temporary view is entered over it and left again, as
/// <c>use_temporary_mm</c> and <c>unuse_temporary_mm</c> do; views nest.
/// </remarks>
public sealed class HostProcessor
{
    private readonly HostKernel kernel;
    private readonly Stack<HostPageTable?> found = new();
    private HostPageTable? home;
    private int disabled;

    /// <summary>Describes a processor with the kernel's own tables loaded.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="number">Its number.</param>
    /// <exception cref="ArgumentOutOfRangeException">The host has no such processor.</exception>
    public HostProcessor(HostKernel kernel, int number)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)number, (uint)kernel.Options.Processors, nameof(number));
        this.kernel = kernel;
        Number = number;
        Bit = kernel.Scope.Take();
    }

    /// <summary>Its number.</summary>
    public int Number { get; }

    /// <summary>The bit by which steps say that they read or change its state.</summary>
    public ulong Bit { get; }

    /// <summary>Whether interrupts are taken now.</summary>
    public bool InterruptsEnabled => disabled == 0;

    /// <summary>Temporary views that have been entered and not left.</summary>
    public int Depth => found.Count;

    /// <summary>Whether it has its default view loaded.</summary>
    public bool InDefaultView => Loaded == home;

    /// <summary>Interrupts taken so far.</summary>
    public long Interrupts { get; private set; }

    /// <summary>What CR3 names: null for the kernel's own tables, which show no process and no window.</summary>
    internal HostPageTable? Loaded { get; private set; }

    /// <summary>switch_mm: another process runs on it, or the kernel alone.</summary>
    /// <param name="process">The process; null: none.</param>
    /// <exception cref="InvalidOperationException">It is in a temporary view.</exception>
    public void Run(AddressSpace? process)
    {
        if (found.Count != 0)
        {
            throw new InvalidOperationException($"processor {Number} is in a temporary view: leave it first");
        }

        Loaded = home = process?.Tables;
    }

    /// <summary>An interrupt, step by step: it waits until interrupts are taken, and its piece is entry, handler and return.</summary>
    /// <param name="entry">What the entry code does about views.</param>
    /// <param name="handler">What the handler does.</param>
    public HostOperation Interrupt(InterruptEntry entry, Action<HostProcessor> handler)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return new InterruptOperation(this, entry, handler);
    }

    internal void Enter(HostPageTable view)
    {
        found.Push(Loaded);
        Loaded = view;
    }

    internal void Leave() => Loaded = found.Pop();

    internal void DisableInterrupts() => disabled++;

    internal void EnableInterrupts() => disabled--;

    private void Take(InterruptEntry entry, Action<HostProcessor> handler)
    {
        Interrupts++;
        HostPageTable? interrupted = Loaded;
        Loaded = entry == InterruptEntry.SavesView ? home : Loaded;
        if (!InDefaultView)
        {
            kernel.Log.Report(KernelEventKind.ForeignView, default, $"a handler runs on processor {Number} in the view of what it interrupted");
        }

        DisableInterrupts();
        handler(this);
        EnableInterrupts();
        Loaded = kernel.Injects(InjectedFaults.ForgetViewRestore) ? Loaded : interrupted;
    }

    private sealed class InterruptOperation(HostProcessor processor, InterruptEntry entry, Action<HostProcessor> handler) : HostOperation
    {
        public override string Name => "interrupt";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Wait("interrupt: entry, handler, return", () => processor.InterruptsEnabled, processor.Bit, processor.Bit);
            processor.Take(entry, handler);
        }
    }
}

/// <summary>What a host's interrupt entry does about a temporary view that it finds loaded.</summary>
public enum InterruptEntry
{
    /// <summary>Nothing: the handler runs in it.</summary>
    KeepsView,

    /// <summary>It loads the default view, and on return the one that it found.</summary>
    SavesView,
}
