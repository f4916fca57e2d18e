using System.CommandLine;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>Options that the commands of the lab share, and the kernels' names.</summary>
internal static class LabArguments
{
    /// <summary>The kernels by the names that they have on a command line and in JSON.</summary>
    public static IReadOnlyList<(string Word, KernelBehavior Value)> Kernels { get; } =
        [("6.12", KernelBehavior.V6_12), ("6.13", KernelBehavior.V6_13), ("proposed", KernelBehavior.Proposed)];

    public static string NameOf(KernelBehavior kernel) => Kernels.First(one => one.Value == kernel).Word;

    public static string NameOf(HostMemoryKind memory) => memory == HostMemoryKind.Memfd ? "memfd" : "anonymous";

    public static Option<StatsFormat> Format() => new("--format")
    {
        Description = "How to write it: lines, or one JSON object. [default: text]",
        HelpName = "text|json",
        CustomParser = result => Parsers.Choice(result, [("text", StatsFormat.Text), ("json", StatsFormat.Json)]),
    };

    public static Option<string?> Output() => new("--output", "-o")
    {
        Description = "Write to FILE, which appears once it is complete, instead of standard output.",
        HelpName = "FILE",
    };
}
