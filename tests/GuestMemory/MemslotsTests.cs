using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class MemslotsTests
{
    private const ulong Page = PageSize.Size4K;
    private static readonly Hva Host = new(0x7000_0000_0000);

    [TestCase(0x1000UL, 0UL, 0x7000UL, MemslotFlags.None, Description = "no page")]
    [TestCase(0x1001UL, 0x1000UL, 0x7000UL, MemslotFlags.None, Description = "misaligned base")]
    [TestCase(0x1000UL, 0x1001UL, 0x7000UL, MemslotFlags.None, Description = "part of a page")]
    [TestCase(0x1000UL, 0x1000UL, 0x7008UL, MemslotFlags.None, Description = "misaligned host address")]
    [TestCase(0x1000UL, 0x1000UL, 0UL, MemslotFlags.None, Description = "mapped nowhere")]
    [TestCase(0xffff_ffff_ffff_f000UL, 0x1000UL, 0x7000UL, MemslotFlags.None, Description = "ends at 2^64")]
    [TestCase(0xffff_ffff_ffff_f000UL, 0x2000UL, 0x7000UL, MemslotFlags.None, Description = "wraps")]
    [TestCase(0x1000UL, 0xffff_ffff_ffff_f000UL, 0x7000UL, MemslotFlags.None, Description = "all but wraps")]
    [TestCase(0x1000UL, 0x2000UL, 0xffff_ffff_ffff_f000UL, MemslotFlags.None, Description = "host address wraps")]
    [TestCase(0x1000UL, 0x1000UL, 0x7000UL, (MemslotFlags)1, Description = "unknown flag")]
    public void A_bad_slot_is_EINVAL_and_changes_nothing(ulong gpa, ulong size, ulong host, MemslotFlags flags)
    {
        var slots = new Memslots();

        MemslotException? refusal = Assert.Throws<MemslotException>(() => slots.Add(new Gpa(gpa), size, new Hva(host), flags));

        Assert.That((refusal!.Error, slots.Generation, slots.All.Count), Is.EqualTo((Errno.EINVAL, 0UL, 0)));
    }

    // The slots there: pages 4..7 and 8..9.
    [TestCase(4, 4)]
    [TestCase(4, 1)]
    [TestCase(7, 1)]
    [TestCase(3, 2)]
    [TestCase(3, 20)]
    [TestCase(0, 5)]
    [TestCase(9, 5)]
    [TestCase(7, 2)]
    public void An_overlap_is_EEXIST_and_changes_nothing(int page, int pages)
    {
        Memslots slots = TwoSlots();

        MemslotException? refusal = Assert.Throws<MemslotException>(
            () => slots.Add(new Gpa((ulong)page * Page), (ulong)pages * Page, Host));

        Assert.That((refusal!.Error, slots.Generation, slots.All.Count), Is.EqualTo((Errno.EEXIST, 2UL, 2)));
    }

    [TestCase(0, 4)]
    [TestCase(3, 1)]
    [TestCase(10, 1)]
    [TestCase(11, 100)]
    public void A_neighbour_is_no_overlap(int page, int pages)
    {
        Memslots slots = TwoSlots();

        Memslot added = slots.Add(new Gpa((ulong)page * Page), (ulong)pages * Page, Host);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(slots.All.Select(s => s.Base.Value), Is.Ordered.Ascending);
            Assert.That(slots.All, Has.Count.EqualTo(3).And.Member(added));
            Assert.That(slots.Generation, Is.EqualTo(3));
        }
    }

    [TestCase(0x3fffUL, null)]
    [TestCase(0x4000UL, 0)]
    [TestCase(0x7fffUL, 0)]
    [TestCase(0x8000UL, 1)]
    [TestCase(0x9fffUL, 1)]
    [TestCase(0xa000UL, null)]
    [TestCase(0UL, null)]
    [TestCase(ulong.MaxValue, null)]
    public void An_address_is_found_in_its_slot_whatever_was_found_before(ulong address, int? expected)
    {
        foreach (ulong previous in new ulong[] { 0, 0x4000, 0x8000, 0xffff_0000 })
        {
            Memslots slots = TwoSlots();
            _ = slots.TryFind(new Gpa(previous), out _);

            bool found = slots.TryFind(new Gpa(address), out Memslot? slot);
            bool translated = slots.TryTranslate(new Gpa(address), out Hva hva, out bool writable);

            ulong host = expected switch { 0 => 0x10_0000 + (address - 0x4000), 1 => 0x20_0000 + (address - 0x8000), _ => 0 };
            using (Assert.EnterMultipleScope())
            {
                Assert.That((found, slot?.Id), Is.EqualTo((expected is not null, expected)));
                Assert.That((translated, hva.Value, writable), Is.EqualTo((expected is not null, host, expected == 0)));
            }
        }
    }

    [Test]
    public void Nothing_is_found_where_there_is_no_slot_at_all()
    {
        var slots = new Memslots();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(slots.TryFind(default, out _), Is.False);
            Assert.That(slots.TryTranslate(new Gpa(ulong.MaxValue), out _, out _), Is.False);
            Assert.That(slots.All, Is.Empty);
        }
    }

    [Test]
    public void A_removed_slot_is_not_found_though_it_was_hit_last()
    {
        Memslots slots = TwoSlots();
        _ = slots.TryFind(new Gpa(0x4000), out _);

        slots.Remove(0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(slots.TryFind(new Gpa(0x4000), out _), Is.False);
            Assert.That(slots.TryFind(new Gpa(0x8000), out Memslot? other) ? other.Id : -1, Is.EqualTo(1));
            Assert.That(slots.Add(new Gpa(0x4000), Page, Host).Id, Is.EqualTo(2), "numbers are not used again");
        }
    }

    [TestCase(-1)]
    [TestCase(2)]
    public void Changing_a_slot_that_is_not_there_is_ENOENT(int id)
    {
        Memslots slots = TwoSlots();

        MemslotException? remove = Assert.Throws<MemslotException>(() => slots.Remove(id));
        MemslotException? set = Assert.Throws<MemslotException>(() => slots.SetFlags(id, MemslotFlags.None));

        Assert.That((remove!.Error, set!.Error, slots.Generation), Is.EqualTo((Errno.ENOENT, Errno.ENOENT, 2UL)));
    }

    [Test]
    public void Each_change_makes_a_generation_and_tells_of_it_once_it_can_be_seen()
    {
        var slots = new Memslots();
        List<(ulong Generation, int Slots, bool Writable)> seen = [];
        slots.Changed += () =>
        {
            _ = slots.TryTranslate(new Gpa(0x4000), out _, out bool writable);
            seen.Add((slots.Generation, slots.All.Count, writable));
        };

        Memslot slot = slots.Add(new Gpa(0x4000), Page, Host);
        Memslot locked = slots.SetFlags(slot.Id, MemslotFlags.ReadOnly);
        Memslot same = slots.SetFlags(slot.Id, MemslotFlags.ReadOnly);
        slots.Remove(slot.Id);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen, Is.EqualTo(new[] { (1UL, 1, true), (2UL, 1, false), (3UL, 0, false) }));
            Assert.That(locked, Is.EqualTo(slot with { Flags = MemslotFlags.ReadOnly }));
            Assert.That(same, Is.SameAs(locked));
        }
    }

    [Test]
    public void A_snapshot_does_not_change()
    {
        Memslots slots = TwoSlots();
        IReadOnlyList<Memslot> before = slots.All;

        slots.Remove(0);

        Assert.That((before.Count, slots.All.Count), Is.EqualTo((2, 1)));
    }

    [Test]
    public void A_lookup_allocates_nothing()
    {
        Memslots slots = TwoSlots();
        ulong found = LookUp(slots, 1000);
        long before = GC.GetAllocatedBytesForCurrentThread();

        found += LookUp(slots, 1000);

        Assert.That((GC.GetAllocatedBytesForCurrentThread() - before, found), Is.EqualTo((0L, 4000UL)));
    }

    [Test]
    public void Lookups_beside_changes_see_one_generation_or_another_and_nothing_else()
    {
        Memslots slots = TwoSlots();
        using var stop = new CancellationTokenSource();
        Task<int>[] readers = [.. Enumerable.Range(0, 2).Select(reader => Task.Run(() => CountWrong(slots, stop.Token)))];

        for (int i = 0; i < 20_000; i++)
        {
            slots.Remove(slots.Add(new Gpa(0xa000), Page, new Hva(0x20_2000)).Id);
        }

        stop.Cancel();
        Assert.That(Task.WhenAll(readers).GetAwaiter().GetResult(), Is.All.Zero);
    }

    private static int CountWrong(Memslots slots, CancellationToken stop)
    {
        int wrong = 0;
        while (!stop.IsCancellationRequested)
        {
            wrong += slots.TryTranslate(new Gpa(0x4008), out Hva first, out _) && first.Value == 0x10_0008 ? 0 : 1;
            wrong += slots.TryTranslate(new Gpa(0xa010), out Hva other, out _) && other.Value != 0x20_2010 ? 1 : 0;
        }

        return wrong;
    }

    private static ulong LookUp(Memslots slots, int times)
    {
        ulong found = 0;
        for (int i = 0; i < times; i++)
        {
            found += slots.TryTranslate(new Gpa(0x4000), out _, out _) ? 1UL : 0;
            found += slots.TryFind(new Gpa(0x9000), out _) ? 1UL : 0;
        }

        return found;
    }

    private static Memslots TwoSlots()
    {
        var slots = new Memslots();
        slots.Add(new Gpa(0x4000), 4 * Page, new Hva(0x10_0000));
        slots.Add(new Gpa(0x8000), 2 * Page, new Hva(0x20_0000), MemslotFlags.ReadOnly);
        return slots;
    }
}
