using System.Globalization;

namespace Quadwalk.GuestMemory;

/// <summary>
/// What a scenario works with: a modelled host with a VMM, guests, and the book in which each step and each expectation is written down.
/// </summary>
public sealed class LabBench : IDisposable
{
    /// <summary>Where <see cref="Map"/> puts memory of the VMM's by default.</summary>
    public const ulong Base = 0x10_0000_0000;

    private const VmFlags ReadWrite = VmFlags.Read | VmFlags.Write;
    private readonly LabOptions options;
    private readonly List<LabLine> lines = [];
    private readonly List<Kvm> guests = [];
    private readonly List<KernelEventKind> allowed = [];
    private readonly List<HostKernel> besides = [];
    private HostKernel? kernel;
    private AddressSpace? vmm;
    private int explorations;
    private IReadOnlyList<(string Name, long Value)>? before;

    internal LabBench(LabOptions options) => this.options = options;

    /// <summary>Whose rules are followed.</summary>
    public KernelBehavior Behavior => options.Behavior;

    /// <summary>What was asked to hold the frames' content.</summary>
    public HostMemoryKind Memory => options.Memory;

    /// <summary>The host; made at first use unless <see cref="Boot"/> has made it.</summary>
    public HostKernel Kernel => kernel ?? Boot();

    /// <summary>The VMM's process; made at first use.</summary>
    public AddressSpace Vmm => vmm ??= new AddressSpace(Kernel);

    /// <summary>An address of the VMM's: page <paramref name="index"/> from <see cref="Base"/> on.</summary>
    public static Hva Page(int index) => new(Base + ((ulong)index << PageSize.Shift4K));

    /// <summary>A guest-physical address: that of guest frame <paramref name="index"/>.</summary>
    public static Gpa GuestPage(int index) => new((ulong)index << PageSize.Shift4K);

    /// <summary>Makes the host, for a scenario that wants other options than the usual; to be called first.</summary>
    /// <param name="frames">How many frames.</param>
    /// <param name="faults">What is done wrong.</param>
    /// <param name="processors">How many processors.</param>
    /// <exception cref="InvalidOperationException">There is a host already.</exception>
    public HostKernel Boot(ulong frames = 4096, InjectedFaults faults = InjectedFaults.None, int processors = 2) =>
        kernel = kernel is not null
            ? throw new InvalidOperationException("there is a host already")
            : new(new HostKernelOptions { Frames = frames, Behavior = Behavior, Memory = Memory, Mirrored = options.Mirrored, Faults = faults, Processors = processors });

    /// <summary>A host beside that of the bench, for one order of a scenario that <see cref="Explore"/> runs in all orders; the scenario disposes it.</summary>
    /// <param name="frames">How many frames.</param>
    /// <param name="faults">What is done wrong.</param>
    /// <param name="processors">How many processors.</param>
    public HostKernel MakeKernel(ulong frames = 256, InjectedFaults faults = InjectedFaults.None, int processors = 2)
    {
        HostKernel made = new(new HostKernelOptions { Frames = frames, Behavior = Behavior, Memory = Memory, Mirrored = options.Mirrored, Faults = faults, Processors = processors });
        besides.Add(made);
        return made;
    }

    /// <summary>A guest on a host of its own (<see cref="MakeKernel"/>): its frame 0 shows the VMM's one page, which has been touched.</summary>
    /// <param name="kernel">The host.</param>
    public static Kvm MakeGuestOfOnePage(HostKernel kernel)
    {
        AddressSpace vmm = new(kernel);
        vmm.MapAt(Base, 1, ReadWrite);
        vmm.Fault(Page(0), write: true).Run();
        Kvm guest = new(vmm);
        guest.Slots.Add(new Gpa(0), PageSize.Size4K, Page(0));
        return guest;
    }

    /// <summary>Maps memory into the VMM from <see cref="Base"/> on.</summary>
    /// <param name="pages">How many pages.</param>
    /// <param name="backing">What its pages come from; null: anonymous memory.</param>
    /// <param name="flags">What the range allows and is.</param>
    /// <param name="at">The first page's index.</param>
    public VirtualMemoryArea Map(ulong pages, VmBacking? backing = null, VmFlags flags = ReadWrite, int at = 0) =>
        Vmm.MapAt(Page(at).Value, pages, flags, backing);

    /// <summary>Makes a guest whose frames from 0 on show the VMM's memory from <see cref="Base"/> on.</summary>
    /// <param name="pages">How many pages its one memslot has; 0: it has none yet.</param>
    /// <param name="flags">What the memslot allows.</param>
    public Kvm AddGuest(ulong pages, MemslotFlags flags = MemslotFlags.None)
    {
        Kvm guest = new(Vmm);
        if (pages != 0)
        {
            guest.Slots.Add(new Gpa(0), pages << PageSize.Shift4K, new Hva(Base), flags);
        }

        guests.Add(guest);
        return guest;
    }

    /// <summary>Touches a page of the VMM's as its own code would, writing, so that it is there.</summary>
    /// <param name="page">The page's index, from <see cref="Base"/> on.</param>
    /// <returns>The frame that it has then.</returns>
    /// <exception cref="InvalidOperationException">The touch faults.</exception>
    public Pfn Touch(int page)
    {
        VmFault fault = new FaultOperation(Vmm, Page(page), write: true).Run();
        return Vmm.Tables.LookupPfn(Page(page), out Pfn frame, out _, out _)
            ? frame
            : throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"page {page} cannot be touched: {fault}"));
    }

    /// <summary>From here on counters count: what came before was preparation.</summary>
    public void Begin() => before = LabCounters.Read(Kernel, guests);

    /// <summary>Says what is going on.</summary>
    public void Note(string text) => lines.Add(new LabLine(LabLineKind.Note, "", text));

    /// <summary>Runs an operation, and writes its steps down.</summary>
    /// <param name="actor">Who does it: <c>vcpu0</c>.</param>
    /// <param name="operation">What is done.</param>
    /// <exception cref="InvalidOperationException">It cannot go on: it waits for somebody else.</exception>
    public void Run(string actor, HostOperation operation)
    {
        _ = Kernel;
        before ??= LabCounters.Read(Kernel, guests);
        Actor party = new(actor, operation);
        while (!party.IsDone)
        {
            options.Cancellation.ThrowIfCancellationRequested();
            lines.Add(new LabLine(LabLineKind.Step, actor, party.Next.Name));
            party.Go();
            Kernel.Clock.Tick();
            CompareWithMirror();
        }
    }

    /// <summary>Runs an operation, writes its steps down, and gives its outcome.</summary>
    /// <typeparam name="TResult">The outcome's type.</typeparam>
    /// <param name="actor">Who does it.</param>
    /// <param name="operation">What is done.</param>
    /// <exception cref="InvalidOperationException">It cannot go on.</exception>
    public TResult Run<TResult>(string actor, HostOperation<TResult> operation)
    {
        ArgumentNullException.ThrowIfNull(operation);
        Run(actor, (HostOperation)operation);
        return operation.Result!;
    }

    /// <summary>Writes down a step that something else than an operation of the modelled host's takes: an emulated processor's, say.</summary>
    /// <param name="actor">Who takes it.</param>
    /// <param name="text">What is done.</param>
    public void Step(string actor, string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(actor);
        options.Cancellation.ThrowIfCancellationRequested();
        lines.Add(new LabLine(LabLineKind.Step, actor, text));
    }

    /// <summary>
    /// Runs parties together in every order of their steps; or in one order, where <see cref="LabOptions"/> asks for one. A complaint of a
    /// kernel from <see cref="MakeKernel"/> that <see cref="Scenario.AtEnd"/> does not tell of breaks a rule too.
    /// </summary>
    /// <param name="what">What they do, in words.</param>
    /// <param name="make">Makes the world and the parties anew; its <see cref="Scenario.World"/> is disposed after each order.</param>
    /// <returns>The first order that broke a rule; null: none did.</returns>
    public InterleavingException? Explore(string what, Func<Scenario> make)
    {
        ArgumentNullException.ThrowIfNull(make);
        before ??= LabCounters.Read(Kernel, guests);
        int number = ++explorations;
        int outside = besides.Count;
        bool isOneOrder = options.Seed is not null || options.Replay?.Exploration == number;
        long orders = 0;
        Interleaving? taken = null;
        InterleavingException? broken = null;
        try
        {
            if (isOneOrder)
            {
                using Scenario scenario = Make();
                taken = options.Replay?.Exploration == number
                    ? StepScheduler.Replay(scenario, options.Replay.Choices)
                    : StepScheduler.RunRandom(scenario, options.Seed!.Value);
            }
            else
            {
                StepScheduler.ExploreAll(Make);
            }
        }
        catch (InterleavingException e)
        {
            (broken, taken) = (e, e.Interleaving);
        }

        string outcome = broken is not null ? $"the last breaks a rule: {broken.Problem}" : isOneOrder ? "which breaks no rule" : "none breaks a rule";
        lines.Add(new LabLine(LabLineKind.Explored, "", string.Create(CultureInfo.InvariantCulture, $"{what}: {orders} {(orders == 1 ? "order" : "orders")} of steps, {outcome}"))
        {
            Exploration = new LabExploration(
                number, orders, broken?.Problem, taken?.Taken ?? [], taken is null ? null : new LabReplay(number, taken.Choices)),
        });
        Forget();
        return broken;

        void Forget() => besides.RemoveRange(outside, besides.Count - outside);

        Scenario Make()
        {
            options.Cancellation.ThrowIfCancellationRequested();
            orders++;
            Forget();
            Scenario scenario = make();
            HostKernel[] made = [.. besides.Skip(outside)];
            scenario.Afterwards = () => made.SelectMany(one => one.Log.Events).Where(one => !allowed.Contains(one.Kind))
                .Select(one => $"the kernel complains: {one}").FirstOrDefault()
                ?? made.Select(one => one.Mirror?.Compare()).FirstOrDefault(difference => difference is not null);
            return scenario;
        }
    }

    /// <summary>Expects that no order of the parties' steps breaks a rule.</summary>
    /// <param name="what">What they do, in words.</param>
    /// <param name="make">As for <see cref="Explore"/>.</param>
    public void ExpectNoOrderBreaks(string what, Func<Scenario> make)
    {
        InterleavingException? broken = Explore(what, make);
        Expect("no order of steps breaks a rule", broken is null);
    }

    /// <summary>Expects that some order of the parties' steps breaks a rule.</summary>
    /// <param name="what">What they do, in words.</param>
    /// <param name="problem">A part of what then is wrong.</param>
    /// <param name="make">As for <see cref="Explore"/>.</param>
    public void ExpectSomeOrderBreaks(string what, string problem, Func<Scenario> make)
    {
        InterleavingException? broken = Explore(what, make);
        Expect($"some order of steps ends with \"{problem}\"", broken?.Problem.Contains(problem, StringComparison.Ordinal) ?? false);
    }

    /// <summary>Expects a value.</summary>
    /// <typeparam name="T">Its type.</typeparam>
    /// <param name="what">What it is, in words.</param>
    /// <param name="actual">What it is found to be.</param>
    /// <param name="expected">What it should be.</param>
    public void Expect<T>(string what, T actual, T expected)
    {
        bool held = EqualityComparer<T>.Default.Equals(actual, expected);
        string text = string.Create(CultureInfo.InvariantCulture, $"{what}: {Text(actual)}{(held ? "" : $", expected {Text(expected)}")}");
        lines.Add(new LabLine(held ? LabLineKind.Held : LabLineKind.Failed, "", text));
    }

    /// <summary>Expects a value that the old kernel and the newer ones differ in.</summary>
    /// <typeparam name="T">Its type.</typeparam>
    /// <param name="what">What it is, in words.</param>
    /// <param name="actual">What it is found to be.</param>
    /// <param name="v6_12">What it should be under <see cref="KernelBehavior.V6_12"/>.</param>
    /// <param name="later">What it should be under the others.</param>
    public void Expect<T>(string what, T actual, T v6_12, T later) => Expect(what, actual, Behavior == KernelBehavior.V6_12 ? v6_12 : later);

    /// <summary>Expects something to be so.</summary>
    /// <param name="what">What, in words.</param>
    /// <param name="isSo">Whether it is.</param>
    public void Expect(string what, bool isSo) => lines.Add(new LabLine(isSo ? LabLineKind.Held : LabLineKind.Failed, "", what));

    /// <summary>Expects the modelled kernel to have complained; without this, a complaint makes the run fail.</summary>
    /// <param name="kind">Of what.</param>
    public void ExpectComplaint(KernelEventKind kind)
    {
        allowed.Add(kind);
        KernelEvent? found = Kernel.Log.Events.Cast<KernelEvent?>().FirstOrDefault(one => one!.Value.Kind == kind);
        Expect(found is KernelEvent complaint ? $"the kernel complains: {complaint}" : $"the kernel complains of {kind}", found is not null);
    }

    /// <inheritdoc/>
    public void Dispose() => kernel?.Dispose();

    internal LabRun Finish(LabScenario scenario, string? error)
    {
        List<LabCounter> counters = [];
        HostMemoryKind kind = Memory != HostMemoryKind.Auto ? Memory : MemfdHandle.IsSupported ? HostMemoryKind.Memfd : HostMemoryKind.Anonymous;
        if (options.Replay is { } replay && replay.Exploration > explorations)
        {
            error ??= string.Create(CultureInfo.InvariantCulture, $"there is no exploration {replay.Exploration} to replay: the scenario has {explorations}");
        }

        foreach (KernelEvent complaint in (kernel is null ? besides : besides.Prepend(kernel)).SelectMany(one => one.Log.Events).Where(one => !allowed.Contains(one.Kind)))
        {
            lines.Add(new LabLine(LabLineKind.Failed, "", $"the kernel complains: {complaint}"));
        }

        if (kernel is not null)
        {
            CompareWithMirror();
            kind = kernel.Frames.Memory.Kind;
            IReadOnlyList<(string Name, long Value)> after = LabCounters.Read(kernel, guests);
            for (int i = 0; i < after.Count; i++)
            {
                counters.Add(new LabCounter(after[i].Name, before?[i].Value ?? 0, after[i].Value));
            }
        }

        return new LabRun(scenario, Behavior, kind, lines, counters, error);
    }

    private void CompareWithMirror()
    {
        if (Kernel.Mirror?.Compare() is string difference)
        {
            lines.Add(new LabLine(LabLineKind.Failed, "", $"the model and the processor differ: {difference}"));
        }
    }

    private static string Text<T>(T value) => value switch
    {
        null => "nothing",
        Errno.None => "0",
        bool flag => flag ? "yes" : "no",
        IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };
}
