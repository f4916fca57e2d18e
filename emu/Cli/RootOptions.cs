using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Quadwalk.Cli;

/// <summary>The options of every command.</summary>
internal static class RootOptions
{
    public const string Debug = "--debug";

    /// <summary>Adds them, and lets <paramref name="help"/> answer <c>--help</c>.</summary>
    public static void Attach(RootCommand root, DocumentedHelp help)
    {
        root.Add(new Option<bool>(Debug) { Description = "Show the stack of an error.", Recursive = true });
        foreach (Option option in root.Options)
        {
            switch (option)
            {
                case HelpOption:
                    option.Action = help;
                    break;
                case VersionOption:
                    option.Action = new VersionAction();
                    break;
            }
        }
    }
}

/// <summary>Prints the version.</summary>
internal sealed class VersionAction : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.WriteLine($"quadwalk {ProductVersion.Text}");
        return ExitCode.Success;
    }
}
