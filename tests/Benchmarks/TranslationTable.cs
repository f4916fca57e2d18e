using System.Diagnostics;
using System.Globalization;

namespace Quadwalk.Benchmarks;

/// <summary>
/// What translations cost, from a TLB hit to a walk in two dimensions: the work of the benchmark classes in turns of a few milliseconds, the
/// best turn of each in one process. Quicker than BenchmarkDotNet and kinder to a busy host; each operation includes the call of a delegate,
/// except those in batches.
/// </summary>
internal static class TranslationTable
{
    private const int Turns = 200;
    private const double TurnSeconds = 0.003;
    private const int Batch = 1024;

    /// <summary>Prints the table.</summary>
    public static int Print(TextWriter output)
    {
        TlbBenchmarks tlb = new();
        WalkBenchmarks walk = new();
        NestedWalkBenchmarks nested = new();
        tlb.Setup();
        walk.Setup();
        nested.Setup();
        Row[] rows =
        [
            new("TLB hit, through the processor's port", tlb.Hit, Batch),
            new("random over 8 MiB of 4 KiB pages", tlb.Middle, Batch),
            new("random over 256 MiB of 4 KiB pages", tlb.Far, Batch),
            new("random over 4 GiB of 2 MiB pages", tlb.LargePagesAtRandom, Batch),
            new("warm 4-level walk", walk.Warm, 1),
            new("cold 4-level walk", walk.Cold, 1),
            new("warm 4-level walk through the userspace mapping", walk.WarmThroughPath, 1),
            new("warm EPT walk, 4 KiB pages", nested.EptAlone, 1),
            new("warm 4-level walk over EPT of 4 KiB pages", nested.Ept4K, 1),
            new("warm 4-level walk over EPT of 2 MiB pages", nested.Ept2M, 1),
            new("warm 4-level walk over NPT of 4 KiB pages", nested.Npt4K, 1),
            new("MOV CR3 with bit 63, and a hit", tlb.SwitchKeeping, 1),
            new("MOV CR3 without, and a miss", tlb.SwitchDropping, 1),
            new("INVLPG, and a miss", tlb.Invlpg, 1),
        ];
        foreach (Row row in rows)
        {
            row.Calibrate();
        }

        for (int turn = 0; turn < Turns; turn++)
        {
            foreach (Row row in rows)
            {
                row.Run();
            }
        }

        output.WriteLine("operation                                            ns");
        foreach (Row row in rows)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{row.Name,-48}  {row.BestNanoseconds,6:f1}"));
        }

        tlb.Cleanup();
        walk.Cleanup();
        nested.Cleanup();
        return 0;
    }

    private sealed class Row(string name, Func<ulong> work, int operations)
    {
        private int calls = 1;

        public string Name => name;

        public double BestNanoseconds { get; private set; } = double.MaxValue;

        // Twice, since the first calls are those of code that is not optimised yet.
        public void Calibrate()
        {
            for (int pass = 0; pass < 2; pass++)
            {
                calls = 1;
                while (Time() < TurnSeconds)
                {
                    calls *= 2;
                }
            }
        }

        public void Run() => BestNanoseconds = Math.Min(BestNanoseconds, Time() * 1e9 / calls / operations);

        private double Time()
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < calls; i++)
            {
                work();
            }

            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
    }
}
