using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class MmioBusTests
{
    /// <summary>Reads give the low byte of the offset; every call is noted.</summary>
    private sealed class Probe(char name, ulong size, int widest = 64) : IMmioDevice
    {
        public List<string> Calls { get; init; } = [];

        public ulong Size => size;

        public int MaximumAccessWidth => widest;

        public void Read(ulong offset, Span<byte> destination)
        {
            Calls.Add($"{name}.r{destination.Length}@{offset:x}");
            for (int i = 0; i < destination.Length; i++)
            {
                destination[i] = (byte)(offset + (ulong)i);
            }
        }

        public void Write(ulong offset, ReadOnlySpan<byte> source) =>
            Calls.Add($"{name}.w{source.Length}@{offset:x}={Convert.ToHexStringLower(source)}");
    }

    private static MmioBus MakeBus(List<string> calls)
    {
        var bus = new MmioBus();
        bus.Attach(new Gpa(0x2000), new Probe('b', 0x10, 4) { Calls = calls });
        bus.Attach(new Gpa(0x1000), new Probe('a', 0x1000) { Calls = calls });
        bus.Attach(new Gpa(0x2014), new Probe('c', 1, 1) { Calls = calls });
        bus.Attach(new Gpa(ulong.MaxValue - 7), new Probe('z', 8) { Calls = calls });
        return bus;
    }

    [TestCase(0x1000UL, 1, "a.r1@0", "00", 0)]
    [TestCase(0x1003UL, 8, "a.r8@3", "030405060708090a", 0)]
    [TestCase(0x2000UL, 4, "b.r4@0", "00010203", 0)]
    [TestCase(0x2001UL, 6, "b.r4@1 b.r2@5", "010203040506", 0, Description = "cut at the device's widest access")]
    [TestCase(0x1ffeUL, 8, "a.r2@ffe b.r4@0 b.r2@4", "feff000102030405", 0, Description = "cut at a border")]
    [TestCase(0x200eUL, 8, "b.r2@e c.r1@0", "0e0fffffffff00ff", 2, Description = "runs through two gaps")]
    [TestCase(0x0ffeUL, 4, "a.r2@0", "ffff0001", 1, Description = "begins before the first device")]
    [TestCase(0x9000UL, 8, "", "ffffffffffffffff", 1, Description = "no device at all")]
    [TestCase(0xfffffffffffffffeUL, 4, "z.r2@6", "0607ffff", 1, Description = "wraps at 2^64")]
    public void A_read_reaches_each_device_in_ascending_pieces(ulong gpa, int width, string calls, string bytes, int unclaimed)
    {
        var seen = new List<string>();
        MmioBus bus = MakeBus(seen);
        byte[] read = new byte[width];

        bus.Read(new Gpa(gpa), read);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(string.Join(' ', seen), Is.EqualTo(calls));
            Assert.That(Convert.ToHexStringLower(read), Is.EqualTo(bytes));
            Assert.That(bus.UnclaimedReads, Is.EqualTo((ulong)unclaimed));
            Assert.That(bus.UnclaimedWrites, Is.Zero);
        }
    }

    [TestCase(0x1010UL, "0102030405060708", "a.w8@10=0102030405060708", 0)]
    [TestCase(0x200eUL, "0102030405060708", "b.w2@e=0102 c.w1@0=07", 2)]
    [TestCase(0x9000UL, "01", "", 1)]
    public void A_write_reaches_each_device_in_ascending_pieces(ulong gpa, string bytes, string calls, int unclaimed)
    {
        var seen = new List<string>();
        MmioBus bus = MakeBus(seen);

        bus.Write(new Gpa(gpa), Convert.FromHexString(bytes));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(string.Join(' ', seen), Is.EqualTo(calls));
            Assert.That(bus.UnclaimedWrites, Is.EqualTo((ulong)unclaimed));
            Assert.That(bus.UnclaimedReads, Is.Zero);
        }
    }

    [Test]
    public void The_observer_sees_each_piece_with_its_device()
    {
        MmioBus bus = MakeBus([]);
        var seen = new List<string>();
        bus.Observer = (in MmioAccess access) =>
            seen.Add($"{(access.IsWrite ? 'w' : 'r')}{access.Width}@{access.Gpa}={Convert.ToHexStringLower(access.Bytes)} {(access.Device is null ? "none" : "device")}");

        bus.Read(new Gpa(0x200f), new byte[2]);
        bus.Write(new Gpa(0x2013), [0xaa, 0xbb]);

        Assert.That(seen, Is.EqualTo(new[]
        {
            "r1@0x200f=0f device", "r1@0x2010=ff none", "w1@0x2013=aa none", "w1@0x2014=bb device",
        }));
    }

    [TestCase(0x1000UL, 0x1000UL)]
    [TestCase(0x0fffUL, 2UL)]
    [TestCase(0x200fUL, 1UL)]
    [TestCase(0x0000UL, 0x8000UL)]
    [TestCase(0x3000UL, 0UL)]
    [TestCase(0xfffffffffffffff0UL, 0x11UL)]
    public void A_range_that_is_empty_wraps_or_overlaps_is_refused(ulong gpa, ulong size)
    {
        MmioBus bus = MakeBus([]);

        Assert.That(() => bus.Attach(new Gpa(gpa), new Probe('x', size)), Throws.ArgumentException);
        Assert.That(bus.Regions, Has.Count.EqualTo(4));
    }

    [TestCase(0)]
    [TestCase(65)]
    public void A_widest_access_out_of_range_is_refused(int widest) =>
        Assert.That(() => new MmioBus().Attach(new Gpa(0), new Probe('x', 8, widest)), Throws.ArgumentException);

    [Test]
    public void Regions_are_listed_in_order_and_found_by_address()
    {
        MmioBus bus = MakeBus([]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(bus.Regions.Select(r => (r.Base.Value, r.Size)), Is.EqualTo(new[]
            {
                (0x1000UL, 0x1000UL), (0x2000UL, 0x10UL), (0x2014UL, 1UL), (ulong.MaxValue - 7, 8UL),
            }));
            Assert.That(bus.TryFind(new Gpa(0x200f), out MmioRegion region), Is.True);
            Assert.That(region.Base, Is.EqualTo(new Gpa(0x2000)));
            Assert.That(bus.TryFind(new Gpa(0x2010), out _), Is.False);
        }
    }

    [Test]
    public void Accesses_allocate_nothing()
    {
        var bus = new MmioBus();
        bus.Attach(new Gpa(0x1000), new ScratchRam());
        bus.Attach(new Gpa(0x3000), new ScratchRam());
        long before = 0;
        Span<byte> bytes = stackalloc byte[8];
        for (int i = 0; i < 200; i++)
        {
            before = i == 100 ? GC.GetAllocatedBytesForCurrentThread() : before;
            bus.Write(new Gpa(0x1ffc), bytes);
            bus.Read(new Gpa(0x3000), bytes);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }
}
