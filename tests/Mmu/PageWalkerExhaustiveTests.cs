using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The walker against <see cref="WalkOracle"/>, over every combination of the bits that decide.</summary>
[TestFixture]
internal sealed class PageWalkerExhaustiveTests
{
    private const int MaxPhysicalAddress = 40;
    private const ulong P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, NX = 1UL << 63;

    private static readonly Gva gva = new(0xffff_8923_4567_89a8);

    // Indexed by level; [0] is the page. Only address bits 32 and up are used, so that any lower bit leads elsewhere.
    private static readonly ulong[] frames = [5UL << 32, 4UL << 32, 3UL << 32, 2UL << 32, 1UL << 32];

    private static readonly ulong[] addressBits = [0, 1UL << 12, 1UL << 13, 1UL << 20, 1UL << 29, 1UL << 39, 1UL << 40, 1UL << 51];

    private readonly SparseTables tables = new(5);
    private readonly WalkOracle oracle = new(MaxPhysicalAddress, frames);
    private readonly List<string> differences = [];
    private long cases;
    private long successes;

    [SetUp]
    public void StartEmpty()
    {
        (cases, successes) = (0, 0);
        differences.Clear();
        tables.Addresses[0] = ulong.MaxValue;
        for (int level = 1; level <= 4; level++)
        {
            tables.Addresses[level] = frames[level] + (8 * ((gva.Value >> (3 + (9 * level))) % 512));
        }
    }

    // 2^7 flags x 8 address bits x 3 kinds x 4 modes x 2^5 control bits x 2 (1 GiB pages) x 2 policies
    [TestCase(1, 4, 1_572_864)]
    [TestCase(1, 3, 1_572_864)]
    [TestCase(1, 2, 1_572_864)]
    [TestCase(1, 1, 1_572_864)]
    [TestCase(2, 4, 1_572_864)]
    [TestCase(2, 3, 1_572_864)]
    [TestCase(2, 2, 1_572_864)]
    [TestCase(3, 4, 1_572_864)]
    [TestCase(3, 3, 1_572_864)]
    public void One_level_varies_in_full_and_the_others_allow_everything(int leaf, int varied, int expectedCases)
    {
        ulong[] values = new ulong[5];
        Permissive(leaf).CopyTo(values.AsSpan());
        ulong frame = frames[varied - 1];
        foreach (ulong flags in Combinations(P, RW, US, A, D, PS, NX))
        {
            foreach (ulong addressBit in addressBits)
            {
                values[varied] = frame | flags | addressBit;
                TryEveryAccess(values);
            }
        }

        Report(expectedCases);
    }

    // (2^5 flags)^2 x 3 kinds x 4 modes x 2^5 control bits x 2 x 2 policies
    [TestCase(1, 4, 3, 1_572_864)]
    [TestCase(1, 4, 2, 1_572_864)]
    [TestCase(1, 4, 1, 1_572_864)]
    [TestCase(1, 3, 2, 1_572_864)]
    [TestCase(1, 3, 1, 1_572_864)]
    [TestCase(1, 2, 1, 1_572_864)]
    [TestCase(2, 4, 3, 1_572_864)]
    [TestCase(2, 4, 2, 1_572_864)]
    [TestCase(2, 3, 2, 1_572_864)]
    [TestCase(3, 4, 3, 1_572_864)]
    public void Rights_and_flags_combine_over_two_levels(int leaf, int upper, int lower, int expectedCases)
    {
        ulong[] values = new ulong[5];
        Permissive(leaf).CopyTo(values.AsSpan());
        (ulong upperBase, ulong lowerBase) = (values[upper] & ~(RW | US), values[lower] & ~(RW | US));
        foreach (ulong upperFlags in Combinations(RW, US, A, D, NX))
        {
            values[upper] = upperBase | upperFlags;
            foreach (ulong lowerFlags in Combinations(RW, US, A, D, NX))
            {
                values[lower] = lowerBase | lowerFlags;
                TryEveryAccess(values);
            }
        }

        Report(expectedCases);
    }

    private static ulong[] Permissive(int leaf)
    {
        ulong[] values = new ulong[5];
        for (int level = 4; level >= 1; level--)
        {
            values[level] = frames[level - 1] | P | RW | US | (level == leaf && leaf > 1 ? PS : 0);
        }

        return values;
    }

    private static IEnumerable<ulong> Combinations(params ulong[] bits)
    {
        for (int chosen = 0; chosen < 1 << bits.Length; chosen++)
        {
            ulong word = 0;
            for (int i = 0; i < bits.Length; i++)
            {
                word |= (chosen & (1 << i)) != 0 ? bits[i] : 0;
            }

            yield return word;
        }
    }

    private void TryEveryAccess(ReadOnlySpan<ulong> entries)
    {
        ReadOnlySpan<int> kinds = [SdmPagingRules.KindR, SdmPagingRules.KindW, SdmPagingRules.KindX];
        for (int control = 0; control < 32; control++)
        {
            for (int variant = 0; variant < 4; variant++)
            {
                bool page1G = (variant & 1) != 0;
                AccessedPolicy policy = (variant & 2) != 0 ? AccessedPolicy.OnUse : AccessedPolicy.OnSuccess;
                PagingState state = new(
                    Cr0: 0x8000_0001 | ((control & 1) != 0 ? 1UL << 16 : 0),
                    Cr3: frames[4],
                    Cr4: 0x20 | ((control & 4) != 0 ? 1UL << 20 : 0) | ((control & 8) != 0 ? 1UL << 21 : 0),
                    Efer: 0x500 | ((control & 2) != 0 ? 1UL << 11 : 0),
                    AlignmentCheck: (control & 16) != 0,
                    PhysicalAddressBits: MaxPhysicalAddress,
                    Page1G: page1G,
                    Accessed: policy);
                for (int kind = 0; kind < 3; kind++)
                {
                    for (int mode = 0; mode < 4; mode++)
                    {
                        WalkAccess access = new((AccessKind)kind, User: (mode & 1) != 0, Implicit: (mode & 2) != 0);
                        int who = (mode & 2) != 0 ? SdmPagingRules.ModeI : mode == 1 ? SdmPagingRules.ModeU : SdmPagingRules.ModeS;
                        Try(entries, state, access, kinds[kind] | who | (control * SdmPagingRules.WP));
                    }
                }
            }
        }
    }

    private void Try(ReadOnlySpan<ulong> entries, in PagingState state, WalkAccess access, int facts)
    {
        Span<ulong> after = stackalloc ulong[5];
        WalkOracle.Expected expected = oracle.Predict(entries, after, facts, state.Page1G, state.Accessed == AccessedPolicy.OnUse);
        entries.CopyTo(this.tables.Words);
        SparseTables tables = this.tables;
        NoWalkObserver nobody = default;
        WalkResult actual = PageWalker.Walk(ref tables, state, gva, access, ref nobody);
        cases++;
        successes += actual.Succeeded ? 1 : 0;

        bool same = actual.Failure == expected.Failure
            && actual.Level == expected.Level
            && actual.ErrorCode == expected.Code
            && actual.ReservedMask == expected.Reserved
            && actual.EntryAddress.Value == tables.Addresses[expected.Level] + Redirected(entries, expected.Level, expected.Failure)
            && tables.Words.SequenceEqual(after);
        if (same && actual.Succeeded)
        {
            int shift = 3 + (9 * expected.Level);
            same = actual.PageShift == shift
                && actual.Gpa.Value == expected.Frame + (gva.Value % (1UL << shift))
                && actual.Rights == expected.Rights
                && actual.Entry.Raw == after[expected.Level];
        }
        else if (same)
        {
            same = actual.Gpa.Value == 0 && actual.PageShift == 0 && actual.Rights == 0;
        }

        if (!same && differences.Count < 5)
        {
            differences.Add(
                $"entries {string.Join(' ', entries.ToArray()[1..].Select(e => $"{e:x}"))}, {state}, {access}: expected {expected}, "
                + $"got {actual.Failure} at level {actual.Level} code {actual.ErrorCode} gpa {actual.Gpa} rights {actual.Rights}, "
                + $"reserved {actual.ReservedMask:x}");
        }
    }

    /// <summary>How far from its usual place a missing table is looked for: by the address bits added to the entry above.</summary>
    private static ulong Redirected(ReadOnlySpan<ulong> entries, int level, WalkFailure failure) =>
        failure == WalkFailure.EntryUnreachable ? (entries[level + 1] & 0x000f_ffff_ffff_f000) - frames[level] : 0;

    private void Report(int expectedCases)
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
