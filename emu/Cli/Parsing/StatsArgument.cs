using System.CommandLine;

namespace Quadwalk.Cli;

/// <summary><c>--stats</c>, whose value is optional and belongs to it only when attached or one of its words.</summary>
internal static class StatsArgument
{
    private const string Name = "--stats";

    public static Option<StatsFormat> Create() => new(Name)
    {
        Description = "Say on stderr, after the run, what it did: text, or one line of JSON.",
        HelpName = "text|json",
        CustomParser = result => Parsers.Choice(result, [("text", StatsFormat.Text), ("json", StatsFormat.Json)]),
    };

    /// <summary>Gives a bare <c>--stats</c> its value, so that the parser does not take IMAGE for it.</summary>
    public static IReadOnlyList<string> Normalize(IReadOnlyList<string> arguments)
    {
        List<string> result = [.. arguments];
        int at = result.IndexOf(Name);
        int end = result.IndexOf("--");
        if (at >= 0 && (end < 0 || at < end) && (at + 1 == result.Count || result[at + 1] is not ("text" or "json")))
        {
            result[at] = $"{Name}=text";
        }

        return result;
    }
}
