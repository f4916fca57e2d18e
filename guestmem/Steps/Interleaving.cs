using System.Globalization;
using System.Text;

namespace Quadwalk.GuestMemory;

/// <summary>The order in which parties took their steps.</summary>
/// <param name="Choices">The number of the party that took each step.</param>
/// <param name="Taken">The steps, one line each: party and step.</param>
public sealed record Interleaving(IReadOnlyList<int> Choices, IReadOnlyList<(string Actor, string Step)> Taken)
{
    /// <summary>The choices as text, for <see cref="StepScheduler.Replay"/>: <c>0 0 1 0</c>.</summary>
    public string Key => string.Join(' ', Choices);

    /// <summary>Reads what <see cref="Key"/> wrote.</summary>
    /// <exception cref="FormatException">It is not a list of numbers.</exception>
    public static int[] ParseKey(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return [.. key.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => int.Parse(word, NumberStyles.None, CultureInfo.InvariantCulture))];
    }

    /// <summary>A table with a column for each party and a line for each step.</summary>
    public override string ToString()
    {
        string[] names = [.. Taken.Select(line => line.Actor).Distinct()];
        int[] widths = [.. names.Select(name => Taken.Where(line => line.Actor == name).Max(line => line.Step.Length))];
        StringBuilder text = new();
        AppendLine(text, "step", names, widths, names);
        for (int i = 0; i < Taken.Count; i++)
        {
            string[] cells = [.. names.Select(name => name == Taken[i].Actor ? Taken[i].Step : "")];
            AppendLine(text, (i + 1).ToString(CultureInfo.InvariantCulture), names, widths, cells);
        }

        return text.ToString();
    }

    private static void AppendLine(StringBuilder text, string number, string[] names, int[] widths, string[] cells)
    {
        StringBuilder line = new();
        line.Append(number.PadLeft(4));
        for (int i = 0; i < names.Length; i++)
        {
            line.Append("  ").Append(cells[i].PadRight(Math.Max(widths[i], names[i].Length)));
        }

        text.Append(line.ToString().TrimEnd()).Append('\n');
    }
}
