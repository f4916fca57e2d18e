using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Quadwalk.GuestMemory;

/// <summary>One order of steps of one exploration of a scenario, as a word for a command line: <c>1:0010</c>.</summary>
/// <param name="Exploration">The number of the exploration in its run, from 1 on.</param>
/// <param name="Choices">The number of the party that takes each step; the steps after the last are the first party's that can go on.</param>
/// <remarks>The word has a digit for each step, from 0 to 9 and a to v, since a scenario has 32 parties at most.</remarks>
public sealed record LabReplay(int Exploration, IReadOnlyList<int> Choices)
{
    private const string Digits = "0123456789abcdefghijklmnopqrstuv";

    /// <summary>Reads what <see cref="ToString"/> wrote; false if it is something else.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out LabReplay? replay)
    {
        replay = null;
        string[] parts = (text ?? "").Split(':');
        if (parts.Length != 2 || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number == 0)
        {
            return false;
        }

        int[] choices = [.. parts[1].Select(digit => Digits.IndexOf(digit, StringComparison.Ordinal))];
        if (choices.Length is 0 or > StepScheduler.MostSteps || choices.Contains(-1))
        {
            return false;
        }

        replay = new LabReplay(number, choices);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Exploration}:{string.Concat(Choices.Select(choice => Digits[choice]))}");
}
