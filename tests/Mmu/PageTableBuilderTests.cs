using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class PageTableBuilderTests
{
    private const ulong Tables = 0x10_0000;
    private const ulong K4 = 0x1000, M2 = 0x20_0000, G1 = 0x4000_0000;

    private ArrayGuestMemory memory = null!;
    private PageTableBuilder builder = null!;

    [SetUp]
    public void StartWithAnEmptyTable()
    {
        memory = new ArrayGuestMemory(0x80_0000);
        builder = new PageTableBuilder(memory, new Gpa(Tables), 0x70_0000);
    }

    [TestCase(12, 0x7fff_ffff_f000UL, 0x5000UL, K4, 12, 4)]
    [TestCase(12, 0xffff_ffff_ffff_f000UL, 0x5000UL, K4, 12, 4)]
    [TestCase(12, 0x20_0000UL, 0x40_0000UL, M2, 12, 4)]
    [TestCase(21, 0x20_0000UL, 0x40_0000UL, M2, 21, 3)]
    [TestCase(21, 0x20_0000UL, 0x40_1000UL, M2, 12, 4)]
    [TestCase(21, 0x4000_0000UL, 0x8000_0000UL, G1, 21, 3)]
    [TestCase(30, 0x4000_0000UL, 0x8000_0000UL, G1, 30, 2)]
    [TestCase(30, 0x4000_0000UL, 0x8020_0000UL, G1, 21, 3)]
    [TestCase(30, 0xffff_ffff_c000_0000UL, 0xf_ffff_c000_0000UL, G1, 30, 2)]
    public void The_largest_page_that_fits_and_is_allowed_is_used(
        int largest, ulong gva, ulong gpa, ulong length, int expectedShift, int expectedFrames)
    {
        builder.Map(new Gva(gva), new Gpa(gpa), length, PageRights.Write, largest);

        foreach (ulong offset in new ulong[] { 0, length / 2, length - 1 })
        {
            WalkResult result = Walk(new Gva(gva + offset));
            using (Assert.EnterMultipleScope())
            {
                Assert.That(result.Gpa, Is.EqualTo(new Gpa(gpa + offset)));
                Assert.That(result.PageShift, Is.EqualTo(expectedShift));
                Assert.That(builder.TableFrames, Is.EqualTo(expectedFrames));
            }
        }
    }

    [Test]
    public void A_range_is_covered_by_small_pages_at_its_ends_and_large_ones_between()
    {
        builder.Map(new Gva(G1 - M2 - K4), new Gpa(3 * G1 - M2 - K4), K4 + M2 + G1 + M2 + K4, PageRights.None, PageSize.Shift1G);

        Assert.That(
            new[] { G1 - M2 - K4, G1 - M2, G1, 2 * G1, (2 * G1) + M2 }.Select(gva => Walk(new Gva(gva)).PageShift),
            Is.EqualTo(new[] { 12, 21, 30, 21, 12 }));
    }

    [Test]
    public void Upper_entries_withhold_nothing_that_a_page_grants()
    {
        builder.Map(new Gva(0x1000), new Gpa(0x1000), K4, PageRights.NoExecute);
        ulong supervisorOnly = memory[Tables];
        builder.Map(new Gva(0x2000), new Gpa(0x2000), K4, PageRights.User | PageRights.Write);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(supervisorOnly & 0xfff, Is.EqualTo(3));
            Assert.That(memory[Tables] & 0xfff, Is.EqualTo(7));
            Assert.That(Walk(new Gva(0x1000)).Rights, Is.EqualTo(PageRights.NoExecute));
            Assert.That(Walk(new Gva(0x2000)).Rights, Is.EqualTo(PageRights.User | PageRights.Write));
        }
    }

    [Test]
    public void Random_mappings_walk_back_and_unmapped_pages_fault()
    {
        Random random = new(7);
        Dictionary<ulong, (ulong Gpa, int Shift, PageRights Rights)> pages = [];
        int refused = 0;
        for (int i = 0; i < 600; i++)
        {
            int shift = new[] { 12, 12, 12, 21, 30 }[random.Next(5)];
            ulong half = random.Next(2) == 0 ? 0 : 0xffff_8000_0000_0000;
            ulong gva = half | (((ulong)random.Next(4) << 38) + ((ulong)random.Next(3) << 30) + ((ulong)random.Next(3) << 21) + ((ulong)random.Next(16) << 12));
            gva &= ~((1UL << shift) - 1);
            ulong gpa = (ulong)random.NextInt64(1L << 40) & ~((1UL << shift) - 1);
            PageRights rights = (PageRights)random.Next(256);
            bool free = !pages.Any(p => Overlap(p.Key, p.Value.Shift, gva, shift));
            if (free)
            {
                builder.Map(new Gva(gva), new Gpa(gpa), 1UL << shift, rights, shift);
                pages[gva] = (gpa, shift, rights);
            }
            else
            {
                Assert.That(() => builder.Map(new Gva(gva), new Gpa(gpa), 1UL << shift, rights, shift), Throws.InvalidOperationException);
                refused++;
            }

            if (random.Next(4) == 0 && pages.Count > 0)
            {
                (ulong victim, (_, int size, _)) = pages.ElementAt(random.Next(pages.Count));
                builder.Unmap(new Gva(victim), 1UL << size);
                pages.Remove(victim);
                Assert.That(Walk(new Gva(victim)).Failure, Is.EqualTo(WalkFailure.NotPresent));
            }
        }

        TestContext.Out.WriteLine($"{pages.Count} pages left, {refused} mappings refused, {builder.TableFrames} table frames");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(refused, Is.GreaterThan(50));
            foreach ((ulong gva, (ulong gpa, int shift, PageRights rights)) in pages)
            {
                ulong offset = (ulong)random.NextInt64(1L << shift);
                WalkResult result = Walk(new Gva(gva + offset));
                Assert.That(result.Gpa, Is.EqualTo(new Gpa(gpa + offset)), $"0x{gva:x}");
                Assert.That(result.Rights, Is.EqualTo(rights), $"0x{gva:x}");
            }
        }
    }

    [TestCase(0x0000_7fff_ffff_f000UL, 0x0UL, 0x2000UL, "not a range of canonical addresses")]
    [TestCase(0x0000_8000_0000_0000UL, 0x0UL, 0x1000UL, "not a range of canonical addresses")]
    [TestCase(0xffff_ffff_ffff_f000UL, 0x0UL, 0x2000UL, "not a range of canonical addresses")]
    [TestCase(0x0UL, 0x0UL, 0xffff_ffff_ffff_f000UL, "not a range of canonical addresses")]
    [TestCase(0x0000_0000_0000_0800UL, 0x0UL, 0x1000UL, "not a multiple of 4 KiB")]
    [TestCase(0x0UL, 0x1UL, 0x1000UL, "not a multiple of 4 KiB")]
    [TestCase(0x0UL, 0x0UL, 0x1800UL, "not a multiple of 4 KiB")]
    [TestCase(0x0UL, 0x0UL, 0x0UL, "must be a non-zero value")]
    [TestCase(0x0UL, 0xf_ffff_ffff_f000UL, 0x2000UL, "at most 52 bits")]
    [TestCase(0x0UL, 0x10_0000_0000_0000UL, 0x1000UL, "at most 52 bits")]
    public void A_bad_range_is_refused_and_nothing_is_written(ulong gva, ulong gpa, ulong length, string message)
    {
        int before = memory.Writes;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                () => builder.Map(new Gva(gva), new Gpa(gpa), length, PageRights.None),
                Throws.InstanceOf<ArgumentException>().With.Message.Contains(message));
            Assert.That(memory.Writes, Is.EqualTo(before));
        }
    }

    [TestCase(20)]
    [TestCase(39)]
    public void An_unknown_page_size_is_refused(int shift) =>
        Assert.That(() => builder.Map(new Gva(0), new Gpa(0), K4, PageRights.None, shift), Throws.InstanceOf<ArgumentOutOfRangeException>());

    [Test]
    public void A_mapping_that_overlaps_another_is_refused_as_a_whole()
    {
        builder.Map(new Gva(0x20_5000), new Gpa(0x9000), K4, PageRights.None);
        int before = memory.Writes;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                () => builder.Map(new Gva(0x20_0000), new Gpa(0), M2, PageRights.Write, PageSize.Shift2M),
                Throws.InvalidOperationException.With.Message.StartsWith("0x205000 is mapped already, by the PTE at 0x"));
            Assert.That(memory.Writes, Is.EqualTo(before));
        }
    }

    [Test]
    public void Unmapping_splits_no_page_and_passes_over_no_hole()
    {
        builder.Map(new Gva(0), new Gpa(0), M2, PageRights.None, PageSize.Shift2M);
        builder.Map(new Gva(M2), new Gpa(0), K4, PageRights.None);
        int before = memory.Writes;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => builder.Unmap(new Gva(0x1000), K4), Throws.InvalidOperationException.With.Message.Contains("pages are not split"));
            Assert.That(() => builder.Unmap(new Gva(0), M2 + K4 + K4), Throws.InvalidOperationException.With.Message.StartsWith("0x201000 is not mapped"));
            Assert.That(memory.Writes, Is.EqualTo(before));
            Assert.That(Walk(new Gva(0x1000)).Succeeded, Is.True);
        }
    }

    [Test]
    public void Running_out_of_frames_or_of_memory_is_reported()
    {
        PageTableBuilder three = new(memory, new Gpa(0x70_0000), 3 * K4);
        Queue<Gfn?> frames = new([new Gfn(0x10), new Gfn(0x900)]);
        PageTableBuilder beyond = new(memory, frames.Dequeue);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                () => three.Map(new Gva(0), new Gpa(0), K4, PageRights.None),
                Throws.InvalidOperationException.With.Message.Contains("No frame is left for page tables; 3 are in use"));
            Assert.That(() => three.Map(new Gva(0), new Gpa(0), M2, PageRights.None, PageSize.Shift2M), Throws.Nothing);
            Assert.That(
                () => beyond.Map(new Gva(0), new Gpa(0), K4, PageRights.None),
                Throws.InvalidOperationException.With.Message.Contains("cannot be reached at 0x900000: NoSlot"));
            Assert.That(() => new PageTableBuilder(memory, new Gpa(0x70_0000), 0), Throws.InvalidOperationException);
            Assert.That(() => new PageTableBuilder(memory, new Gpa(0x70_0800), K4), Throws.ArgumentException);
        }
    }

    [Test]
    public void Tables_in_read_only_memory_translate_and_keep_their_flags()
    {
        builder.Map(new Gva(0x1000), new Gpa(0x5000), K4, PageRights.Write);
        memory.ReadOnlyFrom = Tables;
        AccessTables<ArrayGuestMemory> tables = new(memory);
        PagingState state = State;
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, state, new Gva(0x1000), new WalkAccess(AccessKind.Write, User: false), ref nobody);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Gpa, Is.EqualTo(new Gpa(0x5000)));
            Assert.That(memory[Tables] & 0x20, Is.Zero);
        }
    }

    // The mode, the largest page, the addresses, the length, and the page and the tables that come of it.
    [TestCase(PagingMode.Bits32, 12, 0xFFFF_F000UL, 0x5000UL, K4, 12, 2)]
    [TestCase(PagingMode.Bits32, 22, 0x40_0000UL, 0x80_0000UL, 0x40_0000UL, 22, 1)]
    [TestCase(PagingMode.Bits32, 22, 0x40_0000UL, 0xAB_C000_0000UL, 0x80_0000UL, 22, 1)]
    [TestCase(PagingMode.Bits32, 22, 0x40_0000UL, 0x80_1000UL, 0x40_0000UL, 12, 2)]
    [TestCase(PagingMode.Bits32, 12, 0UL, 0UL, 0x80_0000UL, 12, 3)]
    [TestCase(PagingMode.Pae, 12, 0xFFFF_F000UL, 0xF_0000_0000_5000UL, K4, 12, 3)]
    [TestCase(PagingMode.Pae, 21, 0x7FE0_0000UL, 0x8000_0000UL, 0x40_0000UL, 21, 3)]
    [TestCase(PagingMode.FiveLevel, 12, 0x00FF_FFFF_FFFF_F000UL, 0x5000UL, K4, 12, 5)]
    [TestCase(PagingMode.FiveLevel, 30, 0xFF00_0000_0000_0000UL, 0x4000_0000UL, G1, 30, 3)]
    [TestCase(PagingMode.FiveLevel, 21, 0x0001_0000_0000_0000UL - 0x20_0000, 0x4000_0000UL, 0x40_0000UL, 21, 7)]
    public void TablesOfEveryModeTranslate(PagingMode mode, int largest, ulong gva, ulong gpa, ulong length, int shift, int frames)
    {
        PageTableBuilder tables = new(memory, new Gpa(Tables), 0x70_0000, mode);
        tables.Map(new Gva(gva), new Gpa(gpa), length, PageRights.Write | PageRights.User, largest);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((tables.Mode, tables.TableFrames), Is.EqualTo((mode, frames)));
            foreach (ulong offset in (ulong[])[0, length / 2, length - 1])
            {
                WalkResult result = Walk(tables, new Gva(gva + offset));
                Assert.That((result.Failure, result.Gpa.Value, result.PageShift), Is.EqualTo((WalkFailure.None, gpa + offset, shift)));
                Assert.That(result.Rights, Is.EqualTo(PageRights.Write | PageRights.User));
            }

            tables.Unmap(new Gva(gva), length);
            Assert.That(Walk(tables, new Gva(gva)).Failure, Is.EqualTo(WalkFailure.NotPresent));
        }
    }

    /// <summary>Neighbours in 32-bit tables are half a word each, and rights of every kind come through.</summary>
    [Test]
    public void NeighboursOfEveryModeStayApart([Values(PagingMode.Bits32, PagingMode.Pae, PagingMode.FiveLevel)] PagingMode mode)
    {
        PageTableBuilder tables = new(memory, new Gpa(Tables), 0x70_0000, mode);
        PageRights[] all =
        [
            PageRights.None, PageRights.User, PageRights.Write, PageRights.Dirty, PageRights.Global, PageRights.WriteThrough, PageRights.CacheDisable,
            PageRights.Pat, .. mode == PagingMode.Bits32 ? Array.Empty<PageRights>() : [PageRights.NoExecute],
        ];
        for (int i = 0; i < all.Length; i++)
        {
            tables.Map(new Gva((ulong)i * K4), new Gpa((ulong)(i + 16) * K4), K4, all[i]);
        }

        for (int i = 0; i < all.Length; i++)
        {
            WalkResult result = Walk(tables, new Gva((ulong)i * K4));
            Assert.That((result.Gpa.Value, result.Rights), Is.EqualTo(((ulong)(i + 16) * K4, all[i])));
        }
    }

    [TestCase(PagingMode.Bits32, 0x1_0000_0000UL, 0UL, K4, 12, PageRights.None, "not a range of 32-bit addresses")]
    [TestCase(PagingMode.Pae, 0xFFFF_F000UL, 0UL, 0x2000UL, 12, PageRights.None, "not a range of 32-bit addresses")]
    [TestCase(PagingMode.FiveLevel, 0x0100_0000_0000_0000UL, 0UL, K4, 12, PageRights.None, "not a range of canonical addresses")]
    [TestCase(PagingMode.Bits32, 0UL, 0UL, K4, 21, PageRights.None, "No page has")]
    [TestCase(PagingMode.Pae, 0UL, 0UL, K4, 30, PageRights.None, "No page has")]
    [TestCase(PagingMode.FourLevel, 0UL, 0UL, K4, 22, PageRights.None, "No page has")]
    [TestCase(PagingMode.Bits32, 0UL, 0UL, K4, 12, PageRights.NoExecute, "Rights that no entry can express")]
    [TestCase(PagingMode.FourLevel, 0UL, 0UL, K4, 12, PageRights.ShadowStack, "Rights that no entry can express")]
    [TestCase(PagingMode.Bits32, 0UL, 0x1_0000_0000UL, K4, 12, PageRights.None, "cannot name this address")]
    [TestCase(PagingMode.Bits32, 0UL, 0xFFFF_F000UL, 0x2000UL, 12, PageRights.None, "cannot name this address")]
    [TestCase(PagingMode.Bits32, 0UL, 0x100_0000_0000UL, 0x40_0000UL, 22, PageRights.None, "cannot name this address")]
    [TestCase(PagingMode.Bits32, 0x40_0000UL, 0x1_0000_0000UL, 0x40_1000UL, 22, PageRights.None, "cannot name this address")]
    public void WhatAModeCannotSayIsRefusedAndChangesNothing(
        PagingMode mode, ulong gva, ulong gpa, ulong length, int largest, PageRights rights, string reason)
    {
        PageTableBuilder tables = new(memory, new Gpa(Tables), 0x70_0000, mode);
        int writes = memory.Writes;
        Assert.That(
            () => tables.Map(new Gva(gva), new Gpa(gpa), length, rights, largest), Throws.InstanceOf<ArgumentException>().With.Message.Contains(reason));
        Assert.That((memory.Writes, tables.TableFrames), Is.EqualTo((writes, 1)));
    }

    [Test]
    public void ATableThatItsModeCannotNameIsRefused()
    {
        ulong high = 1UL << 20;
        Assert.That(
            () => new PageTableBuilder(memory, () => new Gfn(high), PagingMode.Pae), Throws.InvalidOperationException.With.Message.Contains("beyond the 32 bits"));
        Assert.That(
            () => new PageTableBuilder(memory, () => new Gfn(high), PagingMode.Bits32), Throws.InvalidOperationException.With.Message.Contains("beyond the 32 bits"));
        Assert.That(() => new PageTableBuilder(memory, new Gpa(Tables), K4, PagingMode.None), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    private static WalkResult Walk(ArrayGuestMemory memory, PageTableBuilder tables, Gva gva)
    {
        (ulong cr4, ulong efer) = tables.Mode switch
        {
            PagingMode.Bits32 => (PagingState.Cr4PSE, 0UL),
            PagingMode.Pae => (PagingState.Cr4PAE, PagingState.EferNXE),
            PagingMode.FiveLevel => (PagingState.Cr4PAE | PagingState.Cr4LA57, 0xD00UL),
            _ => (PagingState.Cr4PAE, 0xD00UL),
        };
        PagingState state = new(0x8001_0001, tables.Cr3, cr4 | PagingState.Cr4PGE, efer, AlignmentCheck: true, PhysicalAddressBits: 52, Pdptes: tables.Pdptes);
        AccessTables<ArrayGuestMemory> entries = new(memory);
        NoWalkObserver nobody = default;
        return PageWalker.Walk(ref entries, state, gva, new WalkAccess(AccessKind.Read, User: false), ref nobody);
    }

    private WalkResult Walk(PageTableBuilder tables, Gva gva) => Walk(memory, tables, gva);

    private PagingState State => new(0x8001_0001, builder.Cr3, 0xa0, 0xd00, AlignmentCheck: true, PhysicalAddressBits: 52);

    private static bool Overlap(ulong first, int firstShift, ulong second, int secondShift) =>
        first <= second + ((1UL << secondShift) - 1) && second <= first + ((1UL << firstShift) - 1);

    private WalkResult Walk(Gva gva)
    {
        AccessTables<ArrayGuestMemory> tables = new(memory);
        NoWalkObserver nobody = default;
        return PageWalker.Walk(ref tables, State, gva, new WalkAccess(AccessKind.Read, User: false), ref nobody);
    }
}
