using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>What is particular to 32-bit and PAE paging, and to none.</summary>
[TestFixture]
internal sealed class LegacyWalkerTests
{
    private const ulong PG = 0x8000_0001, P = 1, RW = 2, A = 32, D = 64, PS = 128;

    private static readonly WalkAccess read = new(AccessKind.Read, User: false);
    private static readonly WalkAccess write = new(AccessKind.Write, User: false);
    private static readonly PagingState Bits32 = new(PG, 0x1000, 0x10, 0, AlignmentCheck: false, PhysicalAddressBits: 40);
    private static readonly PagingState Pae = new(
        PG, 0x1020, 0x20, 0x800, AlignmentCheck: false, PhysicalAddressBits: 40, Pdptes: new(0x1_0001, 0x2_0001, 0x3_0001, 0x4_0000));

    [TestCase(0ul, 0ul, 0ul, PagingMode.None)]
    [TestCase(1ul, 0x20ul, 0x500ul, PagingMode.None)]
    [TestCase(PG, 0ul, 0ul, PagingMode.Bits32)]
    [TestCase(PG, 0x10ul, 0x900ul, PagingMode.Bits32)]
    [TestCase(PG, 0x20ul, 0x800ul, PagingMode.Pae)]
    [TestCase(PG, 0x20ul, 0xD00ul, PagingMode.FourLevel)]
    public void TheModeFollowsFromTheRegisters(ulong cr0, ulong cr4, ulong efer, PagingMode expected) =>
        Assert.That(new PagingState(cr0, 0, cr4, efer, false, 40).Mode, Is.EqualTo(expected));

    [TestCase(0x0ul)]
    [TestCase(0xffff_ffful)]
    [TestCase(0xffff_ffff_8000_0123ul)]
    public void WithoutPagingEverythingIsAllowedWhereItIs(ulong address)
    {
        SparseTables nothing = new(0);
        PagingState state = new(0x1_0001, 0x1000, 0x30_00b0, 0x900, AlignmentCheck: false, PhysicalAddressBits: 40);
        foreach (AccessKind kind in Enum.GetValues<AccessKind>())
        {
            foreach ((bool user, bool isImplicit) in ((bool, bool)[])[(false, false), (true, false), (false, true)])
            {
                WalkAccess access = new(kind, user, isImplicit);
                WalkTrace trace = default;
                WalkResult result = PageWalker.Walk(ref nothing, state, new Gva(address), access, ref trace);
                using (Assert.EnterMultipleScope())
                {
                    Assert.That(result.Succeeded, Is.True);
                    Assert.That(result.Gpa.Value, Is.EqualTo(address % (1UL << 32)), "linear addresses have 32 bits");
                    Assert.That((result.PageShift, result.Level, trace.EntriesRead), Is.EqualTo((12, 0, 0)));
                    Assert.That(PageRules.Check(result.Rights, state, access), Is.EqualTo(WalkFailure.None));
                }
            }
        }
    }

    [TestCase(0x0012_3456ul, 0x20_0000ul)]
    [TestCase(0x4012_3456ul, 0x40_0000ul)]
    [TestCase(0x8012_3456ul, 0x60_0000ul)]
    public void BitsOf31And30ChooseAPdpteRegister(ulong address, ulong page)
    {
        SparseTables tables = new(3);
        for (ulong i = 0; i < 3; i++)
        {
            tables.Addresses[(int)i] = (i + 1) << 16;
            tables.Words[(int)i] = ((i + 1) * 0x20_0000) | P | PS | A;
        }

        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, Pae, new Gva(address), read, ref nobody);
        Assert.That(result.Gpa.Value, Is.EqualTo(page + 0x12_3456));
    }

    [Test]
    public void APdpteThatIsNotPresentFaultsWithoutAReadOfMemory()
    {
        SparseTables nothing = new(0);
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref nothing, Pae, new Gva(0xc000_0000), write, ref trace);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.NotPresent));
            Assert.That(result.ErrorCode, Is.EqualTo(PageFaultCode.Write));
            Assert.That((result.Level, result.EntryAddress), Is.EqualTo((3, new Gpa(0x1038))));
            Assert.That(
                WalkDescription.Describe(result, new Gva(0xc000_0000), write, Pae),
                Is.EqualTo("PDPTE at 0x1038 = 0x0000000000040000: P is 0 in the register loaded from there."));
            Assert.That(trace.Steps.ToArray(), Has.Length.EqualTo(1));
        }
    }

    // Whatever a PDPTE register was made to hold from outside, the walk stays below MAXPHYADDR.
    [Test]
    public void APdpteRegisterFullOfOnesLeadsNowhere()
    {
        SparseTables nothing = new(0);
        NoWalkObserver nobody = default;
        PagingState state = Pae with { Pdptes = new(~0UL, 0, 0, 0) };
        WalkResult result = PageWalker.Walk(ref nothing, state, new Gva(0x20_0000), read, ref nobody);
        Assert.That((result.Failure, result.EntryAddress), Is.EqualTo((WalkFailure.EntryUnreachable, new Gpa(0xff_ffff_f008))));
    }

    [Test]
    public void ATraceOfPaePagingTakesNoRightsFromThePdpte()
    {
        SparseTables tables = new(2);
        (tables.Addresses[0], tables.Words[0]) = (0x1_0000, 0x5_0007);
        (tables.Addresses[1], tables.Words[1]) = (0x5_0008, 0x8000_0000_0006_0005);
        WalkTrace trace = default;
        _ = PageWalker.Walk(ref tables, Pae, new Gva(0x1000), read, ref trace);

        const PageRights all = PageRights.User | PageRights.Write;
        Assert.That(trace.Steps.ToArray(), Is.EqualTo(new WalkStep[]
        {
            new(3, new Gpa(0x1020), new(0x1_0001), new(0x1_0001), all),
            new(2, new Gpa(0x1_0000), new(0x5_0007), new(0x5_0027), all),
            new(1, new Gpa(0x5_0008), new(0x8000_0000_0006_0005), new(0x8000_0000_0006_0025), PageRights.User | PageRights.NoExecute),
        }));
    }

    [TestCase(PagingMode.Bits32, false, false, false)]
    [TestCase(PagingMode.Bits32, true, false, false)]
    [TestCase(PagingMode.Bits32, true, true, true)]
    [TestCase(PagingMode.Pae, false, false, false)]
    [TestCase(PagingMode.Pae, true, false, true)]
    [TestCase(PagingMode.Pae, false, true, true)]
    public void AFetchIsSaidToBeOneWithSmepOrNxOfEightByteEntries(PagingMode mode, bool nxe, bool smep, bool said)
    {
        SparseTables nothing = new(0);
        NoWalkObserver nobody = default;
        PagingState state = (mode == PagingMode.Pae ? Pae : Bits32) with { Efer = nxe ? 0x800u : 0 };
        state = state with { Cr4 = state.Cr4 | (smep ? PagingState.Cr4SMEP : 0) };
        WalkResult result = PageWalker.Walk(ref nothing, state, new Gva(0), new WalkAccess(AccessKind.Execute, User: true), ref nobody);
        Assert.That(result.ErrorCode, Is.EqualTo(PageFaultCode.User | (said ? PageFaultCode.InstructionFetch : 0)));
    }

    [TestCase(PagingMode.Bits32, 0x00c0_0183ul, 22)]
    [TestCase(PagingMode.Pae, 0x0020_0183ul, 21)]
    public void GIsARightWherePgeIsSet(PagingMode mode, ulong entry, int shift)
    {
        PagingState state = mode == PagingMode.Pae ? Pae : Bits32;
        foreach (bool pge in (bool[])[false, true])
        {
            SparseTables tables = new(1);
            (tables.Addresses[0], tables.Words[0]) = (mode == PagingMode.Pae ? 0x1_0000u : 0x1000u, entry);
            NoWalkObserver nobody = default;
            PagingState with = state with { Cr4 = state.Cr4 | (pge ? PagingState.Cr4PGE : 0) };
            WalkResult result = PageWalker.Walk(ref tables, with, new Gva(0x123), read, ref nobody);
            Assert.That((result.PageShift, result.Rights), Is.EqualTo((shift, PageRights.Write | (pge ? PageRights.Global : 0))));
        }
    }

    // Another processor sets a flag in the neighbour between the read and the exchange.
    [TestCase(0x000ul)]
    [TestCase(0x400_000ul)]
    public void AFourByteEntryLeavesAChangingNeighbourAlone(ulong address)
    {
        int half = address == 0 ? 0 : 32;
        ulong entry = 0x0080_0000 | P | RW | PS;
        const ulong neighbour = 0x0040_0001;
        SparseTables words = new(1);
        (words.Addresses[0], words.Words[0]) = (0x1000, (entry << half) | (neighbour << (32 - half)));
        ScriptedTables tables = new(words, new ScriptedTables.Script((exchange, w) => w.Words[0] |= exchange == 1 ? A << (32 - half) : 0));
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref tables, Bits32, new Gva(address), write, ref trace);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Succeeded, Is.True);
            Assert.That(words.Words[0], Is.EqualTo(((entry | A | D) << half) | ((neighbour | A) << (32 - half))));
            Assert.That((trace.Restarts, trace.EntriesUpdated), Is.EqualTo((1, 1)));
        }
    }

    [Test]
    public void AFourByteEntryReplacedUnderTheWalkIsWalkedAgain()
    {
        SparseTables words = new(1);
        (words.Addresses[0], words.Words[0]) = (0x1000, 0x0080_0000 | P | RW | PS);
        ScriptedTables tables = new(words, new ScriptedTables.Script((exchange, w) => w.Words[0] = exchange == 1 ? 0 : w.Words[0]));
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, Bits32, new Gva(0), write, ref nobody);
        Assert.That((result.Failure, words.Words[0]), Is.EqualTo((WalkFailure.NotPresent, 0UL)));
    }

    [TestCase(36, 0x0082_0083ul, "PDE at 0x1000 = 0x0000000000820083: bit 17 is 1, which a 4 MiB page reserves where MAXPHYADDR is 36.")]
    [TestCase(40, 0x00a0_0083ul, "PDE at 0x1000 = 0x0000000000a00083: bit 21 is 1, which a 4 MiB page reserves where MAXPHYADDR is 40.")]
    public void AReservedBitOfALargePageIsExplained(int maxPhysicalAddress, ulong entry, string expected)
    {
        SparseTables tables = new(1);
        (tables.Addresses[0], tables.Words[0]) = (0x1000, entry);
        NoWalkObserver nobody = default;
        PagingState state = Bits32 with { PhysicalAddressBits = (byte)maxPhysicalAddress };
        WalkResult result = PageWalker.Walk(ref tables, state, new Gva(0), read, ref nobody);
        Assert.That(WalkDescription.Describe(result, new Gva(0), read, state), Is.EqualTo(expected));
    }

    [Test]
    public void AReservedBitOfAPaeEntryIsExplained()
    {
        SparseTables tables = new(1);
        (tables.Addresses[0], tables.Words[0]) = (0x1_0000, 0x0010_0000_0002_0001);
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, Pae, new Gva(0), read, ref nobody);
        Assert.That(
            WalkDescription.Describe(result, new Gva(0), read, Pae),
            Is.EqualTo("PDE at 0x10000 = 0x0010000000020001: bit 52 is 1 at or above MAXPHYADDR, which is 40."));
    }

    [Test]
    public void AWalkThatPagingDoesNotTakePartInSaysSo()
    {
        SparseTables nothing = new(0);
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref nothing, default, new Gva(0x1234), read, ref nobody);
        Assert.That(WalkDescription.Describe(result, new Gva(0x1234), read, default), Is.EqualTo("0x1234 is at 0x1234, since CR0.PG is 0."));
    }
}
