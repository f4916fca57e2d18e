using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The .expected files say what the host computes by other means.</summary>
public sealed class ExpectedResultsTests
{
    [Test]
    public void Primes() =>
        Assert.That(GuestSamples.ExpectedOutput("primes"), Is.EqualTo($"{ExpectedResults.PrimesBelow(5_000_000)} primes below 5000000\n"));

    [Test]
    public void Sha256()
    {
        IReadOnlyList<string> digests = ExpectedResults.Sha256Chain(bytes: 1 << 20, links: 8);

        Assert.That(GuestSamples.ExpectedOutput("sha256"), Is.EqualTo($"{digests[0]}\n{digests[^1]}\n"));
    }

    [Test]
    public void NBody()
    {
        (double before, double after) = ExpectedOrbits.Energies(250_000);

        Assert.That(GuestSamples.ExpectedOutput("nbody"), Is.EqualTo($"{Line(before)}{Line(after)}"));

        static string Line(double energy) => $"{energy:F9} 0x{BitConverter.DoubleToUInt64Bits(energy):x16}\n";
    }

    [Test]
    public void Blend()
    {
        (ulong difference, ulong notBelow, ulong checksum) = ExpectedVectors.Blend(pixels: 65536, passes: 1500);

        Assert.That(GuestSamples.ExpectedOutput("blend"), Is.EqualTo($"difference {difference}, not below {notBelow}, checksum 0x{checksum:x16}\n"));
    }

    [Test]
    public void MatMul() =>
        Assert.That(GuestSamples.ExpectedOutput("matmul"), Is.EqualTo($"checksum 0x{ExpectedVectors.MatMul(size: 128, passes: 150):x16}\n"));

    [Test]
    public void Mandel80()
    {
        (int iterations, ulong checksum) = ExpectedMandelbrot.Picture(width: 64, height: 48, limit: 200);

        Assert.That(GuestSamples.ExpectedOutput("mandel80"), Is.EqualTo($"{iterations} iterations, checksum 0x{checksum:x16}\n"));
    }

    [Test]
    public void Quicksort()
    {
        uint[] random = [.. ExpectedResults.XorShift64().Take(1_000_000).Select(word => (uint)(word >> 32))];
        uint[] sorted = [.. Enumerable.Range(0, 6000).Select(i => (uint)i * 7)];

        Assert.That(
            GuestSamples.ExpectedOutput("quicksort"),
            Is.EqualTo($"{Line("random", random)}{Line("sorted", sorted)}"));

        static string Line(string name, uint[] values) =>
            $"{name}: checksum 0x{ExpectedResults.SortedChecksum(values):x16}, depth {ExpectedResults.QuicksortDepth(values)}\n";
    }

    [Test]
    public void Pager()
    {
        const int pages = 4096;
        string[] lines =
        [
            $"absent, read: {(pages / 2) + (pages / 8) + 1}",
            $"absent, write: {(pages / 2) + 1}",
            $"write-protected: {pages / 2}",
            "reserved bit: 1",
            "no-execute: 1",
            "unexpected: 0",
            $"checksum: 0x{ExpectedResults.PagerChecksum(pages):x16}",
        ];

        Assert.That(GuestSamples.ExpectedOutput("pager"), Is.EqualTo(string.Join('\n', lines) + "\n"));
    }

    [Test]
    public void Uart()
    {
        ExpectedScratch scratch = ExpectedScratch.Compute();

        Assert.That(
            GuestSamples.ExpectedOutput("uart"),
            Is.EqualTo($"Hello through the memory-mapped UART.\nregisters 0x{scratch.Registers:x16}, scratch 0x{scratch.Checksum:x16}\n"));
    }

    [Test]
    public void FaultStorm()
    {
        const int reads = 500_000;
        const int writes = 500_000;
        const int writeErrorCode = 2;

        Assert.That(
            GuestSamples.ExpectedOutput("fault_storm"),
            Is.EqualTo($"{reads + writes} page faults, error codes sum to {writes * writeErrorCode}, CR2 0x0000400000001000\n"));
    }

    [Test]
    public void MmioStorm() =>
        Assert.That(
            GuestSamples.ExpectedOutput("mmio_storm"),
            Is.EqualTo($"1000000 MMIO accesses, sum 0x{ExpectedResults.MmioStormSum(500_000):x16}\n"));

    [TestCaseSource(typeof(GuestSamples), nameof(GuestSamples.Images))]
    public void EveryImageSaysWhatItPrints(string image)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(GuestSamples.ExpectedOutput(Path.GetFileNameWithoutExtension(image)), Does.EndWith("\n"));
            Assert.That(new FileInfo(GuestSamples.PathOf(image)).Length, Is.InRange(1, 64 * 1024));
        }
    }
}
