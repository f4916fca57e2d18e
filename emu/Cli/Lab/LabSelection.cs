using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>From names on a command line to scenarios.</summary>
internal static class LabSelection
{
    private const string All = "all", Row = "row";
    private const int MostSuggestions = 3;

    /// <summary>Every scenario there is, with those that need the emulator, by row.</summary>
    public static IReadOnlyList<LabScenario> Scenarios { get; } = [.. LabCatalog.All.Concat(EmulationLab.All).OrderBy(scenario => scenario.Row)];

    /// <summary>The runs that were asked for, each once.</summary>
    /// <exception cref="CommandException">A name is none, or what was asked for does not go together.</exception>
    public static IReadOnlyList<(LabScenario Scenario, KernelBehavior Kernel)> Select(LabRunOptions options)
    {
        if ((options.Mirror || options.Memory == HostMemoryKind.Memfd) && !HostCapabilities.Probe().Memfd)
        {
            throw CommandException.Usage($"{(options.Mirror ? "--mirror" : "--memory memfd")}: this host has no memfd: leave it out");
        }

        LabScenario[] named = [.. options.Names.SelectMany(Find).Distinct()];
        (LabScenario, KernelBehavior)[] selected =
        [
            .. from scenario in named
               from kernel in scenario.Behaviors
               where options.Kernel is null || options.Kernel == kernel
               select (scenario, kernel),
        ];
        if (selected.Length == 0)
        {
            string kernels = string.Join(" and ", named.SelectMany(scenario => scenario.Behaviors).Distinct().Order().Select(LabArguments.NameOf));
            throw CommandException.Usage($"--kernel {LabArguments.NameOf(options.Kernel!.Value)}: {string.Join(' ', options.Names)} is for {kernels} alone");
        }

        if (options.Replay is not null && selected.Length != 1)
        {
            throw CommandException.Usage(string.Create(
                CultureInfo.InvariantCulture, $"--replay is the order of one run, and this would make {selected.Length}: give one scenario and, where it is for several, --kernel"));
        }

        return selected;
    }

    private static IEnumerable<LabScenario> Find(string name)
    {
        if (name == All)
        {
            return Scenarios;
        }

        if (Scenarios.FirstOrDefault(scenario => scenario.Name == name) is { } found)
        {
            return [found];
        }

        if (name.StartsWith(Row, StringComparison.Ordinal) && int.TryParse(name[Row.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            LabScenario[] ofRow = [.. Scenarios.Where(scenario => scenario.Row == number)];
            return ofRow.Length != 0 ? ofRow : throw Unknown($"there is no row '{name}' with a scenario: `quadwalk lab list` shows the rows");
        }

        string[] nearest = NearestNames.Of(name, [.. Scenarios.Select(scenario => scenario.Name)], MostSuggestions);
        string hint = nearest.Length == 0 ? "" : $"did you mean {string.Join(" or ", nearest)}? ";
        throw Unknown($"there is no scenario '{name}': {hint}`quadwalk lab list` shows them all");
    }

    private static CommandException Unknown(string message) => new(ExitCode.Image, message);
}
