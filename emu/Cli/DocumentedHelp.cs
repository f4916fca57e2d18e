using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Quadwalk.Cli;

/// <summary>The library's help with examples and the exit codes under it.</summary>
internal sealed class DocumentedHelp : SynchronousCommandLineAction
{
    private readonly Dictionary<Command, string[]> examples = [];
    private readonly Dictionary<Command, string> explanations = [];
    private readonly HelpAction help = new() { MaxWidth = 110 };

    public override bool ClearsParseErrors => true;

    /// <summary>Gives a command its examples.</summary>
    public void Document(Command command, params string[] lines) => examples[command] = lines;

    /// <summary>Gives a command a text that stands before its examples.</summary>
    public void Explain(Command command, string text) => explanations[command] = text;

    public override int Invoke(ParseResult parseResult)
    {
        help.Invoke(parseResult);
        TextWriter output = parseResult.InvocationConfiguration.Output;
        if (explanations.TryGetValue(parseResult.CommandResult.Command, out string? explanation))
        {
            output.WriteLine(explanation);
            output.WriteLine();
        }

        if (examples.TryGetValue(parseResult.CommandResult.Command, out string[]? lines))
        {
            output.WriteLine("Examples:");
            foreach (string line in lines)
            {
                output.WriteLine($"  {line}");
            }

            output.WriteLine();
        }

        output.WriteLine("Exit codes:");
        foreach ((string code, string meaning) in ExitCode.Meanings)
        {
            output.WriteLine($"  {code,-8}{meaning}");
        }

        return ExitCode.Success;
    }
}
