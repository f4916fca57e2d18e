using System.Text.Json;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>Scenarios and their runs as JSON; the help of <c>quadwalk lab list</c> and <c>quadwalk lab run</c> describes it.</summary>
internal sealed class LabJson : ILabReport
{
    private readonly Stream target;
    private readonly Utf8JsonWriter json;
    private int runs;
    private int held;

    /// <summary>Begins a report.</summary>
    /// <param name="target">Where to; it is not closed.</param>
    public LabJson(Stream target)
    {
        this.target = target;
        json = new Utf8JsonWriter(target, ReportJson.Layout);
        json.WriteStartObject();
        json.WriteStartArray("runs");
    }

    /// <summary>Lists rows with their scenarios.</summary>
    public static void WriteList(Stream target, IEnumerable<LabRow> rows) => ReportJson.Write(target, json =>
    {
        json.WriteStartArray("rows");
        foreach (LabRow row in rows)
        {
            json.WriteStartObject();
            json.WriteNumber("row", row.Number);
            json.WriteString("mechanism", row.Mechanism);
            json.WriteStartArray("scenarios");
            foreach (LabScenario scenario in LabSelection.Scenarios.Where(scenario => scenario.Row == row.Number))
            {
                json.WriteStartObject();
                json.WriteString("name", scenario.Name);
                json.WriteString("title", scenario.Title);
                json.WriteStartArray("kernels");
                foreach (KernelBehavior kernel in scenario.Behaviors)
                {
                    json.WriteStringValue(LabArguments.NameOf(kernel));
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    public void Add(LabRun run)
    {
        runs++;
        held += run.Held ? 1 : 0;
        json.WriteStartObject();
        json.WriteString("scenario", run.Scenario.Name);
        json.WriteNumber("row", run.Scenario.Row);
        json.WriteString("title", run.Scenario.Title);
        json.WriteString("kernel", LabArguments.NameOf(run.Behavior));
        json.WriteString("memory", LabArguments.NameOf(run.Memory));
        json.WriteBoolean("held", run.Held);
        json.WriteString("error", run.Error);
        json.WriteStartArray("lines");
        foreach (LabLine line in run.Lines)
        {
            Write(line);
        }

        json.WriteEndArray();
        json.WriteStartArray("counters");
        foreach (LabCounter counter in run.Counters)
        {
            json.WriteStartObject();
            json.WriteString("name", counter.Name);
            json.WriteNumber("before", counter.Before);
            json.WriteNumber("after", counter.After);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
    }

    public void End(bool complete)
    {
        json.WriteEndArray();
        json.WriteStartObject("total");
        json.WriteNumber("runs", runs);
        json.WriteNumber("held", held);
        json.WriteNumber("failed", runs - held);
        json.WriteEndObject();
        json.WriteBoolean("complete", complete);
        json.WriteEndObject();
        json.Flush();
        target.WriteByte((byte)'\n');
    }

    public void Dispose() => json.Dispose();

    private void Write(LabLine line)
    {
        json.WriteStartObject();
        json.WriteString("kind", line.Kind switch
        {
            LabLineKind.Note => "note",
            LabLineKind.Step => "step",
            LabLineKind.Explored => "explored",
            LabLineKind.Held => "held",
            _ => "failed",
        });
        json.WriteString("actor", line.Actor.Length == 0 ? null : line.Actor);
        json.WriteString("text", line.Text);
        if (line.Exploration is { } exploration)
        {
            json.WriteStartObject("exploration");
            json.WriteNumber("number", exploration.Number);
            json.WriteNumber("orders", exploration.Orders);
            json.WriteString("problem", exploration.Problem);
            json.WriteStartArray("steps");
            foreach ((string actor, string step) in exploration.Taken)
            {
                json.WriteStartObject();
                json.WriteString("actor", actor);
                json.WriteString("step", step);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteString("replay", exploration.Replay?.ToString());
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }
}
