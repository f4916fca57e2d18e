using System.Buffers.Binary;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Random slots, changed at random, and random accesses, against one array with a slot number for each guest page.</summary>
[TestFixture(HostMemoryKind.Memfd)]
[TestFixture(HostMemoryKind.Anonymous)]
public sealed class UserspaceMappingModelTests(HostMemoryKind kind)
{
    private const int Pages = 24;
    private const int Page = (int)PageSize.Size4K;

    [OneTimeSetUp]
    public void NeedsTheKind() => HostMemoryCases.Require(kind);

    [Test]
    public void It_agrees_with_an_array([Range(1, 12)] int seed)
    {
        var random = new Random(seed);
        using HostMemory memory = HostMemory.Create(Pages * Page, kind);
        var slots = new Memslots();
        var path = new UserspaceMapping(slots);
        var model = new Model();
        int[] outcomes = new int[4];

        for (int step = 0; step < 3000; step++)
        {
            if (random.Next(20) == 0)
            {
                Change(random, slots, memory, model);
            }

            string what = $"seed {seed}, step {step}";
            GuestAccessStatus status = random.Next(4) switch
            {
                0 => Exchange(random, path, model, what),
                1 => Store(random, path, model, what),
                _ => Load(random, path, model, what),
            };
            outcomes[(int)status]++;
        }

        byte[] held = memory.Span(0, Pages * Page).ToArray();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(held, Is.EqualTo(model.Host));
            Assert.That(outcomes[..3], Has.All.GreaterThan(50), "a history that never succeeds or never fails shows nothing");
        }
    }

    private static GuestAccessStatus Load(Random random, UserspaceMapping path, Model model, string what)
    {
        (ulong gpa, int length) = Range(random);
        byte[] read = new byte[length];
        GuestAccessStatus expected = model.Check(gpa, length, write: false);

        GuestAccessStatus status = path.Read(new Gpa(gpa), read);

        Assert.That(status, Is.EqualTo(expected), what);
        if (status == GuestAccessStatus.Success)
        {
            Assert.That(read.AsSpan().SequenceEqual(model.Read(gpa, length)), Is.True, what);
        }

        return status;
    }

    private static GuestAccessStatus Store(Random random, UserspaceMapping path, Model model, string what)
    {
        (ulong gpa, int length) = Range(random);
        byte[] source = new byte[length];
        random.NextBytes(source);
        GuestAccessStatus expected = model.Check(gpa, length, write: true);

        GuestAccessStatus status = path.Write(new Gpa(gpa), source);

        Assert.That(status, Is.EqualTo(expected), what);
        if (status == GuestAccessStatus.Success)
        {
            model.Write(gpa, source);
        }

        return status;
    }

    private static GuestAccessStatus Exchange(Random random, UserspaceMapping path, Model model, string what)
    {
        ulong gpa = (ulong)random.Next((Pages + 1) * Page) & ~7UL;
        GuestAccessStatus readable = model.Check(gpa, 8, write: false);
        GuestAccessStatus expected = model.Check(gpa, 8, write: true);
        ulong held = readable == GuestAccessStatus.Success ? BinaryPrimitives.ReadUInt64LittleEndian(model.Read(gpa, 8)) : 0;
        ulong guess = random.Next(2) == 0 ? held : held + 1;
        ulong desired = (ulong)random.NextInt64();

        GuestAccessStatus read = path.ReadUInt64(new Gpa(gpa), out ulong value);
        GuestAccessStatus status = path.CompareExchangeUInt64(new Gpa(gpa), guess, desired, out ulong observed);

        Assert.That((read, value), Is.EqualTo((readable, held)), what);
        Assert.That((status, observed), Is.EqualTo((expected, expected == GuestAccessStatus.Success ? held : 0)), what);
        if (status == GuestAccessStatus.Success && guess == held)
        {
            byte[] bytes = new byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, desired);
            model.Write(gpa, bytes);
        }

        return status;
    }

    private static void Change(Random random, Memslots slots, HostMemory memory, Model model)
    {
        if (slots.All.Count > 0 && random.Next(3) == 0)
        {
            Memslot old = slots.All[random.Next(slots.All.Count)];
            MemslotFlags flags = random.Next(2) == 0 ? MemslotFlags.ReadOnly : MemslotFlags.None;
            if (random.Next(2) == 0)
            {
                slots.Remove(old.Id);
                model.Map(old, -1, false);
            }
            else
            {
                slots.SetFlags(old.Id, flags);
                model.Map(old, (int)((old.Host.Value - memory.Base.Value) / Page), flags == MemslotFlags.None);
            }

            return;
        }

        int first = random.Next(Pages);
        int count = 1 + random.Next(Math.Min(6, Pages - first));
        int host = random.Next(Pages - count + 1);
        bool writable = random.Next(4) != 0;
        Memslot? added = null;
        try
        {
            added = slots.Add(
                new Gpa((ulong)(first * Page)), (ulong)(count * Page), memory.Base + (ulong)(host * Page), writable ? MemslotFlags.None : MemslotFlags.ReadOnly);
        }
        catch (MemslotException refusal)
        {
            Assert.That(refusal.Error, Is.EqualTo(Errno.EEXIST));
        }

        Assert.That(added is not null, Is.EqualTo(model.IsFree(first, count)));
        if (added is not null)
        {
            model.Map(added, host, writable);
        }
    }

    private static (ulong Gpa, int Length) Range(Random random)
    {
        int length = random.Next(3) == 0 ? random.Next(4 * Page) : random.Next(65);
        int near = random.Next(Pages + 1) * Page;
        long gpa = random.Next(2) == 0 ? near - random.Next(65) : random.Next(Pages * Page);
        return ((ulong)gpa, length);
    }

    /// <summary>Host bytes, and for each guest page the host page behind it (two guest pages may share one), or -1.</summary>
    private sealed class Model
    {
        private readonly (int HostPage, bool Writable)[] pages = [.. Enumerable.Repeat((-1, false), Pages)];

        public byte[] Host { get; } = new byte[Pages * Page];

        public bool IsFree(int first, int count) => pages.AsSpan(first, count).ToArray().All(page => page.HostPage < 0);

        public void Map(Memslot slot, int host, bool writable)
        {
            for (int i = 0; i < (int)(slot.Size / Page); i++)
            {
                pages[(int)(slot.Base.Value / Page) + i] = host < 0 ? (-1, false) : (host + i, writable);
            }
        }

        public GuestAccessStatus Check(ulong gpa, int length, bool write)
        {
            for (int i = 0; i < length; i++)
            {
                (int page, bool writable) = gpa + (ulong)i < Pages * Page ? pages[(int)((gpa + (ulong)i) / Page)] : (-1, false);
                if (page < 0 || (write && !writable))
                {
                    return page < 0 ? GuestAccessStatus.NoSlot : GuestAccessStatus.ReadOnlySlot;
                }
            }

            return GuestAccessStatus.Success;
        }

        public byte[] Read(ulong gpa, int length) => [.. Enumerable.Range(0, length).Select(i => Host[Place(gpa, i)])];

        public void Write(ulong gpa, byte[] bytes)
        {
            for (int i = 0; i < bytes.Length; i++)
            {
                Host[Place(gpa, i)] = bytes[i];
            }
        }

        private int Place(ulong gpa, int i) =>
            (pages[(int)((gpa + (ulong)i) / Page)].HostPage * Page) + (int)((gpa + (ulong)i) % Page);
    }
}
