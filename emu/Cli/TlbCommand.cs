using System.CommandLine;
using Quadwalk.Emulation;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk tlb</c>: runs a guest and shows what its processors' TLBs hold and did.</summary>
internal static class TlbCommand
{
    private const string Explanation = """
        Rights: u for a user page, w writable, x executable, d for D set, G global. A cached translation gives its own, a cached table entry
        those of the entries from the root down to it. Neighbours that translate alike are one line. Hits of fast host-address entries are
        data accesses that looked nothing up.
        """;

    public static Command Create(CliHost host, TextWriter output, DocumentedHelp help)
    {
        Command command = new("tlb", "Run a guest, its console discarded, and show what its TLB holds and what it did.");
        ImageArguments image = new(command);
        Option<ulong?> after = new("--after")
        {
            Description = "Look after N instructions. [default: when the guest ends]",
            HelpName = "N",
            CustomParser = result => Parsers.Count(result),
        };
        Option<TlbMode> tlb = TlbArgument.Create();
        Option<StatsFormat> format = new("--format")
        {
            Description = "How to show it. [default: text]",
            HelpName = "text|json",
            CustomParser = result => Parsers.Choice(result, [("text", StatsFormat.Text), ("json", StatsFormat.Json)]),
        };
        foreach (Option option in (Option[])[after, tlb, format])
        {
            command.Add(option);
        }

        command.SetAction(result =>
            Execute(host, output, image.Read(result) with { Tlb = result.GetValue(tlb) }, result.GetValue(after), result.GetValue(format)));
        help.Explain(command, Explanation);
        help.Document(
            command,
            "quadwalk tlb samples/guests/pager.elf --after 1M",
            "quadwalk tlb --tlb exact --format json samples/guests/primes.elf");
        return command;
    }

    private static int Execute(CliHost host, TextWriter output, ImageOptions options, ulong? after, StatsFormat format)
    {
        using GuestSession session = GuestSession.Open(options);
        Machine machine = session.Machine;
        StaleReports.Attach(host, machine, session.Describe);
        StopReport report;
        using (host.Interrupt.Register(machine.RequestStop))
        {
            report = machine.Run(after ?? ulong.MaxValue);
        }

        TlbReport shown = TlbReport.Of(machine, report);
        if (format == StatsFormat.Json)
        {
            output.WriteLine(shown.ToJson());
        }
        else
        {
            shown.Write(output);
        }

        return report.Reason == StopReason.Requested ? RunCommand.Conclude(host, session, report, failure: null) : ExitCode.Success;
    }
}
