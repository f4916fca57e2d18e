using System.Globalization;
using System.Text;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>Scenarios and their runs as lines for a person.</summary>
internal sealed class LabText : ILabReport
{
    private const string Inner = "        ";

    private readonly StreamWriter output;
    private readonly LabRunOptions options;
    private readonly List<LabRun> shown = [];

    /// <summary>Begins a report.</summary>
    /// <param name="target">Where to; it is not closed.</param>
    /// <param name="options">What of a run is shown.</param>
    public LabText(Stream target, LabRunOptions options) => (output, this.options) = (Writer(target), options);

    /// <summary>Lists rows with their scenarios.</summary>
    public static void WriteList(Stream target, IEnumerable<LabRow> rows)
    {
        using StreamWriter output = Writer(target);
        foreach (LabRow row in rows)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{row.Number,3}  {row.Mechanism}"));
            LabScenario[] scenarios = [.. LabSelection.Scenarios.Where(scenario => scenario.Row == row.Number)];
            int width = scenarios.Length == 0 ? 0 : scenarios.Max(scenario => scenario.Name.Length);
            foreach (LabScenario scenario in scenarios)
            {
                string kernels = string.Join(' ', scenario.Behaviors.Select(LabArguments.NameOf));
                output.WriteLine($"       {scenario.Name.PadRight(width)}  {kernels}");
                output.WriteLine($"         {scenario.Title}");
            }
        }
    }

    public void Add(LabRun run)
    {
        if (options.Summary && run.Held)
        {
            output.WriteLine(SummaryOf(run));
            output.Flush();
            return;
        }

        if (shown.Count == 0 || shown[^1].Scenario != run.Scenario)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{run.Scenario.Name}, row {run.Scenario.Row}: {run.Scenario.Title}"));
        }

        output.WriteLine($"kernel {LabArguments.NameOf(run.Behavior)}, {LabArguments.NameOf(run.Memory)}");
        WriteLines(run);
        WriteCounters(run);
        output.WriteLine();
        shown.Add(run);
        if (options.Summary)
        {
            output.WriteLine(SummaryOf(run));
            output.WriteLine();
        }

        output.Flush();
    }

    public void End(bool complete)
    {
        if (!options.Summary)
        {
            foreach (LabRun run in shown)
            {
                output.WriteLine(SummaryOf(run));
            }
        }

        output.Flush();
    }

    public void Dispose() => output.Dispose();

    private static StreamWriter Writer(Stream target) =>
        new(target, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 14, leaveOpen: true) { NewLine = "\n" };

    private static string SummaryOf(LabRun run)
    {
        int expected = run.HeldCount + run.FailedCount;
        string outcome = run.Error is not null ? $"ended by {run.Error.Split('\n')[0]}"
            : run.FailedCount != 0 ? string.Create(CultureInfo.InvariantCulture, $"{run.FailedCount} of {PagingText.Count((ulong)expected, "expectation", "expectations")}")
            : expected == 0 ? "nothing was expected"
            : PagingText.Count((ulong)expected, "expectation", "expectations");
        string row = string.Create(CultureInfo.InvariantCulture, $"row {run.Scenario.Row,2}");
        return $"{(run.Held ? "held" : "FAILED"),-6}  {row}  {LabArguments.NameOf(run.Behavior),-8}  {LabArguments.NameOf(run.Memory),-9}  {run.Scenario.Name}: {outcome}";
    }

    private void WriteLines(LabRun run)
    {
        StepTable table = new([.. run.Lines.Where(line => line.Kind == LabLineKind.Step).Select(line => (line.Actor, line.Text))], "");
        bool begun = false;
        foreach (LabLine line in run.Lines)
        {
            switch (line.Kind)
            {
                case LabLineKind.Step:
                    if (!begun)
                    {
                        output.WriteLine(table.Header);
                        begun = true;
                    }

                    output.WriteLine(table.Next(line.Actor, line.Text));
                    break;
                case LabLineKind.Explored:
                    output.WriteLine($"orders  {line.Text}");
                    WriteOrder(run, line.Exploration!);
                    break;
                default:
                    string label = line.Kind switch { LabLineKind.Held => "held", LabLineKind.Failed => "FAILED", _ => "note" };
                    output.WriteLine($"{label,6}  {line.Text}");
                    break;
            }
        }

        if (run.Error is not null)
        {
            output.WriteLine($"{"FAILED",6}  ended by {run.Error.ReplaceLineEndings($"\n{Inner}")}");
        }
    }

    private void WriteOrder(LabRun run, LabExploration exploration)
    {
        if (exploration.Replay is null)
        {
            return;
        }

        StepTable table = new(exploration.Taken, Inner);
        output.WriteLine(table.Header);
        foreach ((string actor, string step) in exploration.Taken)
        {
            output.WriteLine(table.Next(actor, step));
        }

        output.WriteLine($"{Inner}again: quadwalk lab run {run.Scenario.Name} --kernel {LabArguments.NameOf(run.Behavior)} --replay {exploration.Replay}");
    }

    private void WriteCounters(LabRun run)
    {
        LabCounter[] counters = [.. run.Counters.Where(counter => options.AllCounters || counter.After != counter.Before)];
        if (counters.Length == 0)
        {
            return;
        }

        int width = counters.Max(counter => counter.Name.Length);
        output.WriteLine();
        output.WriteLine($"{"counter".PadRight(width)}      before       after      change");
        foreach (LabCounter counter in counters)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{counter.Name.PadRight(width)}  {counter.Before,10:N0}  {counter.After,10:N0}  {counter.After - counter.Before,10:+#,0;-#,0;0}"));
        }
    }
}
