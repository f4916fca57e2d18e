using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Benchmarks;

/// <summary>
/// What the TLB costs: hits, misses that the second level serves, misses that walk, and what drops translations. Random accesses go over
/// 4 GiB in pages of 2 MiB, and over 8 MiB and 256 MiB in pages of 4 KiB.
/// </summary>
[InProcess]
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "GlobalCleanup disposes.")]
public unsafe class TlbBenchmarks
{
    private const int Batch = 1024;
    private const ulong Frame = 0x200_0000;
    private const ulong Small = 0x10_0000_0000;
    private const ulong Large = 0x20_0000_0000;
    private const int SmallPages = 1 << 16;
    private const int LargePages = 1 << 11;
    private const ulong Keep = 1UL << 63;

    private readonly Machine machine = new(new MachineOptions());
    private readonly ulong[] hits = new ulong[Batch];
    private readonly ulong[] middle = new ulong[Batch];
    private readonly ulong[] far = new ulong[Batch];
    private readonly ulong[] large = new ulong[Batch];
    private ulong root;
    private int turn;

    /// <summary>Maps all pages to the same few frames.</summary>
    [GlobalSetup]
    public void Setup()
    {
        PageTableBuilder tables = new(machine.Access, new Gpa(0x10_0000), 0x100_0000);
        for (ulong page = 0; page < SmallPages; page++)
        {
            tables.Map(new Gva(Small + (page << 12)), new Gpa(Frame + ((page & 511) << 12)), PageSize.Size4K, PageRights.Write);
        }

        for (ulong page = 0; page < LargePages; page++)
        {
            tables.Map(new Gva(Large + (page << 21)), new Gpa(Frame), PageSize.Size2M, PageRights.Write, PageSize.Shift2M);
        }

        ref CpuState cpu = ref machine.Cpu.State;
        cpu.Cr0 = Cr0.PE | Cr0.PG;
        root = tables.Cr3;
        cpu.Cr3 = root | 1;
        cpu.Cr4 = Cr4.PAE | Cr4.PGE | Cr4.PCIDE | Cr4.PKE;
        cpu.Msr.Efer = Efer.LME | Efer.LMA;
        machine.Cpu.FlushTlb();
        Random random = new(1);
        for (int i = 0; i < Batch; i++)
        {
            hits[i] = Small + ((ulong)random.Next(16) << 12) + (ulong)(random.Next(256) * 8);
            middle[i] = Small + ((ulong)random.Next(1 << 11) << 12);
            far[i] = Small + ((ulong)random.Next(SmallPages) << 12);
            large[i] = Large + ((ulong)random.NextInt64(LargePages) << 21) + ((ulong)random.Next(512) << 12);
        }
    }

    /// <summary>Ends the machine.</summary>
    [GlobalCleanup]
    public void Cleanup() => machine.Dispose();

    [Benchmark(OperationsPerInvoke = Batch, Description = "hit")]
    public ulong Hit() => Sum(hits);

    [Benchmark(OperationsPerInvoke = Batch, Description = "random over 8 MiB of 4K pages")]
    public ulong Middle() => Sum(middle);

    [Benchmark(OperationsPerInvoke = Batch, Description = "random over 256 MiB of 4K pages")]
    public ulong Far() => Sum(far);

    [Benchmark(OperationsPerInvoke = Batch, Description = "random over 4 GiB of 2M pages")]
    public ulong LargePagesAtRandom() => Sum(large);

    [Benchmark(Description = "MOV CR3 with bit 63, and a hit")]
    public ulong SwitchKeeping()
    {
        Switch(Keep);
        return Read(Small);
    }

    [Benchmark(Description = "MOV CR3 without, and a miss")]
    public ulong SwitchDropping()
    {
        Switch(0);
        return Read(Small);
    }

    [Benchmark(Description = "INVLPG, and a miss")]
    public ulong Invlpg()
    {
        machine.Cpu.FlushTlbPage(new Gva(Small));
        return Read(Small);
    }

    [Benchmark(Description = "WRPKRU")]
    public void Wrpkru() => ProtectionKeys.Set(ref machine.Cpu.State, machine.Cpu, (uint)(turn++ & 1) << 4);

    private void Switch(ulong keep)
    {
        if (!ControlRegisterRules.SetCr3(ref machine.Cpu.State, machine.Cpu, root | (1 + ((uint)turn++ & 1)) | keep))
        {
            throw new InvalidOperationException("CR3 was refused");
        }
    }

    private ulong Sum(ulong[] addresses)
    {
        ulong sum = 0;
        foreach (ulong address in addresses)
        {
            sum += Read(address);
        }

        return sum;
    }

    private ulong Read(ulong gva) =>
        ProcessorPort.Read(ref machine.Cpu.State, machine.Cpu, gva, out ulong value) ? value : throw new InvalidOperationException($"0x{gva:x}");
}
