using System.CommandLine;
using System.CommandLine.Parsing;

namespace Quadwalk.Cli;

/// <summary>The options of every command that reports on page tables: when, in which format, and where to.</summary>
internal sealed class ReportArguments
{
    private readonly Option<ulong> after = new("--after")
    {
        Description = "Run the guest for N instructions first, its console discarded.",
        HelpName = "N",
        CustomParser = Parsers.Count,
    };

    private readonly Option<ReportFormat> format = new("--format")
    {
        Description = "How to write it: lines, one JSON object, or one HTML file with a picture of the tables. [default: text]",
        HelpName = "text|json|html",
        CustomParser = result => Parsers.Choice(
            result, [("text", ReportFormat.Text), ("json", ReportFormat.Json), ("html", ReportFormat.Html)]),
    };

    private readonly Option<string?> output = new("--output", "-o")
    {
        Description = "Write to FILE, which appears once it is complete, instead of standard output.",
        HelpName = "FILE",
    };

    /// <summary>Adds them to <paramref name="command"/>.</summary>
    public ReportArguments(Command command)
    {
        command.Add(after);
        command.Add(format);
        command.Add(output);
    }

    /// <summary>Whether HTML was asked for, while the command line is still being looked at.</summary>
    public bool IsHtml(CommandResult result) => result.GetValue(format) == ReportFormat.Html;

    /// <summary>What was given.</summary>
    public ReportOptions Read(ParseResult result) => new(result.GetValue(after), result.GetValue(format), result.GetValue(output));
}
