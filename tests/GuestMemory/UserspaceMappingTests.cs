using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>
/// The address space: pages 1..2 writable; page 3 writable, another slot; page 4 read-only; nothing; page 6 writable. The slots lie
/// in host memory in another order.
/// </summary>
[TestFixture(HostMemoryKind.Memfd)]
[TestFixture(HostMemoryKind.Anonymous)]
public sealed class UserspaceMappingTests(HostMemoryKind kind)
{
    private const ulong Page = PageSize.Size4K;
    private HostMemory memory = null!;
    private Memslots slots = null!;
    private UserspaceMapping path = null!;

    [SetUp]
    public void MapTheGuest()
    {
        HostMemoryCases.Require(kind);
        memory = HostMemory.Create(16 * Page, kind);
        slots = new Memslots();
        path = new UserspaceMapping(slots);
        slots.Add(new Gpa(1 * Page), 2 * Page, memory.Base + (8 * Page));
        slots.Add(new Gpa(3 * Page), Page, memory.Base + (2 * Page));
        slots.Add(new Gpa(4 * Page), Page, memory.Base + (5 * Page), MemslotFlags.ReadOnly);
        slots.Add(new Gpa(6 * Page), Page, memory.Base);
        for (int i = 0; i < 16; i++)
        {
            memory.Span((ulong)i * Page, (int)Page).Fill((byte)(0x10 + i));
        }
    }

    [TearDown]
    public void Release() => memory?.Dispose();

    [Test]
    public void Its_name_is_userspace() => Assert.That(path.Name, Is.EqualTo("userspace"));

    [TestCase(0x1000UL, 4, "18181818", TestName = "Read_the_first_bytes")]
    [TestCase(0x1ffeUL, 4, "18181919", TestName = "Read_across_pages")]
    [TestCase(0x2ffeUL, 4, "19191212", TestName = "Read_across_slots")]
    [TestCase(0x3fffUL, 2, "1215", TestName = "Read_into_a_read-only_slot")]
    [TestCase(0x4ffeUL, 2, "1515", TestName = "Read_the_last_bytes_of_a_slot")]
    [TestCase(0x6fffUL, 1, "10", TestName = "Read_the_last_byte")]
    [TestCase(0x9000UL, 0, "", TestName = "Read_nothing_nowhere")]
    public void Read(ulong gpa, int length, string expected)
    {
        byte[] bytes = new byte[length];

        GuestAccessStatus status = path.Read(new Gpa(gpa), bytes);

        Assert.That((status, Convert.ToHexString(bytes)), Is.EqualTo((GuestAccessStatus.Success, expected)));
    }

    [TestCase(0UL, 1, GuestAccessStatus.NoSlot)]
    [TestCase(0xfffUL, 2, GuestAccessStatus.NoSlot)]
    [TestCase(0x4fffUL, 2, GuestAccessStatus.NoSlot)]
    [TestCase(0x1000UL, 0x5000, GuestAccessStatus.NoSlot)]
    [TestCase(0x6fffUL, 2, GuestAccessStatus.NoSlot)]
    [TestCase(ulong.MaxValue, 1, GuestAccessStatus.NoSlot)]
    [TestCase(ulong.MaxValue, 0x2000, GuestAccessStatus.NoSlot)]
    [TestCase(ulong.MaxValue - 7, 16, GuestAccessStatus.NoSlot)]
    public void Reading_where_a_byte_is_missing_fails(ulong gpa, int length, GuestAccessStatus expected) =>
        Assert.That(path.Read(new Gpa(gpa), new byte[length]), Is.EqualTo(expected));

    [TestCase(0x1000UL, 1)]
    [TestCase(0x1ffdUL, 8)]
    [TestCase(0x2fffUL, 2)]
    [TestCase(0x1001UL, 0x2fff)]
    [TestCase(0x6000UL, 0x1000)]
    [TestCase(0x5000UL, 0)]
    [TestCase(0x4000UL, 0)]
    public void What_is_written_is_read_and_no_other_byte_changes(ulong gpa, int length)
    {
        byte[] written = [.. Enumerable.Range(0, length).Select(i => (byte)(0x80 | (i * 7)))];
        byte[] read = new byte[length];

        GuestAccessStatus write = path.Write(new Gpa(gpa), written);
        _ = path.Read(new Gpa(gpa), read);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(write, Is.EqualTo(GuestAccessStatus.Success));
            Assert.That(read, Is.EqualTo(written));
            Assert.That(Bytes().Count(b => b >= 0x80), Is.EqualTo(length));
        }
    }

    [TestCase(0x4000UL, 1, GuestAccessStatus.ReadOnlySlot)]
    [TestCase(0x3fffUL, 2, GuestAccessStatus.ReadOnlySlot)]
    [TestCase(0x1000UL, 0x3001, GuestAccessStatus.ReadOnlySlot)]
    [TestCase(0x3000UL, 0x4000, GuestAccessStatus.ReadOnlySlot)]
    [TestCase(0x4fffUL, 2, GuestAccessStatus.ReadOnlySlot)]
    [TestCase(0x5fffUL, 2, GuestAccessStatus.NoSlot)]
    [TestCase(0x6ff0UL, 17, GuestAccessStatus.NoSlot)]
    [TestCase(ulong.MaxValue, 2, GuestAccessStatus.NoSlot)]
    public void A_write_that_cannot_be_whole_writes_nothing(ulong gpa, int length, GuestAccessStatus expected)
    {
        byte[] before = Bytes();
        byte[] source = new byte[length];
        source.AsSpan().Fill(0xff);

        GuestAccessStatus status = path.Write(new Gpa(gpa), source);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(status, Is.EqualTo(expected));
            Assert.That(Bytes(), Is.EqualTo(before));
        }
    }

    [TestCase(0x1000UL, GuestAccessStatus.Success, 0x1818_1818_1818_1818UL)]
    [TestCase(0x2ff8UL, GuestAccessStatus.Success, 0x1919_1919_1919_1919UL)]
    [TestCase(0x4000UL, GuestAccessStatus.Success, 0x1515_1515_1515_1515UL)]
    [TestCase(0x5000UL, GuestAccessStatus.NoSlot, 0UL)]
    [TestCase(0xffff_ffff_ffff_fff8UL, GuestAccessStatus.NoSlot, 0UL)]
    public void An_aligned_word_is_read_whole(ulong gpa, GuestAccessStatus expected, ulong word) =>
        Assert.That((path.ReadUInt64(new Gpa(gpa), out ulong value), value), Is.EqualTo((expected, word)));

    [TestCase(0x1000UL, 0x1818_1818_1818_1818UL, GuestAccessStatus.Success, 0x1818_1818_1818_1818UL, 42UL)]
    [TestCase(0x1000UL, 5UL, GuestAccessStatus.Success, 0x1818_1818_1818_1818UL, 0x1818_1818_1818_1818UL)]
    [TestCase(0x4ff8UL, 0x1515_1515_1515_1515UL, GuestAccessStatus.ReadOnlySlot, 0UL, 0x1515_1515_1515_1515UL)]
    [TestCase(0x7000UL, 0UL, GuestAccessStatus.NoSlot, 0UL, 0UL)]
    public void A_word_is_exchanged_if_it_is_the_expected_one(
        ulong gpa, ulong expected, GuestAccessStatus status, ulong observed, ulong afterwards)
    {
        GuestAccessStatus result = path.CompareExchangeUInt64(new Gpa(gpa), expected, 42, out ulong found);
        _ = path.ReadUInt64(new Gpa(gpa), out ulong now);

        Assert.That((result, found, now), Is.EqualTo((status, observed, afterwards)));
    }

    [TestCase(0x1001UL)]
    [TestCase(0x1004UL)]
    [TestCase(0x1fffUL)]
    [TestCase(0x5001UL, Description = "not even memory")]
    public void A_misaligned_word_is_the_callers_mistake(ulong gpa)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => path.ReadUInt64(new Gpa(gpa), out _), Throws.ArgumentException);
            Assert.That(() => path.CompareExchangeUInt64(new Gpa(gpa), 0, 0, out _), Throws.ArgumentException);
        }
    }

    [Test]
    public void A_changed_slot_is_changed_for_the_next_access()
    {
        Memslot slot = slots.All[0];
        GuestAccessStatus first = path.Write(slot.Base, [1]);
        slots.SetFlags(slot.Id, MemslotFlags.ReadOnly);
        GuestAccessStatus second = path.Write(slot.Base, [2]);
        slots.Remove(slot.Id);
        GuestAccessStatus third = path.Write(slot.Base, [3]);
        GuestAccessStatus fourth = path.ReadUInt64(slot.Base, out _);

        Assert.That(
            (first, second, third, fourth),
            Is.EqualTo((GuestAccessStatus.Success, GuestAccessStatus.ReadOnlySlot, GuestAccessStatus.NoSlot, GuestAccessStatus.NoSlot)));
    }

    [Test]
    public void Exchanges_from_two_threads_lose_no_update()
    {
        const int perThread = 200_000;
        var counter = new Gpa(0x2ff8);
        _ = path.Write(counter, new byte[8]);

        Parallel.For(0, 2, new ParallelOptions { MaxDegreeOfParallelism = 2 }, _ =>
        {
            for (int i = 0; i < perThread; i++)
            {
                Increment(counter);
            }
        });

        Assert.That((path.ReadUInt64(counter, out ulong total), total), Is.EqualTo((GuestAccessStatus.Success, 2UL * perThread)));
    }

    [Test]
    public void An_access_allocates_nothing()
    {
        byte[] buffer = new byte[16];
        int succeeded = AccessEach(buffer);
        long before = GC.GetAllocatedBytesForCurrentThread();

        succeeded += AccessEach(buffer);

        Assert.That((GC.GetAllocatedBytesForCurrentThread() - before, succeeded), Is.EqualTo((0L, 10)));
    }

    private int AccessEach(byte[] buffer)
    {
        int succeeded = path.Read(new Gpa(0x1010), buffer) == GuestAccessStatus.Success ? 1 : 0;
        succeeded += path.Read(new Gpa(0x2ff8), buffer) == GuestAccessStatus.Success ? 1 : 0;
        succeeded += path.Write(new Gpa(0x2ff8), buffer) == GuestAccessStatus.Success ? 1 : 0;
        succeeded += path.ReadUInt64(new Gpa(0x6000), out ulong word) == GuestAccessStatus.Success ? 1 : 0;
        succeeded += path.CompareExchangeUInt64(new Gpa(0x6000), word, 1, out _) == GuestAccessStatus.Success ? 1 : 0;
        return succeeded;
    }

    private void Increment(Gpa counter)
    {
        _ = path.ReadUInt64(counter, out ulong value);
        for (ulong expected = ~value; expected != value;)
        {
            expected = value;
            _ = path.CompareExchangeUInt64(counter, expected, expected + 1, out value);
        }
    }

    private byte[] Bytes() => memory.Span(0, (int)memory.Size).ToArray();
}
