using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>
/// A small modelled host with a VMM, two virtual machines and all kinds of memory, in which several operations go on at the same time, a step
/// at a time in an order that a seed gives. Whoever ends an operation begins the next one, without end.
/// </summary>
internal sealed partial class RandomWorld : IDisposable
{
    public const ulong Base = 0x10_0000_0000;

    private const int MostKept = 40;
    private const int MostStepsToRest = 100_000;

    private readonly WorldTask?[] tasks;
    private readonly Actor?[] actors;
    private readonly (string Actor, string Step)[] recent = new (string, string)[MostKept];
    private readonly Invariant[] invariants;
    private readonly string[] names;
    private WorldRandom random;

    public RandomWorld(WorldOptions options)
    {
        Options = options;
        random = new WorldRandom(options.Seed);
        tasks = new WorldTask?[options.Actors];
        actors = new Actor?[options.Actors];
        names = [.. Enumerable.Range(0, options.Actors).Select(i => $"actor{i}")];
        Kernel = new HostKernel(new HostKernelOptions
        {
            Frames = options.Large ? 8192u : 512u,
            Behavior = options.Behavior,
            Faults = options.Faults,
            Memory = options.Mirrored ? HostMemoryKind.Memfd : options.Memory,
            Mirrored = options.Mirrored,
            Processors = 3,
        });
        BaselineFrames = Kernel.Allocator.FreeFrames;
        Vmm = new AddressSpace(Kernel);
        Opening opening = new();
        Vmm.Register(opening);
        MakeRegions();
        Machines.Add(new WorldMachine(Vmm, Regions, shift: 0, readOnly: 1, ring: 0));
        Machines.Add(new WorldMachine(Vmm, Regions.Where(region => region.Index is 0 or 2), shift: 3, readOnly: -1, ring: 16));
        foreach (WorldMachine machine in Machines)
        {
            for (int i = 0; i < 3; i++)
            {
                machine.Caches.Add(new GfnToPfnCache(machine.Vm));
            }
        }

        MakePaths();
        Vmm.Register(new Closing(opening));
        ActiveRanges = opening.Ranges;
        invariants = options.Checked ? [.. Invariant.All().Where(invariant => (options.Invariants >> invariant.Number & 1) != 0)] : [];
    }

    public WorldOptions Options { get; }

    public HostKernel Kernel { get; }

    public AddressSpace Vmm { get; }

    public List<WorldRegion> Regions { get; } = [];

    public List<WorldMachine> Machines { get; } = [];

    public List<MemoryFile> Files { get; } = [];

    /// <summary>The frames that drivers have.</summary>
    public List<Pfn> DriverFrames { get; } = [];

    /// <summary>The forked processes that have not begun to exit.</summary>
    public List<AddressSpace> Children { get; } = [];

    /// <summary>References and pins that somebody holds.</summary>
    public List<WorldHold> Held { get; } = [];

    /// <summary>Uses of the direct map that go on.</summary>
    public List<Pfn> DirectUses { get; } = [];

    /// <summary>Ranges of the VMM's addresses between the end of invalidate_start and the beginning of invalidate_end.</summary>
    public IReadOnlyList<NotifierRange> ActiveRanges { get; }

    /// <summary>Free frames before there was anything.</summary>
    public ulong BaselineFrames { get; }

    /// <summary>Steps taken.</summary>
    public long Steps { get; private set; }

    /// <summary>Operations begun.</summary>
    public long Operations { get; private set; }

    /// <summary>The first invariant that did not hold, and how it showed.</summary>
    public (int Invariant, string Text)? Failure { get; private set; }

    /// <summary>The task that took the last step.</summary>
    public WorldTask? LastTask { get; private set; }

    /// <summary>The steps taken last, as a table.</summary>
    public Interleaving Recent
    {
        get
        {
            int count = (int)Math.Min(Steps, MostKept);
            return new Interleaving([], [.. Enumerable.Range(0, count).Select(i => recent[(int)((Steps - count + i) % MostKept)])]);
        }
    }

    public ref WorldRandom Random => ref random;

    /// <summary>Takes steps until something fails; false if so.</summary>
    /// <param name="count">How many.</param>
    public bool Run(long count)
    {
        long end = Steps + count;
        while (Failure is null && Steps < end)
        {
            Advance();
            if (Steps % Options.Mix.RestEvery == 0)
            {
                Rest();
            }
        }

        return Failure is null;
    }

    /// <summary>Lets one operation take a step, or begin.</summary>
    public void Advance()
    {
        int start = random.Below(actors.Length);
        for (int i = 0; i < actors.Length; i++)
        {
            int at = (start + i) % actors.Length;
            if (actors[at] is null)
            {
                Begin(at);
                return;
            }

            if (actors[at]!.IsEnabled)
            {
                Go(at);
                return;
            }
        }

        Report(0, $"nobody can go on: {string.Join(", ", actors.Select(actor => $"{actor!.Operation.Name} before '{actor.Next.Name}'"))}");
    }

    /// <summary>Brings every operation to its end, begins none, and draws sums.</summary>
    public void Rest()
    {
        for (int taken = 0; Failure is null && Array.Exists(actors, actor => actor is not null); taken++)
        {
            if (taken == MostStepsToRest)
            {
                Report(0, $"no end after {taken} steps in which nobody begins anything");
                return;
            }

            int start = random.Below(actors.Length);
            int at = Enumerable.Range(start, actors.Length).Select(i => i % actors.Length).FirstOrDefault(i => actors[i] is { IsEnabled: true }, -1);
            if (at < 0)
            {
                Report(0, "nobody can go on, and nobody begins anything");
                return;
            }

            Go(at);
        }

        foreach (Invariant invariant in invariants)
        {
            if (Failure is null && invariant.AtRest(this) is string problem)
            {
                Report(invariant.Number, problem);
            }
        }
    }

    /// <summary>Does one operation alone, in a world in which nothing is going on.</summary>
    /// <param name="op">Its kind.</param>
    /// <param name="failAfter">How many allocations succeed.</param>
    /// <returns>The operation; null where there was nothing to do.</returns>
    public WorldTask? Solo(WorldOp op, int failAfter)
    {
        Kernel.Allocator.FailAfter = failAfter;
        WorldTask? task = Next(op);
        if (task is not null)
        {
            Prepare(task);
            task.Operation.Run();
            task.Stepped?.Invoke(task);
            task.Ended?.Invoke(task);
            LastTask = task;
            LookAround();
        }

        Kernel.Allocator.FailAfter = null;
        return task;
    }

    /// <summary>Says that an invariant does not hold; the first is kept. What is not looked at is not kept.</summary>
    public void Report(int invariant, string text)
    {
        if (Failure is null && (invariant == 0 || (Options.Invariants >> invariant & 1) != 0))
        {
            Failure = (invariant, text);
        }
    }

    /// <summary>Whether an operation is going on that changes a process's tables.</summary>
    public bool IsInUse(AddressSpace process) => Array.Exists(tasks, task => task?.Process == process);

    public IEnumerable<WorldTask> GoingOn => tasks.OfType<WorldTask>();

    public void Dispose() => Kernel.Dispose();

    private void Begin(int at)
    {
        Operations++;
        WorldOp op = Options.Mix.Draw(ref random);
        try
        {
            if (Next(op) is not WorldTask task)
            {
                Took(at, op.ToString(), null);
                return;
            }

            Prepare(task);
            tasks[at] = task;
            actors[at] = new Actor(names[at], task.Operation);
            Took(at, $"begin {task.Operation.Name}", task);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Report(0, $"{op}: {e.GetType().Name}: {e.Message} {e.StackTrace}");
        }
    }

    private void Prepare(WorldTask task)
    {
        task.Begun = Serial;
        foreach (ShadowPage page in task.Drops ?? [])
        {
            page.BeginDrop();
        }
    }

    private void Go(int at)
    {
        Actor actor = actors[at]!;
        WorldTask task = tasks[at]!;
        string step = actor.Next.Name;
        try
        {
            actor.Go();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Report(0, $"{task.Operation.Name} after '{step}': {e.GetType().Name}: {e.Message} {e.StackTrace}");
            return;
        }

        Took(at, step, task);
    }

    private void Took(int at, string step, WorldTask? task)
    {
        recent[Steps % MostKept] = (names[at], step);
        Steps++;
        Kernel.Clock.Tick();
        LastTask = task;
        task?.Stepped?.Invoke(task);
        if (task is not null && actors[at]!.IsDone)
        {
            (actors[at], tasks[at]) = (null, null);
            task.Ended?.Invoke(task);
        }

        LookAround();
    }

    private void LookAround()
    {
        foreach (Invariant invariant in invariants)
        {
            if (invariant.AfterStep(this) is string problem)
            {
                Report(invariant.Number, problem);
            }
        }
    }

    // Registered before the machines: hears of a start before them, and of an end before them.
    private sealed class Opening : MmuNotifier
    {
        public List<NotifierRange> Ranges { get; } = [];

        public override HostOperation InvalidateStart(NotifierRange range) => new AtOnce(null);

        public override HostOperation InvalidateEnd(NotifierRange range) => new AtOnce(() => Ranges.Remove(range));

        public override bool ClearYoung(Hva start, Hva end) => false;

        public override bool TestYoung(Hva start, Hva end) => false;
    }

    // Registered after the machines: hears of a start when they have done what it asks for.
    private sealed class Closing(Opening opening) : MmuNotifier
    {
        public override HostOperation InvalidateStart(NotifierRange range) => new AtOnce(() => opening.Ranges.Add(range));

        public override HostOperation InvalidateEnd(NotifierRange range) => new AtOnce(null);

        public override bool ClearYoung(Hva start, Hva end) => false;

        public override bool TestYoung(Hva start, Hva end) => false;
    }

    // Done within the piece of whoever calls it: no step of its own.
    private sealed class AtOnce(Action? action) : HostOperation
    {
        public override string Name => "shadow";

        protected override IEnumerable<Step> Steps()
        {
            action?.Invoke();
            yield break;
        }
    }
}
