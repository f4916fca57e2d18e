using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Shadow-stack accesses and pages (SDM Vol. 3A, section 5.6 "Access Rights" and the SS flag of 5.7).</summary>
[TestFixture]
internal sealed class ShadowStackTests
{
    private const ulong P = 1, RW = 2, US = 4, D = 64;
    private const ulong WP = PagingState.Cr0WP, CET = PagingState.Cr4CET, SMAP = PagingState.Cr4SMAP, PKE = PagingState.Cr4PKE, PKS = PagingState.Cr4PKS;
    private const ulong Linear = 0x1234_5678_9abc;

    /// <summary>Every combination of what the rules look at, for each size of page.</summary>
    [Test]
    public void AccessesGoToShadowStackPagesOfTheirOwnPrivilege([Values(1, 2, 3)] int leaf)
    {
        int cases = 0, allowed = 0;
        for (int bits = 0; bits < 1 << 11; bits++)
        {
            bool writableAbove = Bit(bits, 0), writableLeaf = Bit(bits, 1), dirty = Bit(bits, 2), userAbove = Bit(bits, 3), userLeaf = Bit(bits, 4);
            bool cet = Bit(bits, 5), smap = Bit(bits, 6), ac = Bit(bits, 7), wp = Bit(bits, 8) || cet, user = Bit(bits, 9), write = Bit(bits, 10);
            SparseTables tables = PageWalkerTests.TablesFor(leaf, out _);
            Set(tables.Words, 4, RW, writableAbove);
            Set(tables.Words, 4, US, userAbove);
            Set(tables.Words, leaf, RW, writableLeaf);
            Set(tables.Words, leaf, US, userLeaf);
            Set(tables.Words, leaf, D, dirty);
            PagingState state = State((CET * Flag(cet)) | (SMAP * Flag(smap)), WP * Flag(wp), ac);
            WalkAccess access = new(write ? AccessKind.Write : AccessKind.Read, user, ShadowStack: true);
            WalkResult result = Walk(ref tables, state, access);

            bool userPage = userAbove && userLeaf;
            bool shadowStackPage = writableAbove && !writableLeaf && dirty;
            WalkFailure expected = cet
                ? (user && !userPage ? WalkFailure.UserAccessToSupervisorPage
                    : !user && userPage ? WalkFailure.SupervisorShadowStackAccessToUserPage
                    : !shadowStackPage ? WalkFailure.ShadowStackAccessToOtherPage
                    : WalkFailure.None)
                : (user && !userPage ? WalkFailure.UserAccessToSupervisorPage
                    : !user && userPage && smap && !ac ? WalkFailure.SupervisorAccessToUserPage
                    : write && !(writableAbove && writableLeaf) && (user || wp) ? WalkFailure.WriteToReadOnlyPage
                    : WalkFailure.None);
            string name = $"above RW {writableAbove} US {userAbove}, leaf RW {writableLeaf} US {userLeaf} D {dirty}, {access}, {state}";
            Assert.That(result.Failure, Is.EqualTo(expected), name);
            if (expected != WalkFailure.None)
            {
                PageFaultCode code = PageFaultCode.Present | (write ? PageFaultCode.Write : 0) | (user ? PageFaultCode.User : 0)
                    | (cet ? PageFaultCode.ShadowStack : 0);
                Assert.That(result.ErrorCode, Is.EqualTo(code), name);
            }
            else if (cet)
            {
                Assert.That((result.Rights & PageRights.ShadowStack) != 0, name);
                allowed++;
            }

            cases++;
        }

        Assert.That((cases, allowed), Is.EqualTo((1 << 11, 64)));
    }

    /// <summary>A fault that is not one of rights has the SS flag too, since that describes the access.</summary>
    [TestCase(4, 0UL, PageFaultCode.ShadowStack | PageFaultCode.Write | PageFaultCode.User)]
    [TestCase(1, 0UL, PageFaultCode.ShadowStack | PageFaultCode.Write | PageFaultCode.User)]
    [TestCase(4, 0x20A7UL, PageFaultCode.ShadowStack | PageFaultCode.Write | PageFaultCode.User | PageFaultCode.Present | PageFaultCode.Reserved)]
    public void EveryFaultOfSuchAnAccessSaysSo(int level, ulong entry, PageFaultCode code)
    {
        SparseTables tables = PageWalkerTests.TablesFor(1, out _);
        tables.Words[level] = entry;
        WalkResult result = Walk(ref tables, State(CET, WP), new(AccessKind.Write, User: true, ShadowStack: true));
        Assert.That((result.Level, result.ErrorCode), Is.EqualTo((level, code)));
    }

    /// <summary>Any level above the leaf may withhold R/W, and the highest is named.</summary>
    [TestCase(4)]
    [TestCase(3)]
    [TestCase(2)]
    public void ALevelAboveThatIsNotWritableIsNamed(int level)
    {
        SparseTables tables = PageWalkerTests.TablesFor(1, out _);
        tables.Words[1] = (tables.Words[1] & ~RW) | D;
        tables.Words[level] &= ~RW;
        tables.Words[2] &= ~RW;
        WalkResult result = Walk(ref tables, State(CET, WP), new(AccessKind.Read, User: true, ShadowStack: true));
        Assert.That((result.Failure, result.Level, result.Entry.Raw), Is.EqualTo((WalkFailure.ShadowStackAccessToOtherPage, level, tables.Words[level])));
    }

    [TestCase(AccessKind.Read, true)]
    [TestCase(AccessKind.Write, false)]
    [TestCase(AccessKind.Execute, true)]
    public void OrdinaryAccessesTakeAShadowStackPageForAReadOnlyPage(AccessKind kind, bool allowed)
    {
        SparseTables tables = PageWalkerTests.TablesFor(1, out _);
        tables.Words[1] = (tables.Words[1] & ~RW) | D;
        WalkResult result = Walk(ref tables, State(CET, WP), new(kind, User: true));
        Assert.That(result.Failure, Is.EqualTo(allowed ? WalkFailure.None : WalkFailure.WriteToReadOnlyPage));
        Assert.That(result.ErrorCode, Is.EqualTo(allowed ? PageFaultCode.None : PageFaultCode.Present | PageFaultCode.Write | PageFaultCode.User));
    }

    /// <summary>WRUSS writes at CPL 0 with user rights: SMAP does not stop it, and a supervisor page does.</summary>
    [TestCase(true, WalkFailure.None)]
    [TestCase(false, WalkFailure.UserAccessToSupervisorPage)]
    public void WrussIsAUserAccess(bool userPage, WalkFailure expected)
    {
        SparseTables tables = PageWalkerTests.TablesFor(1, out _);
        tables.Words[1] = (tables.Words[1] & ~(RW | US)) | D | (US * Flag(userPage));
        WalkResult result = Walk(ref tables, State(CET | SMAP, WP), new(AccessKind.Write, User: true, ShadowStack: true));
        Assert.That(result.Failure, Is.EqualTo(expected));
    }

    [Test]
    public void AWalkSetsAButNotD()
    {
        SparseTables tables = PageWalkerTests.TablesFor(1, out _);
        tables.Words[1] = (tables.Words[1] & ~(RW | 32)) | D;
        ulong before = tables.Words[1];
        Assert.That(Walk(ref tables, State(CET, WP), new(AccessKind.Write, User: true, ShadowStack: true)).Succeeded);
        Assert.That(tables.Words[1], Is.EqualTo(before | 32));
        tables.Words[1] &= ~D;
        WalkResult clean = Walk(ref tables, State(CET, WP), new(AccessKind.Write, User: true, ShadowStack: true));
        Assert.That((clean.Failure, tables.Words[1]), Is.EqualTo((WalkFailure.ShadowStackAccessToOtherPage, (before | 32) & ~D)));
    }

    [TestCase(true, 0x1u, true)]
    [TestCase(true, 0x2u, true)]
    [TestCase(true, 0x4u, false)]
    [TestCase(false, 0x1u, true)]
    [TestCase(false, 0x2u, true)]
    [TestCase(false, 0x4u, false)]
    public void ProtectionKeysApply(bool user, uint rights, bool forbidden)
    {
        SparseTables tables = PageWalkerTests.TablesFor(1, out _);
        tables.Words[1] = (tables.Words[1] & ~(RW | US)) | D | (US * Flag(user));
        PagingState state = State(CET | PKE | PKS, WP) with { Pkru = user ? rights : uint.MaxValue, Pkrs = user ? uint.MaxValue : rights };
        WalkResult result = Walk(ref tables, state, new(AccessKind.Write, user, ShadowStack: true));
        Assert.That(result.Failure, Is.EqualTo(forbidden ? WalkFailure.ForbiddenByProtectionKey : WalkFailure.None));
        if (forbidden)
        {
            const PageFaultCode always = PageFaultCode.Present | PageFaultCode.Write | PageFaultCode.ProtectionKey | PageFaultCode.ShadowStack;
            Assert.That(result.ErrorCode, Is.EqualTo(always | (user ? PageFaultCode.User : 0)));
        }
    }

    /// <summary>PDPTEs of PAE paging have no R/W, so only the page directory is above the leaf.</summary>
    [Test]
    public void LegacyPagingHasShadowStackPagesToo([Values] bool pae, [Values] bool writableAbove)
    {
        SparseTables tables = new(2);
        ulong above = P | US | (RW * Flag(writableAbove)) | 32, leaf = P | US | D | 32;
        (tables.Addresses[0], tables.Words[0]) = (0x2000, 0x3000 | above);
        (tables.Addresses[1], tables.Words[1]) = (0x3000, 0x5000 | leaf);
        PagingState state = new(
            PagingState.Cr0PG | WP | 1, 0x2000, CET | (pae ? PagingState.Cr4PAE : 0), 0, AlignmentCheck: false, 40, Pdptes: new(0x2001, 0, 0, 0));
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, state, new Gva(0x123), new(AccessKind.Read, User: true, ShadowStack: true), ref nobody);
        Assert.That(
            (result.Failure, result.Level), Is.EqualTo(writableAbove ? (WalkFailure.None, 1) : (WalkFailure.ShadowStackAccessToOtherPage, 2)));
    }

    private static PagingState State(ulong cr4, ulong cr0, bool ac = false) =>
        new(PagingState.Cr0PG | cr0 | 1, 0x1000, PagingState.Cr4PAE | cr4, 0xD00, ac, 40);

    private static WalkResult Walk(ref SparseTables tables, in PagingState state, WalkAccess access)
    {
        NoWalkObserver nobody = default;
        return PageWalker.Walk(ref tables, state, new Gva(Linear), access, ref nobody);
    }

    private static void Set(Span<ulong> words, int level, ulong bit, bool value) => words[level] = value ? words[level] | bit : words[level] & ~bit;

    private static ulong Flag(bool value) => value ? 1UL : 0;

    private static bool Bit(int bits, int bit) => ((bits >> bit) & 1) != 0;
}
