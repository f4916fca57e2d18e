using System.Security.Cryptography;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Every guest ends alike on both engines: its output, how it ends, what devices saw, all of memory, and how many instructions it took.</summary>
[TestFixture]
internal sealed class UnicornMachineTests
{
    private const double LeastShare = 0.3;

    [SetUp]
    public void RequireLibrary() => UnicornOracle.Require();

    [TestCase("hello.elf")]
    [TestCase("exit.elf")]
    [TestCase("flat.bin")]
    [TestCase("triple.elf")]
    [TestCase("pager.elf")]
    [TestCase("ring3.elf")]
    [TestCase("uart.elf")]
    [TestCase("fault_storm.elf")]
    [TestCase("mmio_storm.elf")]
    [TestCase("sha256.elf", Category = "Full")]
    [TestCase("primes.elf", Category = "Full")]
    [TestCase("quicksort.elf", Category = "Full")]
    [TestCase("nbody.elf", Category = "Full")]
    [TestCase("blend.elf", Category = "Full")]
    [TestCase("matmul.elf", Category = "Full")]
    [TestCase("mandel80.elf", Category = "Full")]
    public void GuestsEndAlike(string image)
    {
        Ending reference = Run(image, EngineKind.Interpreter, out ulong none);
        Ending unicorn = Run(image, EngineKind.Unicorn, out ulong executed);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(unicorn, Is.EqualTo(reference));
            Assert.That(none, Is.Zero, "instructions of Unicorn on the interpreter");
            Assert.That(executed, Is.Positive, "instructions of Unicorn");
        }
    }

    /// <summary>The interpreter takes over only what is not Unicorn's.</summary>
    [TestCase("quicksort.elf")]
    [TestCase("sha256.elf")]
    public void UnicornExecutesWhatItCan(string image)
    {
        using Machine machine = Load(image, new MachineOptions { Engine = EngineKind.Unicorn });
        machine.Run(20_000_000);
        CpuCounters counters = machine.Cpu.Counters;
        Assert.That(counters.UnicornInstructions, Is.GreaterThan(counters.Instructions * LeastShare));
    }

    [TestCase(1ul)]
    [TestCase(2ul)]
    [TestCase(999ul)]
    [TestCase(1000ul)]
    [TestCase(100_003ul)]
    public void LimitIsExact(ulong limit)
    {
        using Machine reference = Load("quicksort.elf", new MachineOptions());
        using Machine unicorn = Load("quicksort.elf", new MachineOptions { Engine = EngineKind.Unicorn });
        for (int run = 0; run < 3; run++)
        {
            StopReport report = unicorn.Run(limit);
            reference.Run(limit);
            using (Assert.EnterMultipleScope())
            {
                Assert.That(report.Reason, Is.EqualTo(StopReason.Limit));
                Assert.That(unicorn.Cpu.Counters.Instructions, Is.EqualTo(limit * (ulong)(run + 1)));
                Assert.That(unicorn.Cpu.State.Rip, Is.EqualTo(reference.Cpu.State.Rip));
                Assert.That(StateComparison.AreSame(reference.Cpu, unicorn.Cpu));
            }
        }
    }

    [Test]
    public void RequestToStopEndsAnEndlessLoop()
    {
        using TestMachine machine = new(new MachineOptions { Engine = EngineKind.Unicorn });
        machine.Place(TestMachine.KernelCode, c => c.db(0xEB, 0xFE));
        machine.State.Rip = TestMachine.KernelCode;
        using Timer timer = new(_ => machine.Machine.RequestStop(), null, TimeSpan.FromMilliseconds(50), Timeout.InfiniteTimeSpan);
        Assert.That(machine.Machine.Run().Reason, Is.EqualTo(StopReason.Requested));
    }

    [Test]
    public void ExactTlbIsRefused() =>
        Assert.That(() => new Machine(new MachineOptions { Engine = EngineKind.Unicorn, Tlb = Mmu.TlbMode.Exact }), Throws.ArgumentException);

    private static Machine Load(string image, MachineOptions options)
    {
        Machine machine = new(options);
        byte[] bytes = File.ReadAllBytes(GuestSamples.PathOf(image));
        ImageLoader.Load(machine, image.EndsWith(".bin", StringComparison.Ordinal)
            ? FlatImage.Create(bytes, new Gva(0x10_0000), options.RamBytes)
            : ElfImage.Parse(bytes, options.RamBytes));
        return machine;
    }

    private static Ending Run(string image, EngineKind engine, out ulong executed)
    {
        using MemoryStream console = new();
        using Machine machine = Load(image, new MachineOptions { RamBytes = 64 << 20, Engine = engine, Console = console });
        StopReport report = machine.Run();
        executed = machine.Cpu.Counters.UnicornInstructions;
        byte[] memory = new byte[machine.Options.RamBytes];
        machine.ReadMemory(new Gpa(0), memory);
        string log = string.Join(' ', machine.Scratch.CopyLog().Select(access => $"{access.Sequence}:{access.Offset:x}:{Convert.ToHexString(access.Bytes.Span)}:{access.IsWrite}"));
        return new Ending(
            report, machine.Cpu.Counters.Instructions, machine.Cpu.Counters.MmioExits, machine.Cpu.Counters.Exceptions,
            Convert.ToHexString(SHA256.HashData(console.ToArray())), Convert.ToHexString(SHA256.HashData(memory)), log);
    }

    private sealed record Ending(StopReport Report, ulong Instructions, ulong MmioExits, ulong Exceptions, string Output, string Memory, string DeviceLog);
}
