using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture(HostMemoryKind.Memfd)]
[TestFixture(HostMemoryKind.Anonymous)]
public sealed class HostMemoryTests(HostMemoryKind kind)
{
    private const ulong Size = 16 * PageSize.Size4K;

    [OneTimeSetUp]
    public void NeedsTheKind() => HostMemoryCases.Require(kind);

    [TestCase(PageSize.Size4K)]
    [TestCase(3 * PageSize.Size4K)]
    [TestCase(PageSize.Size2M)]
    [TestCase(PageSize.Size2M + PageSize.Size4K)]
    public void It_is_zeroed_and_page_aligned(ulong size)
    {
        using HostMemory memory = HostMemory.Create(size, kind);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(memory.Kind, Is.EqualTo(kind));
            Assert.That(memory.Size, Is.EqualTo(size));
            Assert.That(memory.Base.Value & PageSize.Mask4K, Is.Zero);
            Assert.That(memory.Base.Value, Is.Not.Zero);
            Assert.That(memory.Span(0, (int)size).ContainsAnyExcept((byte)0), Is.False);
        }
    }

    [Test]
    public void Memory_that_was_used_before_comes_back_zeroed()
    {
        for (int i = 0; i < 50; i++)
        {
            using HostMemory memory = HostMemory.Create(Size, kind);
            Assert.That(memory.Span(0, (int)Size).ContainsAnyExcept((byte)0), Is.False);
            memory.Span(0, (int)Size).Fill(0xa5);
        }
    }

    [TestCase(0UL)]
    [TestCase(1UL)]
    [TestCase(4095UL)]
    [TestCase(4097UL)]
    [TestCase(ulong.MaxValue)]
    public void A_size_that_is_not_whole_pages_is_refused(ulong size) =>
        Assert.That(() => HostMemory.Create(size, kind), Throws.InstanceOf<ArgumentOutOfRangeException>());

    [TestCase(1UL << 60, Errno.ENOMEM)]
    [TestCase(1UL << 62, Errno.ENOMEM)]
    public void More_than_the_host_can_address_is_refused_with_its_errno(ulong size, Errno error)
    {
        HostMemoryException? refusal = Assert.Throws<HostMemoryException>(() => HostMemory.Create(size, kind));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refusal!.Error, Is.EqualTo(error));
            Assert.That(refusal.Message, Does.Contain($"0x{size:x} bytes"));
        }
    }

    [TestCase(1UL << 63)]
    [TestCase(ulong.MaxValue - 4095)]
    public void A_size_beyond_any_file_or_block_is_refused(ulong size) =>
        Assert.That(() => HostMemory.Create(size, kind), Throws.InstanceOf<HostMemoryException>());

    [TestCase(0UL, 0)]
    [TestCase(0UL, 1)]
    [TestCase(0UL, (int)Size)]
    [TestCase(4095UL, 2)]
    [TestCase(Size - 1, 1)]
    [TestCase(Size, 0)]
    public void A_span_inside_is_given(ulong offset, int length)
    {
        using HostMemory memory = HostMemory.Create(Size, kind);

        memory.Span(offset, length).Fill(0x5a);

        int stored = memory.Span(0, (int)Size).Count((byte)0x5a);
        Assert.That((memory.Span(offset, length).Length, stored), Is.EqualTo((length, length)));
    }

    [TestCase(0UL, -1)]
    [TestCase(0UL, (int)Size + 1)]
    [TestCase(1UL, (int)Size)]
    [TestCase(Size, 1)]
    [TestCase(Size + 1, 0)]
    [TestCase(ulong.MaxValue, 1)]
    [TestCase(ulong.MaxValue, 0)]
    [TestCase(ulong.MaxValue - 7, 16)]
    public void A_span_with_a_byte_outside_is_refused(ulong offset, int length)
    {
        using HostMemory memory = HostMemory.Create(Size, kind);

        Assert.That(() => memory.Span(offset, length).Length, Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Nothing_can_be_reached_after_Dispose()
    {
        HostMemory memory = HostMemory.Create(Size, kind);
        memory.Dispose();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => memory.Base, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => memory.Span(0, 1).Length, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(memory.MapView, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(memory.Dispose, Throws.Nothing);
            Assert.That(memory.Size, Is.EqualTo(Size));
        }
    }
}
