namespace Quadwalk.Cli;

/// <summary>Ends a command with one line on standard error: what, where, what to do.</summary>
internal sealed class CommandException(int exitCode, string message) : Exception(message)
{
    public int ExitCode { get; } = exitCode;

    public static CommandException Usage(string message) => new(Cli.ExitCode.Usage, message);

    public static CommandException Image(string message) => new(Cli.ExitCode.Image, message);
}
