using System.CommandLine;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>The options of <c>quadwalk run --personality linux</c>, and the arguments of the program, which no parser of ours looks at.</summary>
internal sealed class LinuxArguments
{
    private const string PersonalityName = "--personality", Linux = "linux", EndOfOptions = "--";

    private readonly Option<string?> personality = new(PersonalityName)
    {
        Description = "linux: IMAGE is a static Linux program, and what follows it are its arguments.",
        HelpName = Linux,
        CustomParser = result => Parsers.Choice(result, [(Linux, Linux)]),
    };

    private readonly Option<string[]> allow = new("--allow")
    {
        Description = "A file or folder of the host that the Linux program sees, with :rw to change it too. May be repeated.",
        HelpName = "PATH[:rw]",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<string[]> environment = new("--env")
    {
        Description = "A variable of the Linux program's environment, which is empty otherwise. May be repeated.",
        HelpName = "NAME=VALUE",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<ulong?> seed = new("--seed")
    {
        Description = "What the Linux program's random numbers come from. [default: 0]",
        HelpName = "N",
        CustomParser = result => Parsers.Seed(result),
    };

    private readonly Command command;
    private IReadOnlyList<string> rest = [];

    /// <summary>Adds the options to <paramref name="command"/>.</summary>
    public LinuxArguments(Command command)
    {
        this.command = command;
        command.Add(personality);
        command.Add(allow);
        command.Add(environment);
        command.Add(seed);
    }

    /// <summary>Puts the program's own arguments aside and returns the others.</summary>
    public IReadOnlyList<string> TakeGuestArguments(IReadOnlyList<string> arguments)
    {
        if (arguments.Count == 0 || arguments[0] != command.Name)
        {
            return arguments;
        }

        bool linux = false;
        for (int i = 1; i < arguments.Count; i++)
        {
            string argument = arguments[i];
            bool isOption = argument.Length > 1 && argument[0] == '-' && argument != EndOfOptions;
            if (!isOption)
            {
                int image = argument == EndOfOptions ? i + 1 : i;
                if (!linux || image >= arguments.Count)
                {
                    return arguments;
                }

                rest = [.. arguments.Skip(image + 1)];
                return [.. arguments.Take(image + 1)];
            }

            string? value = argument.Contains('=', StringComparison.Ordinal) ? null : TakesValue(argument) && i + 1 < arguments.Count ? arguments[++i] : null;
            linux |= argument == $"{PersonalityName}={Linux}" || (argument == PersonalityName && value == Linux);
        }

        return arguments;
    }

    /// <summary>What was given; null without <c>--personality</c>.</summary>
    /// <exception cref="CommandException">An option belongs to <c>--personality linux</c> only, or is malformed.</exception>
    public LinuxRunOptions? Read(ParseResult result)
    {
        string[] variables = result.GetValue(environment) ?? [];
        string[] paths = result.GetValue(allow) ?? [];
        if (result.GetValue(personality) is null)
        {
            return variables.Length + paths.Length == 0 && result.GetValue(seed) is null
                ? null
                : throw CommandException.Usage("--allow, --env and --seed are for --personality linux: give that too");
        }

        if (variables.FirstOrDefault(variable => variable.IndexOf('=', StringComparison.Ordinal) <= 0) is { } bad)
        {
            throw CommandException.Usage($"--env '{bad}' is no variable: give NAME=VALUE");
        }

        return new LinuxRunOptions
        {
            Arguments = rest,
            Environment = variables,
            Allowed = [.. paths.Select(ParsePath)],
            Seed = result.GetValue(seed) ?? 0,
        };
    }

    private static LinuxPath ParsePath(string text)
    {
        const string writable = ":rw", readable = ":ro";
        bool isWritable = text.EndsWith(writable, StringComparison.Ordinal);
        string path = isWritable || text.EndsWith(readable, StringComparison.Ordinal) ? text[..^writable.Length] : text;
        return Path.Exists(path)
            ? new LinuxPath(Path.GetFullPath(path), isWritable)
            : throw CommandException.Usage($"--allow '{path}': there is no such file or folder: check the path");
    }

    private bool TakesValue(string name) =>
        command.Options.FirstOrDefault(option => option.Name == name || option.Aliases.Contains(name)) is { } found
        && found.ValueType != typeof(bool) && found.Arity.MaximumNumberOfValues > 0;
}
