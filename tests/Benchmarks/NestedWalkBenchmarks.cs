using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Benchmarks;

/// <summary>
/// Two-dimensional walks over tables in host frames: 4 levels over 4 levels of 4 KiB pages, so that each walk reads 24 entries, and over
/// pages of 2 MiB. Warm walks repeat one address.
/// </summary>
[InProcess]
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "GlobalCleanup disposes.")]
public class NestedWalkBenchmarks
{
    private const ulong Ram = 64UL << 20;
    private const SecondStageRights All = SecondStageRights.Read | SecondStageRights.Write | SecondStageRights.Execute | SecondStageRights.ExecuteUser;
    private static readonly Gva Base = new(0x4000_0000_0000);

    private readonly HostMemory memory = HostMemory.Create(Ram);
    private readonly HostFrames frames = new();
    private PagingState guest;
    private EptStage<HostFrameTables> small;
    private EptStage<HostFrameTables> large;
    private NptStage<HostFrameTables> nested;
    private EptState smallState;

    [GlobalSetup]
    public void Setup()
    {
        Memslots slots = new();
        slots.Add(new Gpa(0), memory.Size, memory.Base);
        PageTableBuilder builder = new(new UserspaceMapping(slots), new Gpa(0), 1UL << 20);
        builder.Map(Base, new Gpa(0), Ram, PageRights.Write);
        guest = new PagingState(0x8001_0001, builder.Cr3, 0x20, 0xD00, false, 46);

        HostFrameTables tables = new(frames);
        Hpa ram = frames.AddRegion(memory.Base, memory.Size).Address;
        EptBuilder pages4K = new(tables);
        pages4K.Map(new Gpa(0), ram, Ram, All);
        EptBuilder pages2M = new(tables);
        pages2M.Map(new Gpa(0), ram, Ram, All, largestPageShift: PageSize.Shift2M);
        NptBuilder npt = new(tables);
        npt.Map(new Gpa(0), ram, Ram, SecondStageRights.Read | SecondStageRights.Write | SecondStageRights.Execute);
        smallState = new EptState(EptPointer.To(pages4K.Root), HostFrames.AddressBits, EptCapabilities.All);
        small = new(tables, smallState);
        large = new(tables, new EptState(EptPointer.To(pages2M.Root), HostFrames.AddressBits, EptCapabilities.All));
        nested = new(tables, new NptState(npt.Root.Value, 0x20, 0xD00, HostFrames.AddressBits));
    }

    /// <summary>Gives the memory back.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        frames.Dispose();
        memory.Dispose();
    }

    [Benchmark(Description = "warm, 4 levels over EPT of 4 KiB pages")]
    public ulong Ept4K() => Walk(ref small);

    [Benchmark(Description = "warm, 4 levels over EPT of 2 MiB pages")]
    public ulong Ept2M() => Walk(ref large);

    [Benchmark(Description = "warm, 4 levels over nested page tables of 4 KiB pages")]
    public ulong Npt4K() => Walk(ref nested);

    [Benchmark(Description = "warm, EPT alone, 4 KiB pages")]
    public ulong EptAlone()
    {
        HostFrameTables tables = new(frames);
        NoNestedWalkObserver none = default;
        _ = EptWalker.TryTranslate(ref tables, smallState, new Gpa(0x123456), SecondStageAccess.GuestTable, ref none, out SecondStageResult result);
        return result.Hpa.Value;
    }

    private ulong Walk<TStage>(ref TStage stage)
        where TStage : struct, ISecondStage
    {
        NoNestedWalkObserver none = default;
        NestedWalker.Walk(ref stage, guest, Base, new WalkAccess(AccessKind.Read, false), ref none, out NestedWalkResult result);
        return result.Hpa.Value;
    }
}
