using System.Text;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Every compiled guest, on both kinds of host memory: its output byte for byte, and how it ends.</summary>
[TestFixture(HostMemoryKind.Auto)]
[TestFixture(HostMemoryKind.Anonymous)]
public sealed class GuestRunTests(HostMemoryKind kind)
{
    [TestCase("hello", 0u)]
    [TestCase("primes", 0u)]
    [TestCase("sha256", 0u)]
    [TestCase("nbody", 0u)]
    [TestCase("blend", 0u)]
    [TestCase("matmul", 0u)]
    [TestCase("mandel80", 0u)]
    [TestCase("quicksort", 0u)]
    [TestCase("pager", 0u)]
    [TestCase("ring3", 0u)]
    [TestCase("uart", 0u)]
    [TestCase("fault_storm", 0u)]
    [TestCase("mmio_storm", 0u)]
    [TestCase("exit", 43u)]
    public void PrintsWhatTheHostComputes(string guest, uint status)
    {
        (StopReport report, string output) = Run(guest + ".elf");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(output, Is.EqualTo(GuestSamples.ExpectedOutput(guest)));
            Assert.That(report, Is.EqualTo(new StopReport(status == 0 ? StopReason.Halted : StopReason.Exit, status)));
        }
    }

    [Test]
    public void FlatBinaryRuns()
    {
        (StopReport report, string output) = Run("flat.bin");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(output, Is.EqualTo(GuestSamples.ExpectedOutput("flat")));
            Assert.That(report.Status, Is.Zero);
        }
    }

    [Test]
    public void TripleFaultIsReportedWithItsFirstCause()
    {
        (StopReport report, string output) = Run("triple.elf");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(output, Is.EqualTo(GuestSamples.ExpectedOutput("triple")));
            Assert.That(report.Reason, Is.EqualTo(StopReason.TripleFault));
            Assert.That(report.Status, Is.Null);
            Assert.That(report.Message, Does.Contain("#PF").And.Contain("IDTR.limit"));
        }
    }

    private (StopReport Report, string Output) Run(string file)
    {
        using MemoryStream console = new();
        using Machine machine = new(new MachineOptions { Console = console, HostMemory = kind });
        byte[] bytes = File.ReadAllBytes(GuestSamples.PathOf(file));
        GuestImage image = file.EndsWith(".bin", StringComparison.Ordinal)
            ? FlatImage.Create(bytes, new Gva(0x10_0000), machine.Options.RamBytes)
            : ElfImage.Parse(bytes, machine.Options.RamBytes);
        ImageLoader.Load(machine, image);
        return (machine.Run(), Encoding.UTF8.GetString(console.ToArray()));
    }
}
