using System.Globalization;
using System.Runtime.CompilerServices;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class PageFramesTests
{
    private const ulong FramesOf64GiB = 64UL << (30 - PageSize.Shift4K);

    [Test]
    public void A_frame_is_described_in_32_bytes() => Assert.That(Unsafe.SizeOf<PageFrame>(), Is.EqualTo(32));

    [Test]
    [Platform("Linux")]
    public void A_host_of_64_GiB_costs_little_until_it_is_used()
    {
        HostMemoryCases.Require(HostMemoryKind.Memfd);
        long before = ResidentBytes();

        using HostKernel kernel = new(new HostKernelOptions { Frames = FramesOf64GiB, Memory = HostMemoryKind.Memfd });
        AddressSpace process = new(kernel);
        process.MapAt(HostCase.Base, 1UL << 20, VmFlags.Read | VmFlags.Write);
        for (int page = 0; page < 64; page++)
        {
            process.Fault(HostCase.Page(page), write: true).Run();
        }

        Assert.That(ResidentBytes() - before, Is.LessThan(64L << 20), "one 1024th of the memory");
        Assert.That(kernel.Allocator.Allocate(PageAllocator.MaxOrder - 4), Is.Not.Null);
    }

    [Test]
    public void Frames_that_are_gone_are_out_of_range()
    {
        PageFrames frames = new(16, HostMemoryKind.Anonymous);
        frames[new Pfn(15)].RefCount = 1;
        frames.Dispose();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => frames[new Pfn(15)], Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => frames.Bytes(new Pfn(0)).Length, Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(frames.IsValid(new Pfn(0)), Is.False);
        }
    }

    private static long ResidentBytes() =>
        long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1], CultureInfo.InvariantCulture) * Environment.SystemPageSize;
}
