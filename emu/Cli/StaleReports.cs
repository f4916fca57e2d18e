using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>What <c>--tlb strict</c> says on standard error.</summary>
internal static class StaleReports
{
    /// <summary>Reports the stale translations that a machine's processors use.</summary>
    /// <param name="host">Where to.</param>
    /// <param name="machine">The machine.</param>
    /// <param name="describe">Names an address of code.</param>
    public static void Attach(CliHost host, Machine machine, Func<Gva, string> describe)
    {
        foreach (Vcpu cpu in machine.Cpus)
        {
            cpu.StaleTranslationUsed += use => host.Complain(Describe(use, describe));
        }
    }

    /// <summary>One line: who used what, what the tables say, which entry changed and what was forgotten.</summary>
    internal static string Describe(StaleUse use, Func<Gva, string> describe)
    {
        StaleTranslation stale = use.Translation;
        string kind = stale.Access.Kind switch
        {
            AccessKind.Read => "read of",
            AccessKind.Write => "write to",
            _ => "fetch from",
        };
        ulong used = stale.Cached.Frame.Value + (stale.Address.Value - stale.Cached.Page.Value);
        string from = stale.FromTlb ? "the TLB" : "a cached table entry";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"stale translation at RIP {describe(use.Rip)}, after {use.Instructions} instructions: {kind} 0x{stale.Address.Value:x} went to 0x{used:x} by {from}, but {Now(stale, used)}: {EntryNames.OfLevel(stale.ChangedLevel)} at 0x{stale.ChangedEntry.Value:x} was {stale.Before} and is {stale.After}. Missing: {stale.Remedy}");
    }

    private static string Now(StaleTranslation stale, ulong used) =>
        !stale.Now.Succeeded ? string.Create(CultureInfo.InvariantCulture, $"a walk ends in {stale.Now.Failure}")
        : stale.Now.Gpa.Value != used ? $"the tables say 0x{stale.Now.Gpa.Value:x}"
        : stale.Access.Kind == AccessKind.Write && !stale.After.D && stale.Before.D ? "D was cleared and is not set again"
        : "the tables give another memory type";
}

/// <summary>The names of table entries.</summary>
internal static class EntryNames
{
    /// <summary>The name for a level from 1 to 5.</summary>
    public static string OfLevel(int level) => level switch
    {
        5 => "PML5E",
        4 => "PML4E",
        3 => "PDPTE",
        2 => "PDE",
        _ => "PTE",
    };
}
