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

            | sweep | axes (values) | states with every two values | `./test` | `./test --full` |
            |---|---|---|---|---|

            """);
        long normal = 0, full = 0;
        foreach (Sweep sweep in PagingSweeps.All)
        {
            int pairs = pairsOf(sweep).Rows.Count;
            normal += pairs + samples;
            full += sweep.States;
            text.Append(CultureInfo.InvariantCulture, $"| {sweep.Name} | {string.Join(", ", sweep.Axes.Select(AxisText))} | {pairs:N0} | {pairs + samples:N0} | {sweep.States:N0} |\n");
        }

        return text.Append(CultureInfo.InvariantCulture, $"| together | | | {normal:N0} | {full:N0} |\n").ToString();
    }

    private static string AxisText(Axis axis) => axis.Count == 2 ? axis.Name : string.Create(CultureInfo.InvariantCulture, $"{axis.Name} ({axis.Count})");
}
