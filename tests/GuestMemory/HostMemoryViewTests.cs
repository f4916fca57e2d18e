using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class HostMemoryViewTests
{
    private const ulong Size = 4 * PageSize.Size4K;

    [SetUp]
    public void NeedsMemfd() => HostMemoryCases.Require(HostMemoryKind.Memfd);

    [Test]
    public void Two_views_see_the_same_bytes_at_different_addresses()
    {
        using HostMemory memory = HostMemory.Create(Size, HostMemoryKind.Memfd);
        using HostMemoryView first = memory.MapView();
        using HostMemoryView second = memory.MapView();

        memory.Span(0, 4).Fill(1);
        first.Span(4094, 4).Fill(2);
        second.Span(Size - 1, 1).Fill(3);

        byte[] bytes = memory.Span(0, (int)Size).ToArray();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(new[] { memory.Base, first.Base, second.Base }, Is.Unique);
            Assert.That((bytes[3], bytes[4094], bytes[4097], bytes[^1]), Is.EqualTo(((byte)1, (byte)2, (byte)2, (byte)3)));
            Assert.That(first.Span(0, (int)Size).SequenceEqual(bytes), Is.True);
            Assert.That(second.Span(0, (int)Size).SequenceEqual(bytes), Is.True);
        }
    }

    [Test]
    public void A_view_outlives_the_memory_and_the_memory_outlives_a_view()
    {
        HostMemory memory = HostMemory.Create(Size, HostMemoryKind.Memfd);
        using HostMemoryView lasting = memory.MapView();
        HostMemoryView passing = memory.MapView();
        memory.Span(0, 1)[0] = 7;

        passing.Dispose();
        byte afterView = memory.Span(0, 1)[0];
        memory.Dispose();
        byte afterMemory = lasting.Span(0, 1)[0];

        using (Assert.EnterMultipleScope())
        {
            Assert.That((afterView, afterMemory), Is.EqualTo(((byte)7, (byte)7)));
            Assert.That(() => passing.Base, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => passing.Span(0, 0).Length, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(passing.Dispose, Throws.Nothing);
        }
    }

    [TestCase(0UL, -1)]
    [TestCase(1UL, (int)Size)]
    [TestCase(Size, 1)]
    [TestCase(ulong.MaxValue, 1)]
    public void A_span_with_a_byte_outside_is_refused(ulong offset, int length)
    {
        using HostMemory memory = HostMemory.Create(Size, HostMemoryKind.Memfd);
        using HostMemoryView view = memory.MapView();

        Assert.That(() => view.Span(offset, length).Length, Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Sixty_four_gibibytes_cost_address_space_only()
    {
        const ulong size = 64 * PageSize.Size1G;
        long before = ResidentPages();
        using HostMemory memory = HostMemory.Create(size, HostMemoryKind.Memfd);
        using HostMemoryView view = memory.MapView();

        memory.Span(size - 1, 1)[0] = 0xee;
        memory.Span(size / 2, 1)[0] = 0xdd;

        using (Assert.EnterMultipleScope())
        {
            Assert.That((view.Span(size - 1, 1)[0], view.Span(size / 2, 1)[0]), Is.EqualTo(((byte)0xee, (byte)0xdd)));
            Assert.That(view.Span(size / 4, 4096).ContainsAnyExcept((byte)0), Is.False);
            Assert.That(ResidentPages() - before, Is.LessThan(64 * 1024), "pages that became resident, of 16 Mi");
        }
    }

    [Test]
    public void Anonymous_memory_has_one_view_only()
    {
        using HostMemory memory = HostMemory.Create(Size, HostMemoryKind.Anonymous);

        Assert.That(memory.MapView, Throws.InstanceOf<NotSupportedException>());
    }

    [Test]
    public void The_automatic_choice_is_a_memfd_where_there_is_one()
    {
        using HostMemory memory = HostMemory.Create(Size);

        Assert.That(memory.Kind, Is.EqualTo(HostMemoryKind.Memfd));
    }

    [Test]
    public void A_kind_that_is_none_is_refused() =>
        Assert.That(() => HostMemory.Create(Size, (HostMemoryKind)9), Throws.InstanceOf<ArgumentOutOfRangeException>());

    // proc_pid_statm(5): the second field is the resident set in pages.
    private static long ResidentPages() => long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1], null);
}
