using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using Unicorn.Net;

namespace Quadwalk.Emulation;

/// <summary>
/// A processor, memory and devices: the composition root. RAM lies as <see cref="PhysicalLayout"/> says; a console UART at port
/// 0x3f8 and at its MMIO address, the debug console at port 0xe9, the exit port at 0xf4, and the scratch-RAM device.
/// </summary>
/// <remarks>Not thread-safe, but for <see cref="RequestStop"/>.</remarks>
public sealed class Machine : IDisposable
{
    private const ushort ConsolePort = 0x3f8;

    private readonly HostMemory memory;
    private readonly UserspaceMapping own;
    private readonly MmioEmulator[] emulators;
    private readonly ExceptionDelivery[] exceptions;
    private readonly UnicornProcessor?[] unicorns;
    private readonly Interpreter<NoTrace>[] engines;
    private readonly ProcessorTurns? turns;
    private readonly ConsoleSink console;
    private readonly ExitPort exit;
    private int stopped;
    private bool resetRequested;

    /// <summary>Makes a machine in its reset state; load an image to give it something to do.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="HostMemoryException">The host does not have the memory.</exception>
    /// <exception cref="UnicornLibraryException">The engine is Unicorn, and there is no libunicorn that will do.</exception>
    public Machine(MachineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        Options = options;
        memory = HostMemory.Create(options.RamBytes, options.HostMemory);
        AddRam(options.RamBytes);
        Access = options.MemoryAccess?.Invoke(Slots) ?? MemoryPaths.Create(options.MemoryPath, Slots);
        own = new UserspaceMapping(Slots);
        console = new ConsoleSink(options.Console ?? Stream.Null, options.FlushLines);
        RequireProcessors(options);
        RequireEngine(options);
        SecondStage = new MachineSecondStage(Slots, options.Features.PhysicalAddressBits, memory);
        Cpus = MakeProcessors(options);
        emulators = [.. Cpus.Select(cpu => new MmioEmulator(cpu, options.DecodeAssist))];
        exceptions = [.. Cpus.Select(cpu => new ExceptionDelivery(cpu))];
        unicorns = MakeUnicorns(options);
        engines = [.. Cpus.Select((cpu, i) => new Interpreter<NoTrace>(cpu, exceptions[i], emulators[i], default, unicorns[i]))];
        exit = new ExitPort(_ => RequestStop());
        Uart = new Uart16550(console);
        Ports.Attach(ConsolePort, Uart);
        Ports.Attach(DebugConsolePort.Port, new DebugConsolePort(console));
        Ports.Attach(ExitPort.Port, exit);
        if (options.Kind == MachineKind.Pc)
        {
            Board = new PcBoard(this, RequestReset);
            turns = new ProcessorTurns(this, engines, Board);
        }
        else
        {
            Mmio.Attach(PhysicalLayout.Uart, Uart);
            Mmio.Attach(PhysicalLayout.Scratch, Scratch);
        }
    }

    /// <summary>What the machine was made from.</summary>
    public MachineOptions Options { get; }

    /// <summary>The processors; the first is the bootstrap processor.</summary>
    public IReadOnlyList<Vcpu> Cpus { get; }

    /// <summary>The bootstrap processor.</summary>
    public Vcpu Cpu => Cpus[0];

    /// <summary>The devices of a <see cref="MachineKind.Pc"/>; null in another machine.</summary>
    public PcBoard? Board { get; }

    /// <summary>Which guest-physical addresses are memory.</summary>
    public Memslots Slots { get; } = new();

    /// <summary>The tables by which guest-physical memory is reached, and what they answered so far.</summary>
    public MachineSecondStage SecondStage { get; }

    /// <summary>The path on which the hypervisor reaches guest memory.</summary>
    public IGuestMemoryAccess Access { get; }

    /// <summary>Devices by guest-physical address.</summary>
    public MmioBus Mmio { get; } = new();

    /// <summary>Devices by port.</summary>
    public PortBus Ports { get; } = new();

    /// <summary>The console UART; give it input with <see cref="Uart16550.EnqueueInput"/>.</summary>
    public Uart16550 Uart { get; }

    /// <summary>The scratch-RAM device with its access log.</summary>
    public ScratchRam Scratch { get; } = new();

    /// <summary>What host memory the guest's RAM is.</summary>
    public HostMemoryKind HostMemoryKind => memory.Kind;

    /// <summary>Writes guest-physical memory from outside; decoded code that it overwrites is dropped.</summary>
    /// <exception cref="ArgumentException">The range is not all RAM.</exception>
    public void WriteMemory(Gpa gpa, ReadOnlySpan<byte> bytes)
    {
        GuestAccessStatus status = own.Write(gpa, bytes);
        if (status != GuestAccessStatus.Success)
        {
            throw new ArgumentException($"{bytes.Length} bytes at guest-physical {gpa}: {status}", nameof(gpa));
        }

        Cpu.CodeWritten(gpa, (ulong)bytes.Length);
    }

    /// <summary>Reads guest-physical memory.</summary>
    /// <exception cref="ArgumentException">The range is not all memory.</exception>
    public void ReadMemory(Gpa gpa, Span<byte> bytes)
    {
        GuestAccessStatus status = own.Read(gpa, bytes);
        if (status != GuestAccessStatus.Success)
        {
            throw new ArgumentException($"{bytes.Length} bytes at guest-physical {gpa}: {status}", nameof(gpa));
        }
    }

    /// <summary>Runs until the guest ends, something stops it, or <paramref name="limit"/> instructions have been retired.</summary>
    public StopReport Run(ulong limit = ulong.MaxValue)
    {
        stopped = 0;
        return Report(turns is null ? engines[0].Run(limit) : turns.Run(limit, out stopped));
    }

    /// <summary>Runs on the interpreter alone, whatever the machine's engine, as <see cref="Run"/> does; for a <see cref="MachineKind.Bare"/> machine.</summary>
    /// <param name="limit">The most instructions.</param>
    /// <exception cref="InvalidOperationException">It is another kind of machine.</exception>
    public StopReport RunInterpreted(ulong limit = ulong.MaxValue)
    {
        if (turns is not null)
        {
            throw new InvalidOperationException("the processors of this machine run in turns, each on its engine");
        }

        stopped = 0;
        return Report(unicorns[0] is null ? engines[0].Run(limit) : new Interpreter<NoTrace>(Cpu, exceptions[0], emulators[0], default).Run(limit));
    }

    /// <summary>Makes <see cref="Run"/> come back soon; safe from any thread.</summary>
    public void RequestStop()
    {
        foreach (Vcpu cpu in Cpus)
        {
            cpu.RequestStop();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        console.Flush();
        foreach (UnicornProcessor? unicorn in unicorns)
        {
            unicorn?.Dispose();
        }

        foreach (MmioEmulator emulator in emulators)
        {
            emulator.Dispose();
        }

        foreach (Vcpu cpu in Cpus)
        {
            cpu.Dispose();
        }

        SecondStage.Dispose();
        memory.Dispose();
    }

    /// <summary>The way exceptions take to their handlers.</summary>
    internal ExceptionDelivery Exceptions => exceptions[0];

    /// <summary>The engine of the bootstrap processor.</summary>
    internal Interpreter<NoTrace> Engine => engines[0];

    /// <summary>Its Unicorn; null with another engine.</summary>
    internal UnicornProcessor? Unicorn => unicorns[0];

    /// <summary>An engine for this machine that reports to a tracer.</summary>
    internal Interpreter<TTrace> Tracing<TTrace>(TTrace trace)
        where TTrace : struct, ITracePolicy => new(Cpu, exceptions[0], emulators[0], trace);

    /// <summary>Turns the outcome of a run into a report.</summary>
    internal StopReport Report(RunOutcome outcome)
    {
        console.Flush();
        switch (outcome)
        {
            case RunOutcome.Limit:
                return new StopReport(StopReason.Limit);
            case RunOutcome.TripleFault:
                return new StopReport(StopReason.TripleFault, Message: exceptions[stopped].LastReport?.ToString());
            case RunOutcome.EmulationFailed:
                return Report(Cpus[stopped].EmulationFailure!);
            case RunOutcome.Unsupported:
                string? reason = Cpus[stopped].UnsupportedReason;
                ClearStopRequests();
                return new StopReport(StopReason.Unsupported, Message: reason);
            case RunOutcome.Halted:
                return (Cpu.State.SystemFlags & Rflags.IF) == 0
                    ? new StopReport(StopReason.Halted, 0)
                    : new StopReport(StopReason.Asleep, Message: "halted with interrupts on, and nothing in this machine can interrupt it");
            default:
                ClearStopRequests();
                if (resetRequested)
                {
                    resetRequested = false;
                    return new StopReport(StopReason.Reset, 0);
                }

                return exit.Value is null ? new StopReport(StopReason.Requested) : new StopReport(StopReason.Exit, (uint)exit.Status!);
        }
    }

    private static StopReport Report(EmulationFailure failure) => new(
        failure.Kind switch
        {
            EmulationFailureKind.Fetch => StopReason.EmulationFailed,
            EmulationFailureKind.Memory => StopReason.MemoryUnreachable,
            _ => StopReason.DeviceFailed,
        },
        Message: failure.ToString(),
        Emulation: failure);

    private static void RequireProcessors(MachineOptions options)
    {
        int most = options.Kind == MachineKind.Pc ? MachineOptions.MostProcessors : 1;
        if (options.Processors < 1 || options.Processors > most)
        {
            throw new ArgumentException($"{options.Processors} processors: this kind of machine has 1 to {most}", nameof(options));
        }
    }

    /// <summary>The library is looked for first, so that a machine without it leaves nothing behind.</summary>
    private static void RequireEngine(MachineOptions options)
    {
        if (options.Engine == EngineKind.Unicorn)
        {
            if (options.Tlb != TlbMode.Fast)
            {
                throw new ArgumentException($"the Unicorn engine keeps translations of its own: it has no {options.Tlb} TLB", nameof(options));
            }

            UnicornLibrary.Load(options.UnicornPath);
        }
    }

    private UnicornProcessor?[] MakeUnicorns(MachineOptions options) =>
        [.. Cpus.Select(cpu => options.Engine == EngineKind.Unicorn ? new UnicornProcessor(cpu, Slots, options.Tolerated) : null)];

    private Vcpu[] MakeProcessors(MachineOptions options)
    {
        CpuFeatures features = options.Kind == MachineKind.Pc ? options.Features.WithApic() : options.Features;
        DecodedFrames frames = new();
        Vcpu[] processors = new Vcpu[options.Processors];
        for (int i = 0; i < processors.Length; i++)
        {
            processors[i] = new Vcpu(SecondStage, Access, Mmio, Ports, features, options.Seed + (ulong)i, frames, options.Tlb) { ApicId = (uint)i, ProcessorCount = processors.Length };
            Slots.Changed += processors[i].MemoryChanged;
        }

        return processors;
    }

    private void RequestReset()
    {
        resetRequested = true;
        RequestStop();
    }

    private void ClearStopRequests()
    {
        foreach (Vcpu cpu in Cpus)
        {
            cpu.ClearStopRequest();
        }
    }

    private void AddRam(ulong bytes)
    {
        ulong low = Math.Min(bytes, PhysicalLayout.DeviceHole);
        Slots.Add(new Gpa(0), low, memory.Base);
        if (bytes > low)
        {
            Slots.Add(new Gpa(PhysicalLayout.HighRam), bytes - low, memory.Base + low);
        }
    }
}
