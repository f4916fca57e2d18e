using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk diff</c>: runs an image on two engines side by side and shows where they first differ.</summary>
internal static class DiffCommand
{
    private const string Format = """
        Both engines run the same guest in machines of their own. The second goes first, for an instruction, a block of its own or up to its
        next exit; the first, the reference, retires as many instructions, and all registers are compared. Memory is compared now and then and at
        the end. Where they differ, the stretch is run again by instruction.

        Status flags that the SDM leaves undefined may differ. Instructions that an erratum of Unicorn's concerns are executed by the interpreter
        on both sides, unless the erratum is tolerated: then Unicorn executes them, and what the erratum says may differ.
        """;

    public static Command Create(CliHost host, TextWriter output, DocumentedHelp help)
    {
        Command command = new("diff", "Run a guest on two engines side by side, and show where they first differ.");
        ImageArguments image = new(command, "--at");
        Option<(EngineKind, EngineKind)?> engines = new("--engines")
        {
            Description = "The reference and the engine that is compared with it. [default: interpreter,unicorn]",
            HelpName = "A,B",
            CustomParser = ParseEngines,
        };
        Option<ComparisonStep> step = new("--step")
        {
            Description = "After how much they are compared. [default: exit]",
            HelpName = "instruction|block|exit",
            CustomParser = result => Parsers.Choice(
                result, [("instruction", ComparisonStep.Instruction), ("block", ComparisonStep.Block), ("exit", ComparisonStep.Exit)]),
            DefaultValueFactory = _ => ComparisonStep.Exit,
        };
        Option<ulong?> limit = Count("--limit", "Compare N instructions: a number, with k, M or G (powers of 1000).");
        Option<ulong?> skip = Count("--skip", "Run N instructions on the interpreter on both sides before comparing.");
        Option<string?> unicorn = EngineArguments.CreateUnicorn();
        Option<IReadOnlyList<EngineErratum>?> tolerate = EngineArguments.CreateTolerate();
        foreach (Option option in (Option[])[engines, step, limit, skip, unicorn, tolerate])
        {
            command.Add(option);
        }

        command.SetAction(result => Execute(host, output, new DiffOptions
        {
            Image = image.Read(result),
            Second = new EngineChoice
            {
                Kind = (result.GetValue(engines) ?? (EngineKind.Interpreter, EngineKind.Unicorn)).Item2,
                UnicornPath = result.GetValue(unicorn),
                Tolerated = result.GetValue(tolerate) ?? [],
            },
            Step = result.GetValue(step),
            Limit = result.GetValue(limit) ?? ulong.MaxValue,
            Skip = result.GetValue(skip) ?? 0,
            Command = Repeatable(result, [step, limit, skip]),
        }));
        help.Explain(command, Format);
        help.Document(
            command,
            "quadwalk diff samples/guests/hello.elf",
            "quadwalk diff --step instruction --limit 1M samples/guests/primes.elf",
            "quadwalk diff --tolerate mxcsr-flags samples/guests/nbody.elf");
        return command;
    }

    private static int Execute(CliHost host, TextWriter output, DiffOptions options)
    {
        if (options.Image.Kind == MachineKind.Pc)
        {
            throw CommandException.Usage("diff compares bare machines: leave --machine out");
        }

        EngineDifference? difference = Compare(host, options, options.Skip, options.Limit, options.Step, out Summary summary);
        ComparisonStep shown = options.Step;
        if (difference is not null && options.Step != ComparisonStep.Instruction)
        {
            EngineDifference? closer = Compare(host, options, difference.Before, difference.After - difference.Before + 1, ComparisonStep.Instruction, out _);
            shown = closer is null ? options.Step : ComparisonStep.Instruction;
            difference = closer ?? difference;
        }

        if (difference is null)
        {
            string by = options.Second.Kind == EngineKind.Unicorn
                ? string.Create(CultureInfo.InvariantCulture, $", {summary.UnicornInstructions} of them by Unicorn")
                : "";
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"no difference in {summary.Instructions} instructions{by}, compared {summary.Comparisons} times: {summary.End}"));
            return summary.Interrupted ? ExitCode.Interrupted : ExitCode.Success;
        }

        DiffReport.Write(output, options, difference, shown, summary.Describe);
        return ExitCode.Difference;
    }

    private static EngineDifference? Compare(CliHost host, DiffOptions options, ulong skip, ulong limit, ComparisonStep step, out Summary summary)
    {
        using GuestSession reference = GuestSession.Open(options.Image);
        using GuestSession subject = GuestSession.Open(options.Image with { Engine = options.Second });
        using CancellationTokenRegistration interrupt = host.Interrupt.Register(() =>
        {
            reference.Machine.RequestStop();
            subject.Machine.RequestStop();
        });
        Skip(reference.Machine, skip);
        Skip(subject.Machine, skip);
        EngineComparison comparison = new(reference.Machine, subject.Machine, step);
        EngineDifference? difference = comparison.Run(limit);
        CpuCounters counters = subject.Machine.Cpu.Counters;
        string end = comparison.Ended switch
        {
            null or { Reason: StopReason.Limit } => "stopped by --limit",
            { Reason: StopReason.Requested } => "interrupted",
            { } report => $"the guest ended, {report.Reason}",
        };
        SymbolTable symbols = subject.Symbols;
        summary = new Summary(
            counters.Instructions, counters.UnicornInstructions, comparison.Comparisons, end, comparison.Ended?.Reason == StopReason.Requested,
            address => GuestAddress.Describe(address, symbols));
        return difference;
    }

    private static void Skip(Machine machine, ulong count)
    {
        if (count != 0)
        {
            machine.RunInterpreted(count);
        }
    }

    private static Option<ulong?> Count(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result => Parsers.Count(result),
    };

    private static (EngineKind, EngineKind)? ParseEngines(ArgumentResult result)
    {
        switch (result.Tokens[0].Value)
        {
            case "interpreter,unicorn":
                return (EngineKind.Interpreter, EngineKind.Unicorn);
            case "interpreter,interpreter":
                return (EngineKind.Interpreter, EngineKind.Interpreter);
            default:
                result.AddError($"--engines '{result.Tokens[0].Value}' is no pair of engines: give interpreter,unicorn or interpreter,interpreter");
                return null;
        }
    }

    /// <summary>The command line as it was given, but for some options.</summary>
    private static string Repeatable(ParseResult result, Option[] without)
    {
        List<string> words = ["quadwalk"];
        HashSet<string> names = [.. without.Select(option => option.Name)];
        bool leaveOut = false;
        foreach (Token token in result.Tokens)
        {
            if (leaveOut)
            {
                leaveOut = false;
                continue;
            }

            leaveOut = token.Type == TokenType.Option && names.Contains(token.Value);
            if (!leaveOut)
            {
                words.Add(token.Value.Contains(' ', StringComparison.Ordinal) ? $"'{token.Value}'" : token.Value);
            }
        }

        return string.Join(' ', words);
    }

    private sealed record Summary(
        ulong Instructions, ulong UnicornInstructions, ulong Comparisons, string End, bool Interrupted, Func<Gva, string> Describe);
}
