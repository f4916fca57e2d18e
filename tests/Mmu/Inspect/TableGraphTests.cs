using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class TableGraphTests
{
    private static readonly TableGraphLimits Generous = new(1 << 16, 1 << 16, int.MaxValue, int.MaxValue);

    private static readonly PagingState FourLevel = new(
        PagingState.Cr0PG | PagingState.Cr0WP, 0, PagingState.Cr4PAE, PagingState.EferLMA | PagingState.EferNXE, false, 36);

    [Test]
    public void EachTableStandsOnceWithAllItsEntries(
        [Values(PagingMode.Bits32, PagingMode.Pae, PagingMode.FourLevel, PagingMode.FiveLevel)] PagingMode mode, [Values(5, 600)] int present)
    {
        Random random = new(present);
        int tables = 0;
        int longRuns = 0;
        for (int round = 0; round < 20; round++)
        {
            FrameTables memory = RandomTables.Make(random, mode, present);
            PagingState state = RandomTables.State(random, mode);
            TableGraph graph = TableGraph.Of(memory, state, Generous);
            Assert.That(graph.Tables.Select(table => table.Address), Is.Unique);
            foreach (TableNode table in graph.Tables)
            {
                int next = 0;
                foreach (TableEntryRun run in table.Runs)
                {
                    Assert.That(run.FirstIndex, Is.EqualTo(next));
                    next = run.LastIndex + 1;
                    longRuns += run is { Count: > 1, Kind: TableEntryKind.Page } ? 1 : 0;
                    CheckRun(memory, mode, run);
                    Assert.That(run.Kind != TableEntryKind.Table || graph.Find(run.Target) is { } child && child.ReferenceCount >= run.Count);
                }

                Assert.That(next, Is.EqualTo(mode == PagingMode.Bits32 ? 1024 : table.Level == 3 && mode == PagingMode.Pae ? 4 : 512));
                Assert.That(table.SeenFrom, Has.Count.EqualTo(Math.Min(table.ReferenceCount, TableGraph.MostReferences)));
                tables++;
            }
        }

        Assert.That((tables, longRuns), Is.GreaterThan((60, 50)));
    }

    [Test]
    public void ARecursiveEntryLeadsBackAndASharedTableIsSeenFromBoth()
    {
        FrameTables memory = new(6);
        memory[0, 0] = 0x1007;
        memory[0, 9] = 0x0003;
        memory[0, 300] = 0x1005;
        memory[1, 1] = 0x2007;
        memory[2, 0] = 0x3007;
        memory[2, 1] = 0x3007;
        memory[3, 0] = 0x5007;
        memory[3, 1] = 0x6007;
        memory[3, 2] = 0x7007;
        memory[3, 4] = 0x7007;
        memory[3, 5] = 0x7007;
        TableGraph graph = TableGraph.Of(memory, FourLevel, Generous);
        TableNode root = graph.Find(new Gpa(0))!;
        TableNode directory = graph.Find(new Gpa(0x2000))!;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(graph.Tables.Select(table => (table.Address.Value, table.Level)), Is.EqualTo(new (ulong, int)[] { (0, 4), (0x1000, 3), (0x2000, 2), (0x3000, 1) }));
            Assert.That((root.IsUsedForSeveralLevels, root.ReferenceCount), Is.EqualTo((true, 1)));
            Assert.That(root.SeenFrom, Is.EqualTo(new[] { new TableReference(4, new Gpa(9 * 8), new Gpa(0), 9) }));
            Assert.That(graph.Find(new Gpa(0x1000))!.SeenFrom.Select(reference => reference.Index), Is.EqualTo(new[] { 0, 300 }));
            Assert.That(directory.Runs[0], Has.Property("FirstIndex").EqualTo(0).And.Property("LastIndex").EqualTo(1), "the same table twice");
            Assert.That(
                graph.Find(new Gpa(0x3000))!.Runs.Select(run => (run.FirstIndex, run.LastIndex, run.TargetStep)),
                Is.EqualTo(new (int, int, ulong)[] { (0, 2, 0x1000), (3, 3, 0), (4, 5, 0), (6, 511, 0) }));
            Assert.That(graph.Find(new Gpa(0x3000))!.First, Is.EqualTo(new Gva(1UL << 30)));
        }
    }

    [Test]
    public void TheLimitsHoldAndTheWalkedEntriesAreThereAllTheSame()
    {
        Random random = new(3);
        for (int round = 0; round < 20; round++)
        {
            FrameTables memory = RandomTables.Make(random, PagingMode.FourLevel, 300);
            PagingState state = RandomTables.State(random, PagingMode.FourLevel);
            Gva address = new((ulong)random.NextInt64(1L << 47));
            UnmarkedTables unmarked = new(memory);
            WalkTrace trace = default;
            PageWalker.Walk(ref unmarked, state, address, new WalkAccess(AccessKind.Read, User: false), ref trace);
            TableGraph graph = TableGraph.Of(memory, state, new TableGraphLimits(8, 3, 40, 12), address);
            HashSet<Gpa> single = [.. graph.Tables.SelectMany(table => table.Runs).Where(run => run.Count == 1).Select(run => run.Address)];
            using (Assert.EnterMultipleScope())
            {
                Assert.That(graph.Tables, Has.Count.LessThanOrEqualTo(8 + trace.Steps.Length));
                Assert.That(graph.Tables.Count(table => table.IsShown), Is.LessThanOrEqualTo(3 + trace.Steps.Length));
                Assert.That(graph.Tables.Sum(table => table.Runs.Count), Is.LessThanOrEqualTo(40 + trace.Steps.Length));
                foreach (WalkStep step in trace.Steps)
                {
                    Assert.That(single, Does.Contain(step.Address), $"the entry of level {step.Level}");
                }
            }
        }
    }

    private static void CheckRun(FrameTables memory, PagingMode mode, in TableEntryRun run)
    {
        if (run.Kind is TableEntryKind.NotPresent or TableEntryKind.Unreachable || (mode == PagingMode.Pae && run.Address.Value % 0x1000 < 32))
        {
            return;
        }

        ulong size = mode == PagingMode.Bits32 ? 4u : 8u;
        for (int i = 0; i < run.Count; i++)
        {
            ulong address = run.Address.Value + ((ulong)i * size);
            memory.TryRead(new Gpa(address & ~7UL), out ulong word);
            ulong raw = size == 8 ? word : (uint)(word >> (int)(8 * (address & 7)));
            Assert.That(raw, Is.EqualTo(run.First.Raw + ((ulong)i * run.TargetStep)), $"entry {run.FirstIndex + i} at 0x{address:x}");
        }
    }
}
