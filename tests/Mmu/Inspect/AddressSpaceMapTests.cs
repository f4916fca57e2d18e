using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class AddressSpaceMapTests
{
    private const PageRights Combined = PageRights.User | PageRights.Write | PageRights.NoExecute;

    private static readonly PagingMode[] Modes = [PagingMode.Bits32, PagingMode.Pae, PagingMode.FourLevel, PagingMode.FiveLevel];

    private static readonly PagingState FourLevel = new(
        PagingState.Cr0PG | PagingState.Cr0WP, 0, PagingState.Cr4PAE, PagingState.EferLMA | PagingState.EferNXE, false, 36);

    [Test]
    public void SparseTablesAreListedAsByAPlainScan([ValueSource(nameof(Modes))] PagingMode mode)
    {
        Random random = new(20261121);
        int mapped = 0;
        int several = 0;
        for (int round = 0; round < 40; round++)
        {
            FrameTables tables = RandomTables.Make(random, mode, present: mode == PagingMode.FiveLevel ? 3 : 5);
            PagingState state = RandomTables.State(random, mode);
            List<MappedPage> expected = PlainScan.Pages(tables, state);
            AddressSpaceMap map = AddressSpaceMap.Of(tables, state);
            Gfn frame = new((ulong)random.Next(RandomTables.Frames));
            List<MappedPage> holders = [.. expected.Where(page => (frame.Value << 12) - page.Gpa.Value < 1UL << page.PageShift)];
            FrameMappings mappings = map.MappingsOf(frame);
            MapCounts counts = map.Count(GvaRange.All);
            using (Assert.EnterMultipleScope())
            {
                Assert.That(map.Pages(GvaRange.All).SequenceEqual(expected));
                Assert.That(map.Ranges(GvaRange.All).SequenceEqual(PlainScan.Merge(expected)));
                Assert.That(counts.Pages.Total, Is.EqualTo((ulong)expected.Count));
                Assert.That(counts.Pages.Small, Is.EqualTo((ulong)expected.Count(page => page.PageShift == 12)));
                Assert.That(counts.Pages.Huge, Is.EqualTo((ulong)expected.Count(page => page.PageShift == 30)));
                Assert.That(counts.Ranges, Is.EqualTo((ulong)PlainScan.Merge(expected).Count));
                Assert.That(counts.IsComplete);
                Assert.That(mappings.Pages(GvaRange.All).SequenceEqual(holders));
                Assert.That(mappings.Count(GvaRange.All), Is.EqualTo((ulong)holders.Count));
            }

            mapped += expected.Count == 0 ? 0 : 1;
            several += holders.Count > 1 ? 1 : 0;
        }

        Assert.That(mapped, Is.GreaterThan(10), "the tables map too little to tell");
        Assert.That(several, Is.Positive);
    }

    [Test]
    public void AWindowOfDenseTablesIsListedAsTheWalkerSeesIt(
        [Values(PagingMode.Bits32, PagingMode.Pae, PagingMode.FourLevel)] PagingMode mode, [Values(200, 512, 1024)] int present)
    {
        const int windowPages = 3000;
        Random random = new(7 + present);
        int mapped = 0;
        for (int round = 0; round < 30; round++)
        {
            FrameTables tables = RandomTables.Make(random, mode, present);
            PagingState state = RandomTables.State(random, mode);
            AddressSpaceMap map = AddressSpaceMap.Of(tables, state);
            GvaRange half = map.Halves[random.Next(map.Halves.Count)];
            ulong first = half.First.Value + ((ulong)random.NextInt64((long)(half.Span - (windowPages << 12))) & ~0xfffUL);
            GvaRange window = new(new Gva(first), new Gva(first + (windowPages << 12) - 1));
            List<MappedRange> expected = ByWalks(tables, state, window);
            List<MappedRange> cut = [.. map.Ranges(window)];
            MapCounts counts = map.Count(window);
            using (Assert.EnterMultipleScope())
            {
                Assert.That(cut, Is.EqualTo(expected));
                Assert.That(counts.Ranges, Is.EqualTo((ulong)expected.Count));
                Assert.That(counts.Pages.Total, Is.EqualTo((ulong)map.Pages(window).Count()));
                Assert.That(PlainScan.Merge(map.Pages(window)).Select(range => range.Rights), Is.EqualTo(expected.Select(range => range.Rights)));
            }

            mapped += expected.Count;
        }

        Assert.That(mapped, Is.GreaterThan(100));
    }

    [Test]
    public void TheRangeAtAnAddressIsTheOneThatTheListHas([ValueSource(nameof(Modes))] PagingMode mode)
    {
        Random random = new(11);
        int found = 0;
        for (int round = 0; round < 30; round++)
        {
            AddressSpaceMap map = AddressSpaceMap.Of(RandomTables.Make(random, mode, 5), RandomTables.State(random, mode));
            foreach (MappedRange range in map.Ranges(GvaRange.All).Take(50))
            {
                found++;
                Gva inside = range.Addresses.First + (ulong)random.NextInt64((long)range.Addresses.Span);
                Assert.That(map.RangeAt(inside), Is.EqualTo(range));
                Gva below = new(range.Addresses.First.Value - 1);
                Assert.That(map.RangeAt(below)?.Addresses.Last, Is.AnyOf(null, below));
            }
        }

        Assert.That(found, Is.GreaterThan(100));
    }

    [TestCase(4, 1L << 36)]
    [TestCase(5, 1L << 45)]
    public void ATableOfItselfMapsEverythingInTwoRanges(int levels, long pages)
    {
        FrameTables tables = new(1);
        tables.Words.AsSpan().Fill(0x7);
        AddressSpaceMap map = AddressSpaceMap.Of(tables, WithLevels(levels));
        FrameMappings mappings = map.MappingsOf(new Gfn(0));
        ulong half = 1UL << ((9 * levels) + 11);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(map.Count(GvaRange.All), Is.EqualTo(new MapCounts(2, new PageCounts((ulong)pages, 0, 0), true)));
            Assert.That(map.Ranges(GvaRange.All).Select(range => range.Addresses), Is.EqualTo(new GvaRange[]
            {
                new(new Gva(0), new Gva(half - 1)), new(new Gva(~(half - 1)), new Gva(ulong.MaxValue)),
            }));
            Assert.That(mappings.Count(GvaRange.All), Is.EqualTo((ulong)pages));
            Assert.That(mappings.Pages(GvaRange.All).Take(3).Select(page => page.Gva.Value), Is.EqualTo(new ulong[] { 0, 0x1000, 0x2000 }));
            Assert.That(map.MappingsOf(new Gfn(1)).Count(GvaRange.All), Is.Zero);
        }
    }

    [TestCase(4, 1UL << 33)]
    [TestCase(5, 1UL << 41)]
    public void ATableOfItselfWithEveryOtherEntryReadOnlyIsCountedAndBegun(int levels, ulong ranges)
    {
        // A page is writable if the index at every level is even. A writable subtree of k levels begins writable and ends read-only, so
        // 256 of them below an entry each make 256 times as many ranges as one has; the lowest level has 512.
        FrameTables tables = new(1);
        for (int index = 0; index < 512; index++)
        {
            tables[0, index] = index % 2 == 0 ? 0x7u : 0x5u;
        }

        AddressSpaceMap map = AddressSpaceMap.Of(tables, WithLevels(levels));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(map.Count(GvaRange.All).Ranges, Is.EqualTo(ranges));
            Assert.That(map.Ranges(GvaRange.All).Take(600).Select(range => range.Rights), Is.EqualTo(
                Enumerable.Range(0, 600).Select(i => i % 2 == 0 ? PageRights.User | PageRights.Write : PageRights.User)));
            Assert.That(map.Ranges(GvaRange.All).ElementAt(511).Addresses.Span, Is.EqualTo((513UL << 12) - 1), "the last of a table, and the next table");
        }
    }

    [Test]
    public void TablesBeyondTheLimitAreSaidToBeUnknown()
    {
        FrameTables tables = new(8);
        for (int level = 0; level < 3; level++)
        {
            tables[level, 0] = ((ulong)(level + 1) << 12) | 7;
        }

        for (int frame = 0; frame < 4; frame++)
        {
            tables[2, 1 + frame] = ((ulong)(4 + frame) << 12) | 7;
            tables[4 + frame, 0] = 0x7;
        }

        AddressSpaceMap map = AddressSpaceMap.Of(tables, FourLevel, mostTables: 5);
        MapCounts counts = map.Count(GvaRange.All);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(counts.IsComplete, Is.False);
            Assert.That(map.Ranges(GvaRange.All).Any(range => !range.IsScanned));
            Assert.That(AddressSpaceMap.Of(tables, FourLevel, mostTables: 8).Count(GvaRange.All), Is.EqualTo(new MapCounts(4, new PageCounts(4, 0, 0), true)));
        }
    }

    [Test]
    public void WithoutPagingThereIsNoMap() =>
        Assert.That(() => AddressSpaceMap.Of(new FrameTables(1), default), Throws.ArgumentException);

    private static PagingState WithLevels(int levels) =>
        levels == 4 ? FourLevel : FourLevel with { Cr4 = PagingState.Cr4PAE | PagingState.Cr4LA57 };

    private static List<MappedRange> ByWalks(FrameTables tables, PagingState state, GvaRange window)
    {
        UnmarkedTables unmarked = new(tables);
        NoWalkObserver nobody = default;
        List<MappedPage> pages = [];
        for (ulong gva = window.First.Value; gva - window.First.Value <= window.Span; gva += PageSize.Size4K)
        {
            WalkResult result = PageWalker.Walk(ref unmarked, state, new Gva(gva), new WalkAccess(AccessKind.Read, User: false), ref nobody);
            if (result.Succeeded)
            {
                pages.Add(new MappedPage(new Gva(gva), result.Gpa, 12, result.Level, result.EntryAddress, result.Entry, result.Rights & Combined));
            }
        }

        return PlainScan.Merge(pages);
    }
}
