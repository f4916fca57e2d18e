using System.CommandLine;

namespace Quadwalk.Cli;

/// <summary>Says in one line what is wrong with a command line.</summary>
internal static class UsageErrors
{
    public static string UnknownOption(string option) => $"there is no option '{option}'";

    /// <summary>The first error of <paramref name="result"/>, with where to read on.</summary>
    public static string Describe(ParseResult result)
    {
        Command command = result.CommandResult.Command;
        string help = $"{PathOf(command)} --help";
        string? option = result.UnmatchedTokens.FirstOrDefault(token => token.StartsWith('-'));
        string unknown = option is null ? "" : UnknownOption(option);
        string message = result.Errors.Select(error => error.Message).FirstOrDefault(IsOurs)
            ?? (unknown.Length != 0 ? unknown : Reword(result, command));
        return $"{message}; see `{help}`";
    }

    // Messages of parsers and validators start in lower case or with an option; those of the library with a capital.
    private static bool IsOurs(string message) => !char.IsAsciiLetterUpper(message[0]);

    private static string Reword(ParseResult result, Command command)
    {
        if (command is RootCommand && result.UnmatchedTokens.Count == 0)
        {
            return "no command was given: start with `quadwalk run IMAGE`";
        }

        if (command.Subcommands.Count != 0)
        {
            string choices = string.Join(", ", command.Subcommands.Select(child => child.Name));
            return result.UnmatchedTokens.Count == 0
                ? $"{command.Name} needs to be told what: use {choices}"
                : $"there is no command '{result.UnmatchedTokens[0]}': use {choices}";
        }

        if (result.UnmatchedTokens.Count != 0)
        {
            return $"'{result.UnmatchedTokens[0]}' is one argument too many";
        }

        string message = result.Errors[0].Message.Split('\n')[0].TrimEnd('.', '\r');
        return $"{char.ToLowerInvariant(message[0])}{message[1..]}";
    }

    private static string PathOf(Command command) => command is RootCommand || command.Parents.OfType<Command>().FirstOrDefault() is not { } parent
        ? "quadwalk"
        : $"{PathOf(parent)} {command.Name}";
}
