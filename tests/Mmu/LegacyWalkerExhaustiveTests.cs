using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The walker in 32-bit and PAE paging against <see cref="LegacyWalkOracle"/>.</summary>
[TestFixture]
internal sealed class LegacyWalkerExhaustiveTests
{
    private const ulong P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, Pat = 1UL << 12, NX = 1UL << 63;
    private const ulong DirectoryTable = 0x7654_3000, PageTable = 0x2468_a000, Frame = 0x4000_0000;

    // Seven bits of control: WP, NXE, SMEP, SMAP, AC, PSE, policy. In these eight every two of them take all four values.
    private static readonly int[] pairwiseControls = [0b000_0000, 0b111_1000, 0b110_0110, 0b001_1110, 0b101_0101, 0b010_1101, 0b011_0011, 0b100_1011];
    private static readonly int[] allControls = [.. Enumerable.Range(0, 128)];

    // The PDE's and PTE's indices are odd and even, so that a 4-byte entry is an upper and a lower half.
    private static readonly Gva gva = new(0xc9ff_c9a8);

    private static readonly ulong[] neighbours = [0, 0xdead_beef, 0xcafe_f00d];

    private readonly List<string> differences = [];
    private long cases;
    private long successes;
    private PagingMode mode;
    private int maxPhysicalAddress;
    private int[] controls = [];
    private SparseTables tables;
    private LegacyWalkOracle oracle = null!;

    [SetUp]
    public void StartEmpty()
    {
        (cases, successes) = (0, 0);
        differences.Clear();
    }

    [Test]
    public void TheControlsOfANormalRunMakeEveryPair()
    {
        for (int first = 0; first < 7; first++)
        {
            for (int second = 0; second < first; second++)
            {
                int[] seen = [.. pairwiseControls.Select(c => ((c >> first) & 1) | (((c >> second) & 1) << 1)).Distinct()];
                Assert.That(seen, Has.Length.EqualTo(4), $"bits {first} and {second}");
            }
        }
    }

    [Test]
    public void OneEntryVariesAndTheOtherAllowsEverything([Values(PagingMode.Bits32, PagingMode.Pae)] PagingMode mode, [Values(1, 2, 3)] int varied) =>
        VaryOne(mode, 40, varied, pairwiseControls);

    [Test]
    [Category("Full")]
    public void OneEntryVariesUnderAllControls(
        [Values(PagingMode.Bits32, PagingMode.Pae)] PagingMode mode, [Values(1, 2, 3)] int varied, [Values(32, 36, 39, 40, 46, 52)] int maxPhysicalAddress) =>
        VaryOne(mode, maxPhysicalAddress, varied, allControls);

    [Test]
    public void RightsAndFlagsCombineOverBothEntries([Values(PagingMode.Bits32, PagingMode.Pae)] PagingMode mode) => VaryBoth(mode, pairwiseControls);

    [Test]
    [Category("Full")]
    public void RightsAndFlagsCombineUnderAllControls([Values(PagingMode.Bits32, PagingMode.Pae)] PagingMode mode) => VaryBoth(mode, allControls);

    [Test]
    public void EveryBitIsReservedWhereTheTablesSay([Values(PagingMode.Bits32, PagingMode.Pae)] PagingMode mode)
    {
        for (int m = 32; m <= 52; m++)
        {
            Start(mode, m, [0, 2, 32, 34]);
            foreach ((int varied, ulong kept) in ((int, ulong)[])[(2, PageTable), (2, Frame | PS), (1, Frame)])
            {
                for (int bit = 1; bit < 8 * SdmLegacyPagingRules.EntrySize(mode); bit++)
                {
                    ulong[] entries = Permissive();
                    entries[varied] = kept | P | RW | US | (1UL << bit);
                    TryEveryAccess(entries);
                }
            }
        }

        Report(21L * 3 * ((8 * SdmLegacyPagingRules.EntrySize(mode)) - 1) * 4 * 12);
    }

    // varied: 1 the PTE, 2 the PDE over a page table, 3 the PDE as a large page.
    private void VaryOne(PagingMode mode, int maxPhysicalAddress, int varied, int[] controls)
    {
        Start(mode, maxPhysicalAddress, controls);
        int level = Math.Min(varied, 2);
        ulong kept = varied switch { 1 => Frame, 2 => PageTable, _ => Frame | PS };
        ulong[] flags = mode == PagingMode.Pae ? [P, RW, US, A, D, PS, NX] : [P, RW, US, A, D, PS, Pat];
        ulong[] addressBits = mode == PagingMode.Pae
            ? [0, 1UL << 13, 1UL << 20, 1UL << 21, 1UL << 31, 1UL << 39, 1UL << 40, 1UL << 52]
            : [0, 1UL << 13, 1UL << 17, 1UL << 20, 1UL << 21, 1UL << 22, 1UL << 31, 0x1ff << 13];
        foreach (ulong chosen in Combinations(flags))
        {
            foreach (ulong addressBit in addressBits)
            {
                ulong[] entries = Permissive();
                entries[level] = (kept ^ addressBit) | chosen;
                TryEveryAccess(entries);
            }
        }

        Report(128L * 8 * controls.Length * 12);
    }

    private void VaryBoth(PagingMode mode, int[] controls)
    {
        Start(mode, 40, controls);
        foreach (ulong upper in Combinations(RW, US, A, D, mode == PagingMode.Pae ? NX : 0x8))
        {
            foreach (ulong lower in Combinations(RW, US, A, D, mode == PagingMode.Pae ? NX : 0x200))
            {
                TryEveryAccess([0, Frame | P | lower, PageTable | P | (upper & ~8UL)]);
            }
        }

        Report(1024L * controls.Length * 12);
    }

    private void Start(PagingMode mode, int maxPhysicalAddress, int[] controls)
    {
        (this.mode, this.maxPhysicalAddress, this.controls) = (mode, maxPhysicalAddress, controls);
        oracle = new LegacyWalkOracle(mode, maxPhysicalAddress, PageTable);
        tables = new SparseTables(3);
        tables.Addresses[0] = ulong.MaxValue;
        for (int level = 1; level <= 2; level++)
        {
            tables.Addresses[level] = EntryAddress(level) & ~7UL;
        }
    }

    private static ulong[] Permissive() => [0, Frame | P | RW | US, PageTable | P | RW | US];

    private static IEnumerable<ulong> Combinations(params ulong[] bits) =>
        Enumerable.Range(0, 1 << bits.Length).Select(chosen => bits.Where((_, i) => (chosen & (1 << i)) != 0).Aggregate(0UL, (word, bit) => word | bit));

    private ulong EntryAddress(int level)
    {
        (int from, int to) = SdmLegacyPagingRules.Index(mode, level);
        ulong table = level == 2 ? DirectoryTable : PageTable;
        return table + (SdmLegacyPagingRules.Bits(gva.Value, from, to) * (ulong)SdmLegacyPagingRules.EntrySize(mode));
    }

    private void TryEveryAccess(ReadOnlySpan<ulong> entries)
    {
        ReadOnlySpan<int> kinds = [SdmPagingRules.KindR, SdmPagingRules.KindW, SdmPagingRules.KindX];
        foreach (int control in controls)
        {
            PagingState state = StateOf(control);
            for (int kind = 0; kind < 3; kind++)
            {
                for (int privilege = 0; privilege < 4; privilege++)
                {
                    WalkAccess access = new((AccessKind)kind, User: (privilege & 1) != 0, Implicit: (privilege & 2) != 0);
                    int who = (privilege & 2) != 0 ? SdmPagingRules.ModeI : privilege == 1 ? SdmPagingRules.ModeU : SdmPagingRules.ModeS;
                    Try(entries, state, access, kinds[kind] | who | ((control & 31) * SdmPagingRules.WP));
                }
            }
        }
    }

    private PagingState StateOf(int control)
    {
        ulong pointer = DirectoryTable | P | 0xe18;
        return new PagingState(
            Cr0: 0x8000_0001 | ((control & 1) != 0 ? 1UL << 16 : 0),
            Cr3: mode == PagingMode.Pae ? 0x5540_0fe0u : DirectoryTable | 0xfff,
            Cr4: (mode == PagingMode.Pae ? 0x20u : 0) | ((control & 4) != 0 ? 1UL << 20 : 0) | ((control & 8) != 0 ? 1UL << 21 : 0)
                | ((control & 32) != 0 ? 0x10u : 0),
            Efer: (control & 2) != 0 ? 1UL << 11 : 0,
            AlignmentCheck: (control & 16) != 0,
            PhysicalAddressBits: (byte)maxPhysicalAddress,
            Accessed: (control & 64) != 0 ? AccessedPolicy.OnUse : AccessedPolicy.OnSuccess,
            Pdptes: new PdpteRegisters(0, 0, 0, pointer));
    }

    /// <summary>The word in memory that holds an entry: for 4-byte entries a neighbour, which must stay, is its other half.</summary>
    private ulong WordOf(int level, ulong entry) =>
        mode == PagingMode.Pae ? entry
        : (EntryAddress(level) & 4) != 0 ? (entry << 32) | neighbours[level]
        : entry | (neighbours[level] << 32);

    private void Try(ReadOnlySpan<ulong> entries, in PagingState state, WalkAccess access, int facts)
    {
        Span<ulong> after = stackalloc ulong[3];
        WalkOracle.Expected expected = oracle.Predict(entries, after, facts, state.PSE, state.Accessed == AccessedPolicy.OnUse);
        (tables.Words[1], tables.Words[2]) = (WordOf(1, entries[1]), WordOf(2, entries[2]));
        SparseTables memory = tables;
        NoWalkObserver nobody = default;
        WalkResult actual = PageWalker.Walk(ref memory, state, gva, access, ref nobody);
        cases++;
        successes += actual.Succeeded ? 1 : 0;

        ulong elsewhere = expected.Failure == WalkFailure.EntryUnreachable ? SdmLegacyPagingRules.Table(mode, entries[2]) - PageTable : 0;
        bool same = actual.Failure == expected.Failure
            && actual.Level == expected.Level
            && actual.ErrorCode == expected.Code
            && actual.ReservedMask == expected.Reserved
            && actual.EntryAddress.Value == EntryAddress(expected.Level) + elsewhere
            && tables.Words[1] == WordOf(1, after[1]) && tables.Words[2] == WordOf(2, after[2])
            && actual.Rights == expected.Rights;
        if (same && actual.Succeeded)
        {
            (int shift, _) = SdmLegacyPagingRules.Page(mode, expected.Level, 0);
            same = actual.PageShift == shift
                && actual.Gpa.Value == expected.Frame + (gva.Value % (1UL << shift))
                && actual.Entry.Raw == after[expected.Level];
        }
        else if (same)
        {
            same = actual.Gpa.Value == 0 && actual.PageShift == 0;
        }

        if (!same && differences.Count < 5)
        {
            differences.Add(
                $"PDE {entries[2]:x} PTE {entries[1]:x}, {state}, {access}: expected {expected}, got {actual.Failure} at level {actual.Level} "
                + $"({actual.EntryAddress}) code {actual.ErrorCode} gpa {actual.Gpa} rights {actual.Rights} reserved {actual.ReservedMask:x}, "
                + $"left {tables.Words[2]:x} {tables.Words[1]:x}");
        }
    }

    private void Report(long expectedCases)
    {
        TestContext.Out.WriteLine($"{cases} walks, {successes} translated, {cases - successes} faulted");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(differences, Is.Empty);
            Assert.That(cases, Is.EqualTo(expectedCases));
            Assert.That(successes, Is.GreaterThan(0).And.LessThan(cases));
        }
    }
}
