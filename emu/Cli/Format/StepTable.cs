using System.Globalization;

namespace Quadwalk.Cli;

/// <summary>
/// Lines of steps: a number, and a column for each party in which its steps stand; or, where the columns would be wider than a terminal, one
/// column with the parties' names and one with the steps.
/// </summary>
internal sealed class StepTable
{
    private const int Widest = 118;
    private const int NumberWidth = 6;
    private const string Gap = "  ";

    private readonly string[] actors;
    private readonly int[] widths;
    private readonly bool columns;
    private readonly string indent;
    private int number;

    /// <summary>Looks at all the steps that there will be.</summary>
    /// <param name="steps">The steps.</param>
    /// <param name="indent">What each line begins with.</param>
    public StepTable(IReadOnlyList<(string Actor, string Step)> steps, string indent)
    {
        this.indent = indent;
        actors = [.. steps.Select(step => step.Actor).Distinct()];
        widths = [.. actors.Select(actor => Math.Max(actor.Length, steps.Where(step => step.Actor == actor).Max(step => step.Step.Length)))];
        columns = indent.Length + NumberWidth + widths.Sum(width => width + Gap.Length) <= Widest;
    }

    /// <summary>The line over the steps.</summary>
    public string Header => columns
        ? Line("step", actors)
        : Line("step", "who".PadRight(actors.Max(actor => actor.Length)), "what");

    /// <summary>The line of the next step.</summary>
    public string Next(string actor, string step)
    {
        string label = (++number).ToString(CultureInfo.InvariantCulture);
        return columns
            ? Line(label, [.. actors.Select(one => one == actor ? step : "")])
            : Line(label, actor.PadRight(actors.Max(one => one.Length)), step);
    }

    private string Line(string label, params string[] cells)
    {
        IEnumerable<string> padded = columns ? cells.Select((cell, i) => cell.PadRight(widths[i])) : cells;
        return $"{indent}{label.PadLeft(NumberWidth)}{Gap}{string.Join(Gap, padded)}".TrimEnd();
    }
}
