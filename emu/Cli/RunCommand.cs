using System.CommandLine;
using System.Diagnostics;
using Quadwalk.Emulation;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk run</c>: boots an image and lets it run, its console on the process's streams.</summary>
internal static class RunCommand
{
    public static Command Create(CliHost host, DocumentedHelp help, out LinuxArguments linux)
    {
        Command command = new("run", "Run a guest. Its console output goes to stdout, byte for byte; its UART reads stdin when it looks for input.");
        ImageArguments image = new(command, "--at");
        Option<ulong?> limit = new("--limit")
        {
            Description = "Stop after N instructions: a number, with k, M or G (powers of 1000).",
            HelpName = "N",
            CustomParser = result => Parsers.Count(result),
        };
        Option<StatsFormat> stats = StatsArgument.Create();
        Option<TlbMode> tlb = TlbArgument.Create();
        command.Add(limit);
        command.Add(stats);
        command.Add(tlb);
        EngineArguments engine = new(command);
        LinuxArguments linuxArguments = linux = new(command);
        command.SetAction(result => Execute(host, new RunOptions
        {
            Image = image.Read(result) with { Tlb = result.GetValue(tlb), Engine = engine.Read(result) },
            Limit = result.GetValue(limit),
            Stats = result.GetValue(stats),
            Linux = linuxArguments.Read(result),
        }));
        help.Document(
            command,
            "quadwalk run samples/guests/hello.elf",
            "quadwalk run --limit 10M --stats samples/guests/primes.elf",
            "quadwalk run --cpu v3,-avx2 samples/guests/hello.elf",
            "quadwalk run --tlb strict samples/guests/pager.elf",
            "quadwalk run --engine unicorn samples/guests/hello.elf",
            "quadwalk run --machine pc --smp 2 --append \"--quick\" kernel.elf",
            "quadwalk run --load-at 0x100000 samples/guests/flat.bin",
            "quadwalk run --personality linux --allow README.md /usr/bin/busybox sha256sum README.md");
        return command;
    }

    private static int Execute(CliHost host, RunOptions options)
    {
        if (options.Linux is { } linux)
        {
            return LinuxRun.Execute(host, options, linux);
        }

        StatusLine? status = host.ErrorIsTerminal ? new StatusLine(host.Error) : null;
        using GuestOutput output = new(host.Output, host.OutputIsTerminal ? status : null);
        using GuestSession session = GuestSession.Open(options.Image, output, host.OutputIsTerminal);
        output.Closed = session.Machine.RequestStop;
        StaleReports.Attach(host, session.Machine, session.Describe);
        if (host.Input is not null)
        {
            ConsoleInput.Connect(host.Input, session.Machine.Uart);
        }

        long start = Stopwatch.GetTimestamp();
        StopReport report = Run(host, options, session.Machine, status);
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        int code = Conclude(host, session, report, output.Failure);
        if (options.Stats != StatsFormat.None)
        {
            host.Error.WriteLine(RunStatistics.Of(session.Machine.Cpu.Counters, elapsed, report, code).Format(options.Stats));
        }

        return code;
    }

    private static StopReport Run(CliHost host, RunOptions options, Machine machine, StatusLine? status)
    {
        using CancellationTokenRegistration interrupt = host.Interrupt.Register(machine.RequestStop);
        using Progress? progress = status is null ? null : new Progress(status, machine.Cpu.Counters, host.ProgressDelay);
        return machine.Run(options.Limit ?? ulong.MaxValue);
    }

    /// <summary>Says on standard error how a run ended, where that needs words, and returns its exit code.</summary>
    public static int Conclude(CliHost host, GuestSession session, StopReport report, OutputException? failure)
    {
        if (failure is not null)
        {
            return failure.IsClosedPipe ? ExitCode.Output : throw failure;
        }

        switch (report.Reason)
        {
            case StopReason.Reset:
                host.Complain($"the guest reset the machine at {session.Position}");
                return 0;
            case StopReason.Exit or StopReason.Halted:
                return (int)(report.Status.GetValueOrDefault() & 0xff);
            case StopReason.Limit:
                host.Complain($"stopped by --limit at {session.Position}: give a higher limit, or none");
                return ExitCode.Limit;
            case StopReason.Requested:
                host.Complain($"interrupted at {session.Position}");
                return ExitCode.Interrupted;
            case StopReason.TripleFault:
                host.Complain($"{report.Message ?? "triple fault"}");
                return ExitCode.TripleFault;
            default:
                host.Complain($"the guest cannot go on at {session.Position}: {report.Message ?? report.Reason.ToString()}");
                return ExitCode.Internal;
        }
    }
}
