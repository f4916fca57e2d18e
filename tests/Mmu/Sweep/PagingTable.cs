using System.Globalization;
using System.Text;

namespace Quadwalk.Tests;

/// <summary>Writes tests/Golden/paging.md: what the sweeps over page walks span.</summary>
internal static class PagingTable
{
    public static string Write(int samples, Func<Sweep, SweepPairs> pairsOf)
    {
        StringBuilder text = new();
        text.Append(
            """
            # What the sweeps over page walks span

            Made by `tests/Mmu/PagingTableTests.cs`. Each state is one combination of the axes' values: it is walked under both policies for accessed flags, and
            failure, error code, entry to blame, reserved bits, address, page size, rights and the entries left in memory are compared with the rules of the SDM
            (`tests/Mmu/Sweep/SweepRules.cs`). `./test` walks states in which every two values of two axes meet, and random ones; `./test --full` walks all.


            """);
        Rows(text, PagingSweeps.All, pairsOf, _ => samples, _ => true);
        text.Append(
            """

            ## Under a second stage

            A walk of a guest's tables by EPT or nested page tables ends in a translation, a fault of the guest or an exit. Beside the above, exit, qualification
            or EXITINFO1, guest-physical address, purpose, both stages' entry to blame, host-physical address, the smaller page, the rights of both stages and every
            entry of both are compared with the rules of SDM and APM (`tests/Mmu/Sweep/NestedOracle.cs`). "Everything" is too large to be walked in full; the
            slices after it are not. `table` is the second stage's entry for a table of the guest, `page` the one for its page, `~` a flag that is 1 at first.


            """);
        Rows(text, NestedSweeps.All, pairsOf, sweep => NestedSweeps.Whole.Contains(sweep) ? NestedSweepTests.Samples : NestedSweepTests.SliceSamples, NestedSweeps.Slices.Contains);
        return text.ToString();
    }

    private static void Rows(StringBuilder text, IEnumerable<Sweep> sweeps, Func<Sweep, SweepPairs> pairsOf, Func<Sweep, int> samplesOf, Func<Sweep, bool> isWalkedInFull)
    {
        text.Append(
            """
            | sweep | axes (values) | states with every two values | `./test` | `./test --full` |
            |---|---|---|---|---|

            """);
        long normal = 0, full = 0;
        foreach (Sweep sweep in sweeps)
        {
            int pairs = pairsOf(sweep).Rows.Count;
            long inNormal = pairs + samplesOf(sweep), inFull = isWalkedInFull(sweep) ? sweep.States : inNormal;
            normal += inNormal;
            full += inFull;
            text.Append(CultureInfo.InvariantCulture, $"| {sweep.Name} | {string.Join(", ", sweep.Axes.Select(AxisText))} | {pairs:N0} | {inNormal:N0} | {inFull:N0} |\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"| together | | | {normal:N0} | {full:N0} |\n");
    }

    private static string AxisText(Axis axis) => axis.Count == 2 ? axis.Name : string.Create(CultureInfo.InvariantCulture, $"{axis.Name} ({axis.Count})");
}
