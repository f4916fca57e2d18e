using System.CommandLine;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>The <c>--tlb</c> option: how faithful the guest's TLB is.</summary>
internal static class TlbArgument
{
    /// <summary>Makes it.</summary>
    public static Option<TlbMode> Create() => new("--tlb")
    {
        Description = "The guest's TLB: fast; exact, where a forgotten flush shows; strict, which also says so on stderr, once a page. [default: fast]",
        HelpName = "fast|exact|strict",
        CustomParser = result => Parsers.Choice(result, [("fast", TlbMode.Fast), ("exact", TlbMode.Exact), ("strict", TlbMode.Strict)]),
    };
}
