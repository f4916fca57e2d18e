using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class WalkDescriptionTests
{
    private const ulong Wp = 1 << 16, Smep = 1 << 20, Smap = 1 << 21, Nxe = 1 << 11, Lma = 1 << 10, Pae = 1 << 5, Pg = 1UL << 31;

    private static readonly Gva gva = new(0x0000_1234_5678_9abc);

    private static readonly WalkAccess Read = new(AccessKind.Read, User: false);
    private static readonly WalkAccess Write = new(AccessKind.Write, User: false);
    private static readonly WalkAccess Fetch = new(AccessKind.Execute, User: false);
    private static readonly WalkAccess userWrite = new(AccessKind.Write, User: true);
    private static readonly WalkAccess implicitRead = new(AccessKind.Read, User: true, Implicit: true);

    private static readonly object[] cases =
    [
        new object[] { 1, 1, 0x1234_5067UL, 0UL, Read, "0x123456789abc is at 0x12345abc, mapped by PTE at 0x4c48 = 0x0000000012345067." },
        new object[] { 1, 3, 0x0UL, 0UL, Read, "PDPTE at 0x2688 = 0x0000000000000000: P is 0." },
        new object[] { 1, 4, 0x20a7UL, 0UL, Read, "PML4E at 0x1120 = 0x00000000000020a7: bit 7 (PS) is 1, which is reserved in a PML4E." },
        new object[] { 1, 3, 0x30a7UL, 0UL, Read, "PDPTE at 0x2688 = 0x00000000000030a7: bit 7 (PS) is 1 and 1 GiB pages are not supported." },
        new object[] { 1, 1, 0x8000_0000_1234_5027UL, 0UL, Read, "PTE at 0x4c48 = 0x8000000012345027: bit 63 (NX) is 1 and IA32_EFER.NXE is 0." },
        new object[]
        {
            1, 1, 0x8008_0100_1234_5027UL, 0UL, Read,
            "PTE at 0x4c48 = 0x8008010012345027: bit 63 (NX) is 1 and IA32_EFER.NXE is 0; bits 40, 51 are 1 at or above MAXPHYADDR, which is 40.",
        },
        new object[] { 2, 2, 0x1230_60a7UL, 0UL, Read, "PDE at 0x3598 = 0x00000000123060a7: bits 13, 14, 20 are 1 below the address of a 2 MiB page." },
        new object[] { 1, 1, 0x1234_5023UL, 0UL, userWrite, "PTE at 0x4c48 = 0x0000000012345023: U/S is 0 and the access is a user write." },
        new object[] { 1, 1, 0x1234_5021UL, Wp, Write, "PTE at 0x4c48 = 0x0000000012345021: R/W is 0 and the access is a supervisor write with CR0.WP = 1." },
        new object[] { 1, 2, 0x4025UL, 0UL, userWrite, "PDE at 0x3598 = 0x0000000000004025: R/W is 0 and the access is a user write." },
        new object[]
        {
            1, 4, 0x8000_0000_0000_2023UL, Nxe, Fetch,
            "PML4E at 0x1120 = 0x8000000000002023: NX is 1 and the access is a supervisor instruction fetch with IA32_EFER.NXE = 1.",
        },
        new object[]
        {
            1, 1, 0x1234_5027UL, Smep, Fetch,
            "PTE at 0x4c48 = 0x0000000012345027: U/S is 1 here and at every level above, and the access is a supervisor instruction fetch with CR4.SMEP = 1.",
        },
        new object[]
        {
            1, 1, 0x1234_5027UL, Smap, Read,
            "PTE at 0x4c48 = 0x0000000012345027: U/S is 1 here and at every level above, and the access is a supervisor read with CR4.SMAP = 1 and RFLAGS.AC = 0.",
        },
        new object[]
        {
            1, 1, 0x1234_5027UL, Smap, implicitRead,
            "PTE at 0x4c48 = 0x0000000012345027: U/S is 1 here and at every level above, and the access is an implicit supervisor read with CR4.SMAP = 1, "
            + "which RFLAGS.AC does not exempt.",
        },
        new object[] { 1, 3, 0x9027UL, 0UL, Read, "PDE at 0x9598: no memory is there, so the entry counts as not present." },
    ];

    [TestCaseSource(nameof(cases))]
    public void A_walk_explains_itself_in_one_sentence(int leaf, int level, ulong entry, ulong bits, WalkAccess access, string expected)
    {
        SparseTables tables = PageWalkerTests.TablesFor(leaf, out _);
        tables.Words[level] = entry;
        PagingState state = new(Pg | (bits & Wp), 0x1000, Pae | (bits & (Smep | Smap)), Lma | (bits & Nxe), AlignmentCheck: false, PhysicalAddressBits: 40, Page1G: false);
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, state, gva, access, ref nobody);

        Assert.That(WalkDescription.Describe(result, gva, access, state), Is.EqualTo(expected));
    }

    private static readonly WalkAccess shadowRead = new(AccessKind.Read, User: true, ShadowStack: true);
    private static readonly WalkAccess shadowWrite = new(AccessKind.Write, User: false, ShadowStack: true);
    private static readonly WalkAccess implicitWrite = new(AccessKind.Write, User: false, Implicit: true);

    private static readonly object[] laterCases =
    [
        new object[] { 1, 1, 0x1234_5027UL, shadowRead, "PTE at 0x4c48 = 0x0000000012345027: R/W is 1, which a shadow-stack page has 0, and the access is a user shadow-stack read." },
        new object[] { 1, 1, 0x1234_5025UL, shadowRead, "PTE at 0x4c48 = 0x0000000012345025: D is 0, which a shadow-stack page has 1, and the access is a user shadow-stack read." },
        new object[]
        {
            1, 3, 0x3025UL, shadowRead,
            "PDPTE at 0x2688 = 0x0000000000003025: R/W is 0, which a shadow-stack page has 1 above the entry that maps it, and the access is a user shadow-stack read.",
        },
        new object[]
        {
            1, 1, 0x1234_5065UL, shadowWrite,
            "PTE at 0x4c48 = 0x0000000012345065: U/S is 1 here and at every level above, and the access is a supervisor shadow-stack write.",
        },
        new object[] { 1, 1, 0x1234_5023UL, shadowRead, "PTE at 0x4c48 = 0x0000000012345023: U/S is 0 and the access is a user shadow-stack read." },
        new object[]
        {
            1, 1, 0x2800_0000_1234_5027UL, userWrite,
            "PTE at 0x4c48 = 0x2800000012345027: PKRU forbids a user write of a user page with protection key 5: WD5 is 1.",
        },
        new object[]
        {
            1, 1, 0x1000_0000_1234_5023UL, implicitWrite,
            "PTE at 0x4c48 = 0x1000000012345023: IA32_PKRS forbids an implicit supervisor write of a supervisor page with protection key 2: AD2 is 1.",
        },
        new object[]
        {
            2, 2, 0x1000_0000_1220_00A3UL, Read,
            "PDE at 0x3598 = 0x10000000122000a3: IA32_PKRS forbids a supervisor read of a supervisor page with protection key 2: AD2 is 1.",
        },
    ];

    /// <summary>With CET, PKE and PKS; key 5 has WD in PKRU, key 2 has AD in IA32_PKRS.</summary>
    [TestCaseSource(nameof(laterCases))]
    public void AFailureOfALaterRuleExplainsItself(int leaf, int level, ulong entry, WalkAccess access, string expected)
    {
        SparseTables tables = PageWalkerTests.TablesFor(leaf, out _);
        tables.Words[level] = entry;
        const ulong cr4 = Pae | PagingState.Cr4CET | PagingState.Cr4PKE | PagingState.Cr4PKS;
        PagingState state = new(Pg | Wp, 0x1000, cr4, Lma | Nxe, AlignmentCheck: false, PhysicalAddressBits: 40, Pkru: 2u << 10, Pkrs: 1u << 4);
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, state, gva, access, ref nobody);

        Assert.That(WalkDescription.Describe(result, gva, access, state), Is.EqualTo(expected));
    }

    [Test]
    public void EveryLevelHasItsName()
    {
        Assert.That(Enumerable.Range(1, 5).Select(WalkDescription.LevelName), Is.EqualTo(new[] { "PTE", "PDE", "PDPTE", "PML4E", "PML5E" }));
        Assert.That(() => WalkDescription.LevelName(0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => WalkDescription.LevelName(6), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_non_canonical_address_and_a_contended_entry_are_explained()
    {
        WalkResult nonCanonical = new() { Failure = WalkFailure.NonCanonical };
        WalkResult contended = new() { Failure = WalkFailure.EntryContended, Level = 1, EntryAddress = new Gpa(0x4c48), Entry = new PageTableEntry(3) };

        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                WalkDescription.Describe(nonCanonical, new Gva(0x8000_0000_0000), Read, default),
                Is.EqualTo("0x800000000000 is not canonical: bits 63:47 are not all equal."));
            Assert.That(
                WalkDescription.Describe(contended, gva, Read, default),
                Is.EqualTo("PTE at 0x4c48 = 0x0000000000000003: it kept changing while its A and D flags were being set, in 64 walks."));
        }
    }

    [Test]
    public void Every_failure_has_words()
    {
        foreach (WalkFailure failure in Enum.GetValues<WalkFailure>())
        {
            WalkResult result = new() { Failure = failure, Level = 1 };
            Assert.That(WalkDescription.Describe(result, gva, Read, default), Does.EndWith("."), $"{failure}");
        }
    }

    [Test]
    public void A_trace_records_each_level_with_its_update_and_the_rights_so_far()
    {
        SparseTables tables = PageWalkerTests.TablesFor(leaf: 1, out _);
        tables.Words[4] = 0x8000_0000_0000_2007;
        tables.Words[2] &= ~4UL;
        WalkTrace trace = default;
        PagingState state = new(Pg, 0x1000, Pae, Lma | Nxe, AlignmentCheck: false, PhysicalAddressBits: 40);
        _ = PageWalker.Walk(ref tables, state, gva, Write, ref trace);

        const PageRights upper = PageRights.User | PageRights.Write | PageRights.NoExecute;
        Assert.That(trace.Steps.ToArray(), Is.EqualTo(new WalkStep[]
        {
            new(4, new Gpa(0x1120), new(0x8000_0000_0000_2007), new(0x8000_0000_0000_2027), upper),
            new(3, new Gpa(0x2688), new(0x3027), new(0x3027), upper),
            new(2, new Gpa(0x3598), new(0x4023), new(0x4023), PageRights.Write | PageRights.NoExecute),
            new(1, new Gpa(0x4c48), new(0x1234_5027), new(0x1234_5067), PageRights.Write | PageRights.NoExecute),
        }));
    }
}
