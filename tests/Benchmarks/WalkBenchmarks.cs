using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Benchmarks;

/// <summary>
/// A 4-level walk over tables in guest memory, read as the processor and as the hypervisor reads them. Warm walks repeat one
/// address; cold walks go through 16 GiB of 4 KiB pages at random, whose entries take 32 MiB and so come from far caches or memory.
/// </summary>
[InProcess]
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "GlobalCleanup disposes.")]
public class WalkBenchmarks
{
    private const ulong Mapped = 16UL << 30;
    private const int Pages = (int)(Mapped / PageSize.Size4K);
    private static readonly Gva Base = new(0x4000_0000_0000);

    private readonly HostMemory memory = HostMemory.Create(64UL << 20);
    private readonly Memslots slots = new();
    private readonly Gva[] order = new Gva[Pages];
    private PagingState state;
    private UserspaceMapping path = null!;
    private PageTableBuilder builder = null!;
    private Quadwalk.Emulation.MachineSecondStage secondStage = null!;
    private Quadwalk.Emulation.GuestPhysicalCache cache = null!;
    private int next;

    [GlobalSetup]
    public void Setup()
    {
        slots.Add(new Gpa(0), memory.Size, memory.Base);
        secondStage = new Quadwalk.Emulation.MachineSecondStage(slots, 46, memory);
        cache = new Quadwalk.Emulation.GuestPhysicalCache(secondStage);
        path = new UserspaceMapping(slots);
        builder = new PageTableBuilder(path, new Gpa(0), 64UL << 20);
        builder.Map(Base, new Gpa(0), Mapped, PageRights.Write);
        state = new PagingState(0x8001_0001, builder.Cr3, 0x20, 0xD00, false, 46);
        for (int i = 0; i < Pages; i++)
        {
            order[i] = Base + ((ulong)i * PageSize.Size4K);
        }

        new Random(1).Shuffle(order);
    }

    /// <summary>Gives the memory back.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        cache.Dispose();
        secondStage.Dispose();
        memory.Dispose();
    }

    [Benchmark(Description = "warm, processor")]
    public ulong Warm()
    {
        Quadwalk.Emulation.RamTables tables = new(cache);
        NoWalkObserver none = default;
        return PageWalker.Walk(ref tables, state, Base, new WalkAccess(AccessKind.Read, false), ref none).Gpa.Value;
    }

    [Benchmark(Description = "cold, processor")]
    public ulong Cold()
    {
        Quadwalk.Emulation.RamTables tables = new(cache);
        NoWalkObserver none = default;
        return PageWalker.Walk(ref tables, state, order[next++ & (Pages - 1)], new WalkAccess(AccessKind.Read, false), ref none).Gpa.Value;
    }

    [Benchmark(Description = "warm, hypervisor through the userspace mapping")]
    public ulong WarmThroughPath()
    {
        AccessTables<IGuestMemoryAccess> tables = new(path);
        NoWalkObserver none = default;
        return PageWalker.Walk(ref tables, state, Base, new WalkAccess(AccessKind.Read, false), ref none).Gpa.Value;
    }
}
