using System.Runtime.InteropServices;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class HostCapabilitiesTests
{
    [Test]
    public void The_host_is_described_as_the_runtime_knows_it()
    {
        HostCapabilities host = HostCapabilities.Probe();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.OperatingSystem, Is.EqualTo(RuntimeInformation.OSDescription));
            Assert.That(host.KernelVersion, Is.EqualTo(Environment.OSVersion.Version));
            Assert.That(host.Architecture, Is.EqualTo(RuntimeInformation.ProcessArchitecture));
            Assert.That(host.PageSize, Is.EqualTo(Environment.SystemPageSize));
            Assert.That(host.ProcessorCount, Is.Positive);
            Assert.That(host.MemoryBytes, Is.GreaterThan(PageSize.Size2M));
        }
    }

    [Test]
    [Platform("Linux")]
    public void Probing_leaves_no_file_open()
    {
        _ = HostCapabilities.Probe();
        string[] before = OpenMemoryFiles();

        for (int i = 0; i < 20; i++)
        {
            _ = HostCapabilities.Probe();
        }

        Assert.That(OpenMemoryFiles(), Is.EqualTo(before));
    }

    [Test]
    [Platform("Linux")]
    public void Every_feature_that_the_kernel_reports_and_we_know_is_found()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            Assert.Ignore("the names are those of x86");
        }

        HostProcessorInfo processor = HostCapabilities.Probe().Processor;
        string[] lines = File.ReadAllLines("/proc/cpuinfo");
        string[] reported = Field(lines, "flags").Split(' ');
        int[] sizes = [.. Field(lines, "address sizes").Split(' ').Where(word => word.All(char.IsAsciiDigit)).Select(int.Parse)];
        string[] known = ["pcid", "invpcid", "smep", "smap", "pku", "la57", "nx", "pdpe1gb", "vmx", "svm", "hypervisor"];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(known.Intersect(reported), Is.SubsetOf(processor.Features));
            Assert.That(processor.Features.Except(known), Is.SubsetOf(reported));
            Assert.That(processor.Name, Is.EqualTo(Field(lines, "model name")));
            Assert.That(processor.PhysicalAddressBits, Is.InRange(sizes[0], 52), "the kernel may keep bits for memory encryption");
            Assert.That(processor.LinearAddressBits, Is.InRange(sizes[1], 57), "the kernel may do without 5-level paging");
        }
    }

    private static string Field(string[] lines, string name) =>
        lines.First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(':', 2)[1].Trim();

    private static string[] OpenMemoryFiles() =>
    [
        .. Directory.GetFiles("/proc/self/fd")
            .Select(file => new FileInfo(file).LinkTarget ?? "")
            .Where(target => target.Contains("memfd:guest", StringComparison.Ordinal) || target.Contains("secretmem", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal),
    ];
}
