using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The machine's own second stage gives what the memslots give, whatever becomes of them.</summary>
[TestFixture]
internal sealed class MachineSecondStageTests
{
    private const ulong Page = 0x1000, MiB = 1UL << 20, GiB = 1UL << 30;
    private const ulong SomeHost = 0x5000_0000_0000;

    private static readonly ulong[] Units = [Page, 2 * MiB, GiB];
    private static readonly AccessKind[] Kinds = [AccessKind.Read, AccessKind.Write, AccessKind.Execute];

    /// <summary>Slots come, go and change flags at random; after each change each processor finds at random addresses what the memslots say.</summary>
    [Test]
    public void ProcessorsFindWhatTheMemslotsSay(
        [Values((byte)46, (byte)52)] byte addressBits, [Values(1 << 12, 8)] int tableFrames, [Values(1, 2, 3)] int seed)
    {
        Random random = new(seed);
        using SecondStageRig rig = new(addressBits, processors: 2, tableFrames);
        int translated = 0;
        int left = 0;
        for (int change = 0; change < 300; change++)
        {
            Change(rig.Slots, random, addressBits);
            for (int probe = 0; probe < 40; probe++)
            {
                ulong gpa = Address(rig.Slots, random, addressBits);
                AccessKind kind = Kinds[random.Next(Kinds.Length)];
                (ulong Host, bool Writable)? expected = rig.Expect(gpa, kind);
                _ = expected is null ? left++ : translated++;
                Assert.That(rig.Ask(random.Next(2), gpa, kind), Is.EqualTo(expected), $"{kind} at 0x{gpa:x} after change {change}");
            }

            Assert.That(rig.Stage.TableFrames, Is.LessThanOrEqualTo(tableFrames));
            if (change % 10 == 0)
            {
                CheckTables(rig);
            }
        }

        Assert.That(translated, Is.GreaterThan(3000));
        Assert.That(left, Is.GreaterThan(1000));
    }

    [TestCase(0ul, 1 * GiB, SomeHost, 0x1234_5678ul, 30)]
    [TestCase(0ul, 1 * GiB, SomeHost + Page, 0x1234_5678ul, 30, TestName = "HostAddressesDoNotMatterFramesDo")]
    [TestCase(0ul, (1 * GiB) - Page, SomeHost, 0x1234_5678ul, 21)]
    [TestCase(2 * GiB, 3 * GiB, SomeHost, 4 * GiB, 30)]
    [TestCase(2 * MiB, 1 * GiB, SomeHost, 5 * MiB, 21)]
    [TestCase(3 * MiB, 16 * MiB, SomeHost, 5 * MiB, 12)]
    [TestCase(0ul, 2 * MiB, SomeHost, 0x1000ul, 21)]
    [TestCase(0ul, (4 * MiB) - Page, SomeHost, 3 * MiB, 12)]
    [TestCase(0ul, (4 * MiB) - Page, SomeHost, 1 * MiB, 21)]
    [TestCase(Page, Page, SomeHost, Page, 12)]
    public void PagesAreAsLargeAsSlotAndAlignmentAllow(ulong first, ulong size, ulong host, ulong at, int shift)
    {
        using SecondStageRig rig = new();
        rig.Slots.Add(new Gpa(first), size, new Hva(host));
        Assert.That(rig.Ask(0, at, AccessKind.Read), Is.EqualTo((host + (at - first), true)));
        Assert.That(rig.Pages().Select(page => (page.Gpa, page.Size)), Is.EqualTo(new[] { (at & ~((1UL << shift) - 1), 1UL << shift) }));
    }

    [Test]
    public void SlotsThatShareMemoryShareFrames()
    {
        using SecondStageRig rig = new();
        rig.Slots.Add(new Gpa(0), 8 * Page, new Hva(SomeHost));
        rig.Slots.Add(new Gpa(GiB), 2 * Page, new Hva(SomeHost + (3 * Page)), MemslotFlags.ReadOnly);
        _ = (rig.Ask(0, 3 * Page, AccessKind.Write), rig.Ask(0, GiB, AccessKind.Read));
        EptEntry[] pages = [.. rig.Pages().Select(page => page.Entry)];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(pages, Has.Length.EqualTo(2));
            Assert.That(pages[0].Raw & EptEntry.AddressMask, Is.EqualTo(pages[1].Raw & EptEntry.AddressMask));
            Assert.That(pages[0].Raw & 7, Is.EqualTo(7));
            Assert.That(pages[1].Raw & 7, Is.EqualTo(EptEntry.ReadBit | EptEntry.ExecuteBit), "a read-only slot");
            Assert.That(pages[0].MemoryType, Is.EqualTo(MemoryType.WB));
        }
    }

    [Test]
    public void CountersAreExact()
    {
        using SecondStageRig rig = new();
        Memslot low = rig.Slots.Add(new Gpa(0), 4 * Page, new Hva(SomeHost));
        Memslot rom = rig.Slots.Add(new Gpa(8 * Page), 2 * Page, new Hva(SomeHost + (16 * Page)), MemslotFlags.ReadOnly);
        Expect(0, 0, 0);
        _ = rig.Ask(0, 0, AccessKind.Read);
        Expect(1, 1, 0);
        _ = (rig.Ask(0, 8, AccessKind.Write), rig.Ask(1, 8, AccessKind.Write));
        Expect(1, 1, 0);
        _ = rig.Ask(1, Page, AccessKind.Execute);
        Expect(2, 2, 0);
        _ = (rig.Ask(0, 5 * Page, AccessKind.Read), rig.Ask(0, 5 * Page, AccessKind.Read));
        Expect(4, 2, 0);
        _ = (rig.Ask(0, 8 * Page, AccessKind.Write), rig.Ask(0, 8 * Page, AccessKind.Read), rig.Ask(0, 8 * Page, AccessKind.Write));
        Expect(7, 3, 0);
        rig.Slots.Add(new Gpa(GiB), Page, new Hva(SomeHost));
        Expect(7, 3, 0);
        _ = rig.Slots.SetFlags(rom.Id, MemslotFlags.None);
        Expect(7, 3, 1);
        rig.Slots.Remove(low.Id);
        Expect(7, 3, 3);
        Assert.That(rig.Stage.TableFrames, Is.EqualTo(1), "the root");

        void Expect(ulong violations, ulong installs, ulong zaps) =>
            Assert.That((rig.Stage.Violations, rig.Stage.Installs, rig.Stage.Zaps), Is.EqualTo((violations, installs, zaps)));
    }

    /// <summary>What no guest should ask for leaves the guest, and that is all.</summary>
    [Test]
    public void NoAddressIsTooHigh([Values((byte)46, (byte)52)] byte addressBits)
    {
        using SecondStageRig rig = new(addressBits);
        rig.Slots.Add(new Gpa(0), GiB, new Hva(SomeHost));
        ulong[] addresses = [GiB, 1UL << 36, (1UL << 46) - 8, 1UL << 47, (1UL << 48) - 1, 1UL << 48, (1UL << 52) - 8, 1UL << 52, 1UL << 57, 1UL << 63, ulong.MaxValue];
        foreach (ulong gpa in addresses)
        {
            Assert.That(Kinds.Select(kind => rig.Ask(0, gpa, kind)), Is.All.Null, $"0x{gpa:x}");
        }

        Assert.That((rig.Stage.Installs, rig.Stage.TableFrames), Is.EqualTo((0, 1)));
    }

    /// <summary>With 4 levels a slot above 2^48 cannot be reached, and a processor whose MAXPHYADDR makes 4 levels do cannot name it.</summary>
    [TestCase((byte)48, 4)]
    [TestCase((byte)49, 5)]
    public void TheNumberOfLevelsFollowsTheGuestsAddressWidth(byte addressBits, int levels)
    {
        using SecondStageRig rig = new(addressBits);
        rig.Slots.Add(new Gpa((1UL << 48) - Page), 2 * Page, new Hva(SomeHost));
        Assert.That(rig.Stage.Eptp.Levels, Is.EqualTo(levels));
        Assert.That(rig.Ask(0, (1UL << 48) - 8, AccessKind.Read), Is.EqualTo((SomeHost + Page - 8, true)));
        Assert.That(rig.Ask(0, 1UL << 48, AccessKind.Read), levels == 4 ? Is.Null : Is.EqualTo((SomeHost + Page, true)));
        rig.Slots.Remove(0);
        Assert.That((rig.Stage.Installs - rig.Stage.Zaps, rig.Stage.TableFrames), Is.EqualTo((0, 1)));
    }

    [Test]
    public void InstallingAllocatesNothing()
    {
        using SecondStageRig rig = new();
        rig.Slots.Add(new Gpa(Page), 64 * MiB, new Hva(SomeHost));
        _ = (rig.Ask(0, Page, AccessKind.Read), rig.Ask(0, GiB, AccessKind.Read));
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong gpa = 2 * Page; gpa < MiB; gpa += Page)
        {
            _ = rig.Ask(0, gpa, AccessKind.Write);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
        Assert.That(rig.Stage.Installs, Is.EqualTo(255));
    }

    private static void Change(Memslots slots, Random random, byte addressBits)
    {
        IReadOnlyList<Memslot> all = slots.All;
        int what = random.Next(all.Count < 3 ? 1 : all.Count > 12 ? 5 : 8);
        if (what is 1 or 2 or 4)
        {
            slots.Remove(all[random.Next(all.Count)].Id);
        }
        else if (what == 3)
        {
            Memslot slot = all[random.Next(all.Count)];
            _ = slots.SetFlags(slot.Id, slot.Flags ^ MemslotFlags.ReadOnly);
        }
        else
        {
            ulong unit = Units[random.Next(Units.Length)];
            ulong gpa = ((ulong)random.Next(64) * unit) + (random.Next(4) == 0 ? Page : 0) + (random.Next(8) == 0 ? (1UL << addressBits) - (64 * GiB) - (2 * MiB) : 0);
            ulong size = Math.Min(((ulong)random.Next(1, 20) * unit) + (random.Next(4) == 0 ? Page : 0), (1UL << addressBits) - gpa);
            ulong host = SomeHost + ((ulong)random.Next(16) * Page) + ((ulong)random.Next(3) * GiB);
            try
            {
                _ = slots.Add(new Gpa(gpa), size, new Hva(host), random.Next(3) == 0 ? MemslotFlags.ReadOnly : MemslotFlags.None);
            }
            catch (MemslotException e) when (e.Error == Errno.EEXIST)
            {
                // A refused change changes nothing.
            }
        }
    }

    private static ulong Address(Memslots slots, Random random, byte addressBits)
    {
        IReadOnlyList<Memslot> all = slots.All;
        if (all.Count == 0 || random.Next(6) == 0)
        {
            return (ulong)random.NextInt64(1L << random.Next(13, addressBits));
        }

        Memslot slot = all[random.Next(all.Count)];
        ulong offset = random.Next(4) switch
        {
            0 => 0,
            1 => slot.Size - 1,
            2 => slot.Size + (ulong)random.Next(0x2000),
            _ => (ulong)random.NextInt64((long)slot.Size),
        };
        return (slot.Base.Value + offset) & ((1UL << addressBits) - 1);
    }

    private static void CheckTables(SecondStageRig rig)
    {
        List<(ulong Gpa, ulong Size, EptEntry Entry)> pages = rig.Pages();
        Assert.That((ulong)pages.Count, Is.EqualTo(rig.Stage.Installs - rig.Stage.Zaps));
        foreach ((ulong gpa, ulong size, EptEntry entry) in pages)
        {
            Assert.That(rig.Slots.TryFind(new Gpa(gpa), out Memslot? slot));
            Assert.That(slot!.Contains(new Gpa(gpa + size - 1)), $"a page at 0x{gpa:x} ends in its slot");
            Assert.That((entry.Raw & EptEntry.WriteBit) != 0, Is.EqualTo(slot.IsWritable));
            Assert.That(rig.Stage.Frames.TryTranslate(new Hpa(entry.Raw & EptEntry.AddressMask & ~(size - 1)), out Hva host));
            Assert.That(host.Value, Is.EqualTo(slot.Host.Value + (gpa - slot.Base.Value)));
        }
    }
}
