using System.Diagnostics;
using System.Globalization;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk run --personality linux</c>: runs a Linux program with the streams of this process.</summary>
internal static class LinuxRun
{
    public static int Execute(CliHost host, RunOptions options, LinuxRunOptions linux)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw CommandException.Usage("--personality linux needs a Linux host, whose files it shows");
        }

        if (options.Image.LoadAddress is not null || options.Image.Ring is not null)
        {
            throw CommandException.Usage("--load-at and --ring are not for --personality linux: leave them out");
        }

        string program = options.Image.Path;
        _ = ImageFile.ReadBytes(program);
        using GuestOutput output = new(host.Output, null);
        using Machine machine = new(GuestSession.MachineOptionsOf(options.Image));
        output.Closed = machine.RequestStop;
        StaleReports.Attach(host, machine, address => address.ToString());
        LinuxSession session = Load(host, options, linux, program, output, machine);
        long start = Stopwatch.GetTimestamp();
        LinuxReport report;
        using (host.Interrupt.Register(machine.RequestStop))
        {
            report = session.Run(options.Limit ?? ulong.MaxValue);
        }

        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        int code = Conclude(host, machine, report, output.Failure);
        foreach (UnknownCall call in session.UnknownCalls)
        {
            host.Complain(string.Create(CultureInfo.InvariantCulture, $"system call {call.Name} is not there (-ENOSYS): made {call.Count} times"));
        }

        if (options.Stats != StatsFormat.None)
        {
            StopReport stopped = new(ReasonOf(report.End), (uint)report.Status, report.Message);
            host.Error.WriteLine(RunStatistics.Of(machine.Cpu.Counters, elapsed, stopped, code).Format(options.Stats));
        }

        return code;
    }

    private static LinuxSession Load(CliHost host, RunOptions options, LinuxRunOptions linux, string program, GuestOutput output, Machine machine)
    {
        try
        {
            return new LinuxSession(machine, new LinuxOptions
            {
                Program = program,
                Arguments = [options.Image.Path, .. linux.Arguments],
                Environment = linux.Environment,
                Allowed = linux.Allowed,
                WorkingDirectory = Directory.GetCurrentDirectory(),
                Seed = linux.Seed,
                Input = host.Input,
                Output = output,
                Error = host.Error is StreamWriter writer ? writer.BaseStream : new TextStream(host.Error),
                Complain = host.Complain,
                Interrupt = host.Interrupt,
            });
        }
        catch (ImageFormatException e)
        {
            throw CommandException.Image($"{program}: {e.Message}");
        }
    }

    private static int Conclude(CliHost host, Machine machine, LinuxReport report, OutputException? failure)
    {
        if (failure is not null)
        {
            return failure.IsClosedPipe ? ExitCode.Output : throw failure;
        }

        string position = string.Create(CultureInfo.InvariantCulture, $"0x{machine.Cpu.State.Rip:x} after {machine.Cpu.Counters.Instructions} instructions");
        switch (report.End)
        {
            case LinuxEnd.Exited:
                return report.Status;
            case LinuxEnd.Killed:
                host.Complain(report.Message!);
                return report.Status;
            case LinuxEnd.Limit:
                host.Complain($"stopped by --limit at {position}: give a higher limit, or none");
                return ExitCode.Limit;
            case LinuxEnd.Requested:
                host.Complain($"interrupted at {position}");
                return ExitCode.Interrupted;
            default:
                host.Complain($"the program cannot go on at {position}: {report.Message}");
                return ExitCode.Internal;
        }
    }

    private static StopReason ReasonOf(LinuxEnd end) => end switch
    {
        LinuxEnd.Exited or LinuxEnd.Killed => StopReason.Exit,
        LinuxEnd.Limit => StopReason.Limit,
        LinuxEnd.Requested => StopReason.Requested,
        _ => StopReason.Unsupported,
    };
}
