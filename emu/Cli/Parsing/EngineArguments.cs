using System.CommandLine;
using System.CommandLine.Parsing;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>The options that choose an engine.</summary>
internal sealed class EngineArguments
{
    private readonly Option<EngineKind?> engine = new("--engine")
    {
        Description = "What executes instructions; unicorn needs libunicorn 2.1.1 or later. [default: interpreter]",
        HelpName = "interpreter|unicorn",
        CustomParser = result => Parsers.Choice<EngineKind?>(result, [("interpreter", EngineKind.Interpreter), ("unicorn", EngineKind.Unicorn)]),
    };

    private readonly Option<string?> unicorn = CreateUnicorn();
    private readonly Option<IReadOnlyList<EngineErratum>?> tolerate = CreateTolerate();

    /// <summary>Adds them to <paramref name="command"/>.</summary>
    public EngineArguments(Command command)
    {
        command.Add(engine);
        command.Add(unicorn);
        command.Add(tolerate);
        command.Validators.Add(result =>
        {
            foreach (Option option in (Option[])[unicorn, tolerate])
            {
                if (result.GetResult(option) is { Implicit: false } && result.GetValue(engine) != EngineKind.Unicorn)
                {
                    result.AddError($"{option.Name} is for --engine unicorn: add that");
                }
            }
        });
    }

    /// <summary>The <c>--unicorn</c> option: where the library is.</summary>
    public static Option<string?> CreateUnicorn() => new("--unicorn")
    {
        Description = "The file of libunicorn. [default: the system's]",
        HelpName = "PATH",
    };

    /// <summary>The <c>--tolerate</c> option: errata by their names.</summary>
    public static Option<IReadOnlyList<EngineErratum>?> CreateTolerate() => new("--tolerate")
    {
        Description = "Let Unicorn execute what these errata of its concern, which the interpreter does otherwise: names, separated by commas, or all. "
            + string.Join("; ", UnicornErrata.All.Select(erratum => $"{erratum.Name}: {erratum.What}")) + ".",
        HelpName = "NAMES",
        CustomParser = ParseErrata,
    };

    /// <summary>What was given.</summary>
    public EngineChoice Read(ParseResult result) => new()
    {
        Kind = result.GetValue(engine) ?? EngineKind.Interpreter,
        UnicornPath = result.GetValue(unicorn),
        Tolerated = result.GetValue(tolerate) ?? [],
    };

    private static IReadOnlyList<EngineErratum>? ParseErrata(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (text == "all")
        {
            return UnicornErrata.All;
        }

        List<EngineErratum> found = [];
        foreach (string name in text.Split(','))
        {
            if (UnicornErrata.Find(name) is not { } erratum)
            {
                result.AddError($"--tolerate {text}: no erratum is called '{name}': give {string.Join(", ", UnicornErrata.All.Select(known => known.Name))} or all");
                return null;
            }

            found.Add(erratum);
        }

        return found;
    }
}
