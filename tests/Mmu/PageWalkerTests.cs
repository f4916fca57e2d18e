using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class PageWalkerTests
{
    private const ulong P = 1, RW = 2, US = 4, A = 32, PS = 128;
    private const ulong TableFlags = P | RW | US | A;

    private static readonly Gva Address = new(0x0000_1234_5678_9abc);
    private static readonly PagingState Paging = new(Cr0: 0x8001_0001, Cr3: 0x1000, Cr4: 0x20, Efer: 0xd00, AlignmentCheck: false, PhysicalAddressBits: 40);
    private static readonly WalkAccess read = new(AccessKind.Read, User: false);

    [TestCase(0x0000_0000_0000_0000UL, true)]
    [TestCase(0x0000_7fff_ffff_ffffUL, true)]
    [TestCase(0x0000_8000_0000_0000UL, false)]
    [TestCase(0x0001_0000_0000_0000UL, false)]
    [TestCase(0x7fff_ffff_ffff_ffffUL, false)]
    [TestCase(0x8000_0000_0000_0000UL, false)]
    [TestCase(0xffff_0000_0000_0000UL, false)]
    [TestCase(0xffff_7fff_ffff_ffffUL, false)]
    [TestCase(0xffff_8000_0000_0000UL, true)]
    [TestCase(0xffff_ffff_ffff_ffffUL, true)]
    public void An_address_is_canonical_when_bits_63_to_47_are_equal(ulong gva, bool canonical)
    {
        SparseTables nothing = new(1);
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref nothing, Paging, new Gva(gva), read, ref nobody);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(canonical ? WalkFailure.EntryUnreachable : WalkFailure.NonCanonical));
            Assert.That(result.Level, Is.EqualTo(canonical ? 4 : 0));
            Assert.That(result.ErrorCode, Is.EqualTo(PageFaultCode.None));
        }
    }

    [Test]
    public void Cr3_contributes_only_the_address_of_the_table()
    {
        SparseTables tables = TablesFor(leaf: 1, out ulong page);
        PagingState state = Paging with { Cr3 = Paging.Cr3 | 0x8000_0000_0000_0fff };
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, state, Address, read, ref nobody);

        Assert.That(result.Gpa, Is.EqualTo(new Gpa(page | 0xabc)));
    }

    [TestCase(0UL, 0x00UL, PageRights.None)]
    [TestCase(0x80UL, 0x100UL, PageRights.Global)]
    [TestCase(0UL, 0x100UL, PageRights.None)]
    [TestCase(0UL, 0x08UL, PageRights.WriteThrough)]
    [TestCase(0UL, 0x10UL, PageRights.CacheDisable)]
    [TestCase(0UL, 0x80UL, PageRights.Pat)]
    [TestCase(0UL, 0x40UL, PageRights.Dirty)]
    [TestCase(0UL, 0x02UL, PageRights.Write)]
    [TestCase(0UL, 0x04UL, PageRights.User)]
    [TestCase(0UL, 0x8000_0000_0000_0000UL, PageRights.NoExecute)]
    public void A_bit_of_the_leaf_becomes_a_right(ulong cr4, ulong bits, PageRights expected)
    {
        SparseTables tables = TablesFor(leaf: 1, out ulong page);
        tables.Words[1] = page | P | bits;
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, Paging with { Cr4 = cr4 }, Address, read, ref nobody);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.None));
            Assert.That(result.Rights, Is.EqualTo(expected));
        }
    }

    [Test]
    public void A_level_that_withholds_a_right_is_named_even_when_lower_levels_withhold_it_too()
    {
        SparseTables tables = TablesFor(leaf: 1, out _);
        tables.Words[3] &= ~RW;
        tables.Words[1] &= ~RW;
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, Paging, Address, new WalkAccess(AccessKind.Write, User: false), ref nobody);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.WriteToReadOnlyPage));
            Assert.That(result.Level, Is.EqualTo(3));
            Assert.That(result.EntryAddress.Value, Is.EqualTo(tables.Addresses[3]));
            Assert.That(result.Entry.Raw, Is.EqualTo(tables.Words[3]));
        }
    }

    [Test]
    public void A_walk_allocates_nothing()
    {
        SparseTables tables = TablesFor(leaf: 1, out _);
        WalkTrace trace = default;
        WalkAndFault(ref tables, ref trace);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            WalkAndFault(ref tables, ref trace);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    /// <summary>Tables that map <see cref="Address"/> with all rights and A set above the leaf; words are indexed by level.</summary>
    internal static SparseTables TablesFor(int leaf, out ulong page)
    {
        page = leaf == 1 ? 0x1234_5000u : leaf == 2 ? 0x1220_0000u : 0xc000_0000u;
        SparseTables tables = new(5);
        tables.Addresses[0] = ulong.MaxValue;
        for (int level = 4; level >= 1; level--)
        {
            ulong table = (ulong)(5 - level) * 0x1000;
            tables.Addresses[level] = table + (((Address.Value >> (3 + (9 * level))) & 511) * 8);
            tables.Words[level] = (level == leaf ? page : table + 0x1000) | TableFlags | (level == leaf && leaf > 1 ? PS : 0);
        }

        return tables;
    }

    private static void WalkAndFault(ref SparseTables tables, ref WalkTrace trace)
    {
        NoWalkObserver nobody = default;
        tables.Words[1] &= ~A;
        _ = PageWalker.Walk(ref tables, Paging, Address, read, ref trace);
        _ = PageWalker.Walk(ref tables, Paging, Address, new WalkAccess(AccessKind.Write, User: true), ref nobody);
        _ = PageWalker.Walk(ref tables, Paging with { Cr3 = 0x9000 }, Address, read, ref nobody);
    }
}
