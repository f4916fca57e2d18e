using System.CommandLine;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk lab run</c>: runs scenarios and shows what was done, what was expected and what it cost.</summary>
internal static class LabRunCommand
{
    private const string ChangedCounters = "changed", AllCounters = "all";

    private const string Explanation = """
        A run:
          Steps have a number and stand in the column of who takes them; they are named as the kernel's source names them.
          'held' and 'FAILED' are expectations, 'note' says what is going on. 'orders' is what came of trying every order in which
          parties can take their steps, with the order in which something went wrong and the --replay that takes it again.
          Counters that changed are listed at the end.

        JSON:
          One object: runs [{scenario, row, title, kernel, memory, held, error, lines, counters}], total {runs, held, failed}, complete.
            lines     [{kind, actor, text, exploration}], kind one of note, step, explored, held, failed; exploration, of explored alone, is
                      {number, orders, problem, steps [{actor, step}], replay}
            counters  [{name, before, after}], all of them
          `complete` is false after Ctrl-C, which leaves out what was not run to its end.
        """;

    public static Command Create(CliHost host, DocumentedHelp help)
    {
        Command command = new("run", "Run scenarios, each under every kernel that it is for.");
        Argument<string[]> names = new("NAME")
        {
            Description = "A scenario's name; row3 or row03 for all of a row; or all.",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<KernelBehavior?> kernel = new("--kernel")
        {
            Description = "Only under this kernel's rules. [default: each that the scenario is for]",
            HelpName = "6.12|6.13|proposed",
            CustomParser = result => Parsers.Choice(result, [.. LabArguments.Kernels]),
        };
        Option<HostMemoryKind> memory = new("--memory", "--host-memory")
        {
            Description = "What holds the modelled frames. [default: auto]",
            HelpName = "auto|memfd|anonymous",
            CustomParser = Parsers.HostMemory,
        };
        Option<bool> mirror = new("--mirror")
        {
            Description = "Make each modelled mapping a real one of a memfd too, and compare them after each step as the processor sees them.",
        };
        Option<LabReplay?> replay = new("--replay")
        {
            Description = "Take one order of steps, as a failing run printed it, in place of all: the number of the exploration, a colon, and a digit a step.",
            HelpName = "KEY",
            CustomParser = Parsers.LabReplay,
        };
        Option<ulong?> seed = new("--seed")
        {
            Description = "Take one random order of steps in each exploration in place of all; what is expected of all may then not hold.",
            HelpName = "N",
            CustomParser = result => Parsers.Seed(result),
        };
        Option<bool> summary = new("--summary") { Description = "Show only the last line of each run, and those that failed in full." };
        Option<string?> counters = new("--counters")
        {
            Description = "Which counters to show. [default: changed]",
            HelpName = "changed|all",
            CustomParser = result => Parsers.Choice(result, [(ChangedCounters, ChangedCounters), (AllCounters, AllCounters)]),
        };
        Option<StatsFormat> format = LabArguments.Format();
        Option<string?> output = LabArguments.Output();
        command.Add(names);
        foreach (Option option in (Option[])[kernel, memory, mirror, replay, seed, summary, counters, format, output])
        {
            command.Add(option);
        }

        names.Validators.Add(result =>
        {
            if (result.Tokens.FirstOrDefault(token => token.Value.StartsWith('-')) is { } option)
            {
                result.AddError(UsageErrors.UnknownOption(option.Value));
            }
        });
        command.Validators.Add(result =>
        {
            if (result.GetResult(replay) is not null && result.GetResult(seed) is not null)
            {
                result.AddError("--replay and --seed exclude each other: each says which order is taken");
            }
        });
        command.Validators.Add(result =>
        {
            if (result.GetValue(mirror) && result.GetValue(memory) == HostMemoryKind.Anonymous)
            {
                result.AddError("--mirror maps frames more than once, which --memory anonymous cannot: leave one of them out");
            }
        });
        command.SetAction(result => Execute(host, new LabRunOptions
        {
            Names = result.GetValue(names) ?? [],
            Kernel = result.GetValue(kernel),
            Memory = result.GetValue(memory),
            Mirror = result.GetValue(mirror),
            Replay = result.GetValue(replay),
            Seed = result.GetValue(seed),
            Summary = result.GetValue(summary),
            AllCounters = result.GetValue(counters) == AllCounters,
            Format = result.GetValue(format),
            Output = result.GetValue(output),
        }));
        help.Explain(command, Explanation);
        help.Document(
            command,
            "quadwalk lab run foreign-reference-frees",
            "quadwalk lab run row16 --kernel 6.13 --memory anonymous",
            "quadwalk lab run all --summary",
            "quadwalk lab run all --format json -o lab.json");
        return command;
    }

    private static int Execute(CliHost host, LabRunOptions options)
    {
        IReadOnlyList<(LabScenario Scenario, KernelBehavior Kernel)> selected = LabSelection.Select(options);
        return ReportTarget.Write(host, options.Output, target =>
        {
            using ILabReport report = options.Format == StatsFormat.Json ? new LabJson(target) : new LabText(target, options);
            return Run(host, options, selected, report);
        });
    }

    private static int Run(CliHost host, LabRunOptions options, IReadOnlyList<(LabScenario Scenario, KernelBehavior Kernel)> selected, ILabReport report)
    {
        bool held = true;
        for (int i = 0; i < selected.Count; i++)
        {
            (LabScenario scenario, KernelBehavior kernel) = selected[i];
            LabRun run;
            try
            {
                host.Interrupt.ThrowIfCancellationRequested();
                run = scenario.Run(new LabOptions
                {
                    Behavior = kernel,
                    Memory = options.Memory,
                    Mirrored = options.Mirror,
                    Replay = options.Replay,
                    Seed = options.Seed,
                    Cancellation = host.Interrupt,
                });
            }
            catch (OperationCanceledException) when (host.Interrupt.IsCancellationRequested)
            {
                report.End(complete: false);
                host.Complain($"interrupted in {scenario.Name}, after {i} of {selected.Count} runs");
                return ExitCode.Interrupted;
            }

            held &= run.Held;
            report.Add(run);
        }

        report.End(complete: true);
        return held ? ExitCode.Success : ExitCode.NotHeld;
    }
}
