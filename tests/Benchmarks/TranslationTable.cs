namespace Quadwalk.Benchmarks;

/// <summary>
/// What translations cost, from a TLB hit to a walk in two dimensions: the work of the benchmark classes, by <see cref="BestOfTurns"/> in
/// one process. Quicker than BenchmarkDotNet and kinder to a busy host; each operation includes the call of a delegate,
/// except those in batches.
/// </summary>
internal static class TranslationTable
{
    private const int Turns = 200;
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
        BestOfTurns.Row[] rows =
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
        BestOfTurns.Print(rows, Turns, output);
        tlb.Cleanup();
        walk.Cleanup();
        nested.Cleanup();
        return 0;
    }
}
