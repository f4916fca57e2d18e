using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Runs a machine and prints what each instruction did. The same image and options give the same bytes.</summary>
/// <remarks>
/// One line an instruction; what follows the semicolon is what it changed and touched:
/// <code>
/// 0000000000401000 &lt;_start&gt;: mov rax, [rdi+8]    ; rax=0000000008000000 | rd8 0x7ffff008=0000000008000000
/// </code>
/// - <c>rax=</c>, <c>xmm0=</c>, <c>cr3=</c>, <c>cpl=</c> ...: registers that changed, with their new values;
///   <c>flags=ODITSZAPC</c> shows a dash for each flag that is 0, and NT, RF, AC, ID and IOPL only where they are not 0.
/// - <c>rdN ADDRESS=VALUE</c>, <c>wrN ADDRESS=VALUE</c>: memory read or written, N bytes at a linear address. A repeated string
///   instruction has one line for each 65536 elements, or less where it exits, with the number of its accesses; those beyond 64 are counted.
/// - <c>mmio</c>: the instruction exited for a device, and the hypervisor emulated it.
/// - <c>-> #PF</c>: it raised an exception; with <see cref="TracerOptions.Exceptions"/> with error code, address and cause.
/// <para/>
/// A line whose instruction is <c>(interrupted)</c> stands for an interrupt, an NMI or a debug exception before the instruction there.
/// Lines indented by two blanks belong to the instruction above them, in the order in which things happened:
/// <c>walk processor</c> and <c>walk hypervisor</c> (each level with the flags of its entry, and the A and D flags that the walk set),
/// <c>mmio</c> and <c>port</c> accesses with their device, <c>met</c> for an exception that another's delivery met, <c>delivered to</c> with
/// the registers that delivery changed, <c>shutdown</c>.
/// Lines that begin with <c>console:</c> are what the guest printed. Numbers are hexadecimal, but for counts and widths.
/// </remarks>
public sealed unsafe class Tracer
{
    private const string Unsupported = "unsupported";

    private readonly TracerOptions options;
    private readonly TraceRange[] ranges;
    private readonly TraceWriter output;
    private readonly TraceWriter events = new(null);
    private readonly TraceConsoleStream? console;
    private readonly InstructionTexts texts;
    private readonly RegisterSnapshot before = new();
    private ExceptionDelivery? exceptions;
    private InstructionText text;
    private ulong skipped;
    private bool running;
    private bool selected;
    private bool repeated;
    private bool exited;
    private bool delivering;
    private bool deliverySelected;

    /// <summary>Makes a tracer that prints to a stream, which the caller goes on owning.</summary>
    /// <param name="output">Where the trace goes, in UTF-8.</param>
    /// <param name="options">What it shows.</param>
    /// <param name="console">The machine's console, where its lines are to stand in the trace.</param>
    public Tracer(Stream output, TracerOptions options, TraceConsoleStream? console = null)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfZero(options.Count);
        this.options = options;
        this.console = console;
        this.output = new TraceWriter(output);
        ranges = [.. options.Ranges];
        texts = new InstructionTexts(options.Symbols, options.Bytes);
    }

    /// <summary>How many instructions have been printed.</summary>
    public ulong Printed { get; private set; }

    /// <summary>Whether all of <see cref="TracerOptions.Count"/> have been.</summary>
    public bool IsComplete => Printed == options.Count;

    /// <summary>Whether the hypervisor is at work, rather than the processor.</summary>
    internal bool InHypervisor { get; private set; }

    /// <summary>Runs a machine as <see cref="Machine.Run"/> does, and prints; every line is complete when this returns.</summary>
    /// <exception cref="IOException">The stream could not be written.</exception>
    public StopReport Run(Machine machine, ulong limit = ulong.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(machine);
        IWalkListener? walkListener = machine.Cpu.Memory.WalkListener;
        MmioObserver? mmioObserver = machine.Mmio.Observer;
        Action<PortAccess>? portObserver = machine.Ports.Observer;
        try
        {
            machine.Cpu.Memory.WalkListener = options.Walks ? new WalkLines(this, machine.Cpu, events) : null;
            machine.Mmio.Observer = options.Devices ? OnMmio : null;
            machine.Ports.Observer = options.Devices ? OnPort : null;
            exceptions = machine.Exceptions;
            RunOutcome outcome = machine.Tracing(new TracePolicy(this)).Run(limit);
            StopReport report = machine.Report(outcome);
            Finish(machine.Cpu, outcome);
            return report;
        }
        finally
        {
            machine.Cpu.Memory.WalkListener = walkListener;
            machine.Mmio.Observer = mmioObserver;
            machine.Ports.Observer = portObserver;
        }
    }

    internal void Before(Vcpu vcpu)
    {
        EndDelivery(vcpu);
        CpuState* cpu = vcpu.StatePointer;
        running = true;
        selected = Select(cpu->Rip);
        if (!selected)
        {
            return;
        }

        Block* block = cpu->BlockTable[CodeCache.Slot(cpu->Rip)];
        repeated = (Block.Ops(block)->Flags & (OpFlags.Rep | OpFlags.Repne)) != 0;
        text = texts.Of(block);
        before.Capture(cpu);
    }

    internal void After(Vcpu vcpu, BlockExit exit)
    {
        if (exit == BlockExit.Mmio)
        {
            exited = true;
            InHypervisor = true;
        }
        else if (exit != BlockExit.Fault)
        {
            EndInstruction(vcpu, vcpu.UnsupportedReason is null ? null : Unsupported);
        }
    }

    internal void AfterEmulation(Vcpu vcpu, BlockExit exit)
    {
        InHypervisor = false;
        if (exit != BlockExit.Fault)
        {
            EndInstruction(vcpu);
        }
    }

    internal void Fault(Vcpu vcpu, in GuestFault fault)
    {
        EndDelivery(vcpu);
        if (!running)
        {
            BeginUnfetched(vcpu, fault.Cause.IsBetweenInstructions);
        }

        deliverySelected = selected;
        EndInstruction(vcpu, options.Exceptions && selected ? Describe(vcpu, fault) : fault.Name);
        delivering = true;
        before.Capture(vcpu.StatePointer);
    }

    /// <summary>A walk is about to be printed. One for a fetch means that no exception is being delivered any more.</summary>
    internal void WalkBegins(Vcpu vcpu, WalkAccess access)
    {
        if (access.Kind == AccessKind.Execute)
        {
            EndDelivery(vcpu);
        }
    }

    private void BeginUnfetched(Vcpu vcpu, bool interrupted)
    {
        CpuState* cpu = vcpu.StatePointer;
        running = true;
        selected = Select(cpu->Rip);
        repeated = false;
        text = interrupted ? texts.OfInterrupted(cpu->Rip) : texts.OfUnfetched(cpu->Rip);
        vcpu.Record.Clear();
        before.Capture(cpu);
    }

    private bool Select(ulong rip)
    {
        bool within = ranges.Length == 0;
        foreach (TraceRange range in ranges)
        {
            within |= range.Contains(new Gva(rip));
        }

        if (!within || IsComplete)
        {
            return false;
        }

        if (skipped < options.Skip)
        {
            skipped++;
            return false;
        }

        return true;
    }

    private void EndInstruction(Vcpu vcpu, string? exception = null)
    {
        if (selected)
        {
            Print(vcpu, exception);
            events.MoveTo(output);
            Printed++;
            if (IsComplete)
            {
                vcpu.RequestStop();
            }
        }

        events.Clear();
        running = false;
        exited = false;
        if (console is { Lines.IsEmpty: false })
        {
            console.Lines.MoveTo(output);
        }
    }

    private void Print(Vcpu vcpu, string? exception)
    {
        output.Write(text.Padded);
        long start = output.Position;
        before.WriteChanges(output, vcpu.StatePointer);
        if (vcpu.Record.Total != 0)
        {
            PrintAccesses(vcpu.Record, start);
        }

        if (exited)
        {
            BeginPart(start);
            output.Write(" mmio"u8);
        }

        if (exception is not null)
        {
            BeginPart(start);
            output.Write(" -> "u8);
            output.Write(exception);
        }

        if (output.Position == start)
        {
            output.TakeBack(text.Padding);
        }

        output.Write((byte)'\n');
    }

    private void PrintAccesses(AccessRecord record, long start)
    {
        if (repeated)
        {
            BeginPart(start);
            output.Write((byte)' ');
            output.Decimal((ulong)record.Total);
            output.Write(record.Total == 1 ? " access"u8 : " accesses"u8);
        }

        foreach (ref readonly RecordedAccess access in record.Accesses)
        {
            BeginPart(start);
            output.Write(access.Kind == AccessRecordKind.Read ? " rd"u8 : " wr"u8);
            output.Decimal((ulong)access.Size);
            output.Write((byte)' ');
            output.Address(access.Address);
            output.Write((byte)'=');
            if (access.Size > 8)
            {
                output.Hex(access.High, Math.Min(16, 2 * (access.Size - 8)));
            }

            output.Hex(access.Low, Math.Min(16, 2 * access.Size));
        }

        if (record.Total > record.Accesses.Length)
        {
            output.Write(" ... and "u8);
            output.Decimal((ulong)(record.Total - record.Accesses.Length));
            output.Write(" more"u8);
        }
    }

    private void BeginPart(long start)
    {
        if (output.Position != start)
        {
            output.Write(" |"u8);
        }
    }

    private void EndDelivery(Vcpu vcpu)
    {
        if (!delivering)
        {
            return;
        }

        delivering = false;
        if (!deliverySelected)
        {
            events.Clear();
            return;
        }

        if (options.Exceptions)
        {
            WriteSecondFaults(vcpu);
            events.Write("  delivered to "u8);
            events.Write(texts.Name(vcpu.State.Rip));
            events.Write((byte)':');
            before.WriteChanges(events, vcpu.StatePointer);
            events.Write((byte)'\n');
        }

        events.MoveTo(output);
    }

    private void Finish(Vcpu vcpu, RunOutcome outcome)
    {
        if (running)
        {
            EndInstruction(vcpu, Unsupported);
        }

        InHypervisor = false;
        if (outcome == RunOutcome.TripleFault && delivering)
        {
            delivering = false;
            WriteShutdown(vcpu);
        }

        EndDelivery(vcpu);
        events.Clear();
        console?.Finish();
        console?.Lines.MoveTo(output);
        output.Flush();
    }

    private void WriteShutdown(Vcpu vcpu)
    {
        if (!deliverySelected)
        {
            return;
        }

        if (options.Exceptions)
        {
            WriteSecondFaults(vcpu);
            events.Write("  shutdown: triple fault\n"u8);
        }

        events.MoveTo(output);
    }

    /// <summary>The exceptions met while the first was being delivered.</summary>
    private void WriteSecondFaults(Vcpu vcpu)
    {
        foreach (ref readonly GuestFault fault in exceptions!.Chain[1..])
        {
            events.Write("  met "u8);
            events.Write(Describe(vcpu, fault));
            events.Write((byte)'\n');
        }
    }

    private static string Describe(Vcpu vcpu, in GuestFault fault)
    {
        string address = fault.Cause.HasAddress ? $" at {fault.Address}" : "";
        return $"{fault.NameWithCode}{address}: {FaultCauseText.Describe(fault, vcpu.Paging)}";
    }

    private void OnMmio(in MmioAccess access)
    {
        BeginDevice("  mmio "u8, access.IsWrite, access.Width);
        events.Address(access.Gpa.Value);
        events.Write((byte)'=');
        for (int i = access.Width - 1; i >= 0; i--)
        {
            events.Hex(access.Bytes[i], 2);
        }

        EndDevice(access.Device);
    }

    private void OnPort(PortAccess access)
    {
        BeginDevice("  port "u8, access.IsWrite, access.Width);
        events.Address((ulong)access.Port);
        events.Write((byte)'=');
        events.Hex(access.Value, 2 * access.Width);
        EndDevice(access.Device);
    }

    private void BeginDevice(ReadOnlySpan<byte> bus, bool isWrite, int width)
    {
        events.Write(bus);
        events.Write(isWrite ? "wr"u8 : "rd"u8);
        events.Decimal((ulong)width);
        events.Write((byte)' ');
    }

    private void EndDevice(object? device)
    {
        events.Write((byte)' ');
        events.Write(device is null ? "no device" : device.GetType().Name);
        events.Write((byte)'\n');
    }
}
