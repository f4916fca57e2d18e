using System.CommandLine;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk trace</c>: runs a guest and prints what each instruction did.</summary>
internal static class TraceCommand
{
    private const string Format = """
        The trace:
          ADDRESS <SYMBOL+OFFSET>: INSTRUCTION ; REG=VALUE ... | rdN ADDRESS=VALUE | wrN ADDRESS=VALUE | mmio -> #PF

          flags=ODITSZAPC has a dash for a flag that is 0. rdN and wrN are accesses of N bytes at a linear address.
          'mmio' marks an instruction that exited and was emulated, '->' one that raised an exception.
          Indented lines belong to the instruction above: walk, mmio, port, met, delivered to, shutdown.
          Lines that begin with 'console:' are what the guest printed; with --output that goes to stdout as it is.
          Numbers are hexadecimal, but for counts and widths. The same image, options and input give the same bytes.
        """;

    public static Command Create(CliHost host, DocumentedHelp help)
    {
        Command command = new("trace", "Run a guest and print each instruction with the registers it changed and the memory it touched.");
        ImageArguments image = new(command, "--at");
        Option<string[]> range = new("--range")
        {
            Description = "Only from A up to but not including B, or a whole function by its name; may be repeated. A and B are like 0x401000, main or main+0x10.",
            HelpName = "A-B",
        };
        Option<string?> from = new("--from") { Description = "Only from this address on: a number, or a symbol with or without an offset.", HelpName = "GVA" };
        Option<string?> to = new("--to") { Description = "Only below this address.", HelpName = "GVA" };
        Option<ulong?> skip = Count("--skip", "Let N of these instructions go by before the first is printed.");
        Option<ulong?> count = Count("--count", "Stop when N instructions have been printed.");
        Option<ulong?> limit = Count("--limit", "Stop after N instructions: a number, with k, M or G (powers of 1000).");
        Option<bool> bytes = new("--bytes") { Description = "Print the bytes of each instruction." };
        Option<bool> walks = new("--walks") { Description = "Print page walks level by level, the processor's and the hypervisor's." };
        Option<bool> mmio = new("--mmio") { Description = "Print device accesses, by address and by port." };
        Option<bool> exceptions = new("--exceptions") { Description = "Print the cause of each exception and where it was delivered." };
        Option<string?> output = new("--output", "-o")
        {
            Description = "Write the trace to FILE, which appears once it is complete. After Ctrl-C it has what was traced until then.",
            HelpName = "FILE",
        };
        count.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: "0" }])
            {
                result.AddError("--count 0 would print nothing: give 1 or more");
            }
        });
        Option<TlbMode> tlb = TlbArgument.Create();
        foreach (Option option in (Option[])[range, from, to, skip, count, limit, bytes, walks, mmio, exceptions, output, tlb])
        {
            command.Add(option);
        }

        command.SetAction(result => Execute(host, new TraceOptions
        {
            Image = image.Read(result) with { Tlb = result.GetValue(tlb) },
            Ranges = result.GetValue(range) ?? [],
            From = result.GetValue(from),
            To = result.GetValue(to),
            Skip = result.GetValue(skip) ?? 0,
            Count = result.GetValue(count),
            Limit = result.GetValue(limit),
            Bytes = result.GetValue(bytes),
            Walks = result.GetValue(walks),
            Mmio = result.GetValue(mmio),
            Exceptions = result.GetValue(exceptions),
            Output = result.GetValue(output),
        }));
        help.Explain(command, Format);
        help.Document(
            command,
            "quadwalk trace --count 20 samples/guests/hello.elf",
            "quadwalk trace --walks --exceptions --output trace.txt samples/guests/pager.elf",
            "quadwalk trace --range _start --mmio samples/guests/uart.elf");
        return command;
    }

    private static Option<ulong?> Count(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result => Parsers.Count(result),
    };

    private static int Execute(CliHost host, TraceOptions options) =>
        options.Output is null ? ToStandardOutput(host, options) : ToFile(host, options, options.Output);

    private static int ToStandardOutput(CliHost host, TraceOptions options)
    {
        using TraceConsoleStream console = new();
        using OutputStream lines = new(host.Output);
        using GuestSession session = GuestSession.Open(options.Image, console, flushLines: true);
        Tracer tracer = new(lines, ForTracer(options, session.Symbols), console);
        StopReport report = Run(host, options, session, tracer);
        return Conclude(host, session, tracer, report, null);
    }

    private static int ToFile(CliHost host, TraceOptions options, string path)
    {
        using GuestOutput console = new(host.Output, status: null);
        using GuestSession session = GuestSession.Open(options.Image, console, host.OutputIsTerminal);
        console.Closed = session.Machine.RequestStop;
        TracerOptions shown = ForTracer(options, session.Symbols);
        Tracer tracer;
        StopReport report;
        try
        {
            using TraceFile file = TraceFile.Create(path);
            tracer = new Tracer(file.Stream, shown);
            report = Run(host, options, session, tracer);
            file.Complete();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException { ParamName: "path" })
        {
            throw new CommandException(ExitCode.Output, $"--output {path}: it cannot be written: {e.Message}");
        }

        if (report.Reason == StopReason.Requested && !tracer.IsComplete && console.Failure is null)
        {
            host.Complain($"{path} has the {tracer.Printed} instructions traced until the interruption");
        }

        return Conclude(host, session, tracer, report, console.Failure);
    }

    private static StopReport Run(CliHost host, TraceOptions options, GuestSession session, Tracer tracer)
    {
        Machine machine = session.Machine;
        StaleReports.Attach(host, machine, session.Describe);
        if (host.Input is not null)
        {
            ConsoleInput.Connect(host.Input, machine.Uart);
        }

        using CancellationTokenRegistration interrupt = host.Interrupt.Register(machine.RequestStop);
        return tracer.Run(machine, options.Limit ?? ulong.MaxValue);
    }

    private static int Conclude(CliHost host, GuestSession session, Tracer tracer, StopReport report, OutputException? failure) =>
        report.Reason == StopReason.Requested && tracer.IsComplete && failure is null
            ? ExitCode.Success
            : RunCommand.Conclude(host, session, report, failure);

    private static TracerOptions ForTracer(TraceOptions options, SymbolTable symbols) => new()
    {
        Ranges = Ranges(options, symbols),
        Skip = options.Skip,
        Count = options.Count ?? ulong.MaxValue,
        Bytes = options.Bytes,
        Walks = options.Walks,
        Devices = options.Mmio,
        Exceptions = options.Exceptions,
        Symbols = symbols,
    };

    private static List<TraceRange> Ranges(TraceOptions options, SymbolTable symbols)
    {
        List<TraceRange> ranges = [];
        foreach (string text in options.Ranges)
        {
            bool parsed = TraceRange.TryParse(text, symbols, out TraceRange range, out string? problem);
            ranges.Add(parsed ? range : throw CommandException.Usage($"--range {problem}"));
        }

        if (options.From is not null || options.To is not null)
        {
            Gva first = options.From is null ? default : Address("--from", options.From, symbols);
            TraceRange between = new(first, TraceRange.All.Last);
            string? problem = null;
            bool valid = options.To is null || TraceRange.TryBetween(first, Address("--to", options.To, symbols), out between, out problem);
            ranges.Add(valid ? between : throw CommandException.Usage($"--from and --to: {problem}"));
        }

        return ranges;
    }

    private static Gva Address(string option, string text, SymbolTable symbols) =>
        TraceRange.TryParseAddress(text, symbols, out Gva address, out string? problem) ? address : throw CommandException.Usage($"{option} {problem}");
}
