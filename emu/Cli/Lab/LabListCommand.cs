using System.CommandLine;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk lab list</c>: the rows of the host-memory table with their scenarios.</summary>
internal static class LabListCommand
{
    private const string Format = """
        JSON:
          One object: rows [{row, mechanism, scenarios [{name, title, kernels [6.12, 6.13, proposed]}]}].
        """;

    public static Command Create(CliHost host, DocumentedHelp help)
    {
        Command command = new("list", "List the mechanisms, each with its scenarios and the kernels that they are for.");
        Option<int?> row = new("--row")
        {
            Description = "Only this row of the table.",
            HelpName = "N",
            CustomParser = result => Parsers.LabRow(result),
        };
        Option<StatsFormat> format = LabArguments.Format();
        Option<string?> output = LabArguments.Output();
        command.Add(row);
        command.Add(format);
        command.Add(output);
        command.SetAction(result => Execute(host, result.GetValue(row), result.GetValue(format), result.GetValue(output)));
        help.Explain(command, Format);
        help.Document(command, "quadwalk lab list", "quadwalk lab list --row 3 --format json");
        return command;
    }

    private static int Execute(CliHost host, int? only, StatsFormat format, string? path) => ReportTarget.Write(host, path, target =>
    {
        IEnumerable<LabRow> rows = LabRow.All.Where(row => only is null || row.Number == only);
        if (format == StatsFormat.Json)
        {
            LabJson.WriteList(target, rows);
        }
        else
        {
            LabText.WriteList(target, rows);
        }

        return ExitCode.Success;
    });
}
