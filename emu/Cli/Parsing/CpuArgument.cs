using System.CommandLine;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>The <c>--cpu</c> option: which processor model the guest sees.</summary>
internal static class CpuArgument
{
    /// <summary>Makes it.</summary>
    public static Option<CpuFeatures?> Create() => new("--cpu")
    {
        Description = "The processor model: an x86-64 level or everything, then +FEATURE and -FEATURE as `quadwalk info` lists them, and phys-bits=N for MAXPHYADDR. [default: max]",
        HelpName = $"{string.Join('|', CpuModels.Names)}[,+FEATURE,-FEATURE,phys-bits=N...]",
        CustomParser = Parsers.Cpu,
    };
}
