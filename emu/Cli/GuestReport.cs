using System.Globalization;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>Runs a guest up to the moment a report is about, and brings the report to where it was asked for.</summary>
internal static class GuestReport
{
    /// <summary>Makes a report: opens the image, runs the guest, and calls <paramref name="write"/>.</summary>
    /// <param name="host">Standard output, and the wish to end.</param>
    /// <param name="image">The image.</param>
    /// <param name="options">When and where to.</param>
    /// <param name="prepare">Reads what is left of the arguments, before the guest runs.</param>
    /// <param name="write">Writes the report.</param>
    /// <exception cref="CommandException">The image or an argument is wrong, or the file cannot be written.</exception>
    public static int Make<T>(CliHost host, ImageOptions image, ReportOptions options, Func<GuestSession, T> prepare, Action<GuestMoment, T, Stream> write)
    {
        using GuestSession session = GuestSession.Open(image);
        T arguments = prepare(session);
        return ReportTarget.Write(host, options.Output, target => Write(host, session, options, arguments, write, target));
    }

    private static int Write<T>(
        CliHost host, GuestSession session, ReportOptions options, T arguments, Action<GuestMoment, T, Stream> write, Stream target)
    {
        StopReport? report = null;
        if (options.After != 0)
        {
            using CancellationTokenRegistration interrupt = host.Interrupt.Register(session.Machine.RequestStop);
            report = session.Machine.Run(options.After);
        }

        using BufferedStream buffered = new(target, 1 << 16);
        write(new GuestMoment(session, report), arguments, buffered);
        buffered.Flush();
        return report?.Reason == StopReason.Requested ? ExitCode.Interrupted : ExitCode.Success;
    }
}

/// <summary>A guest that has stopped, and why.</summary>
/// <param name="Session">The guest.</param>
/// <param name="Report">How the run ended; null when it did not run.</param>
internal sealed record GuestMoment(GuestSession Session, StopReport? Report)
{
    /// <summary>How many instructions it has run.</summary>
    public ulong Instructions => Session.Machine.Cpu.Counters.Instructions;

    /// <summary>The moment in a sentence.</summary>
    public string Sentence => $"After {Instructions.ToString(CultureInfo.InvariantCulture)} instructions{Ending}.";

    private string Ending => Report?.Reason switch
    {
        null or StopReason.Limit => "",
        StopReason.TripleFault => ", where a triple fault ended the guest",
        StopReason.Exit or StopReason.Halted => ", where the guest ended itself",
        StopReason.Requested => ", where it was interrupted",
        _ => $", where the guest stopped: {Report.Message ?? Report.Reason.ToString()}",
    };
}
