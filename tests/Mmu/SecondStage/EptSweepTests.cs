using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The EPT walker against <see cref="SdmEptRules"/>: pairwise over all bits and controls, and in full in category Full.</summary>
[TestFixture]
internal sealed class EptSweepTests
{
    private const int PhysicalBits = 40;
    private const int TopOfMost = 5;

    private static readonly Gpa gpa = new(0x000a_8923_4567_89a8);
    private static readonly Gpa gpaOf4Levels = new(gpa.Value & 0xffff_ffff_ffff);

    // Indexed by level; [0] is the page. Only address bits 32 and up are used, so that any lower bit leads elsewhere.
    private static readonly ulong[] frames = [6UL << 32, 5UL << 32, 4UL << 32, 3UL << 32, 2UL << 32, 1UL << 32];
    private static readonly ulong[] addressBits = [0, 1UL << 12, 1UL << 20, 1UL << 29, 1UL << 39, 1UL << 40, 1UL << 51];

    // The size of each dimension of an entry, and of what is beside it. Their order is that of Entry and Controls.
    private static readonly int[] entryDimensions = [16, 8, 2, 2, 2, 2, 2, 7];
    private static readonly int[] controlDimensions = [10, 2, 2, 2, 2, 2, 2];

    private static IEnumerable<TestCaseData> Varied()
    {
        foreach (int top in new[] { 4, 5 })
        {
            for (int leaf = 1; leaf <= 3; leaf++)
            {
                for (int level = leaf; level <= top; level++)
                {
                    yield return new TestCaseData(top, leaf, level);
                }
            }
        }
    }

    /// <summary>A fifth level is above the others and changes nothing of them, so that in full only it and the one below vary.</summary>
    private static IEnumerable<TestCaseData> VariedInFull() => Varied().Where(one => (int)one.Arguments[0]! == 4 || (int)one.Arguments[2]! >= 4);

    private static IEnumerable<TestCaseData> VariedPairsInFull() => VariedPairs().Where(one => (int)one.Arguments[0]! == 4 || (int)one.Arguments[2]! == 5);

    private static IEnumerable<TestCaseData> VariedPairs() =>
        from one in Varied()
        from lower in Enumerable.Range(1, 4)
        where lower >= (int)one.Arguments[1]! && lower < (int)one.Arguments[2]!
        select new TestCaseData(one.Arguments[0], one.Arguments[1], one.Arguments[2], lower);

    /// <summary>Every two values of every two dimensions meet, with the other dimensions permissive and with them at random.</summary>
    [TestCaseSource(nameof(Varied))]
    public void OneLevelPairwise(int top, int leaf, int varied)
    {
        int[] sizes = [.. entryDimensions, .. controlDimensions];
        Bench bench = new(watchedEvery: 1);
        Span<ulong> entries = stackalloc ulong[TopOfMost + 1];
        foreach (int[] choice in Pairs(sizes, Permissive(varied == leaf)))
        {
            Base(entries, top, leaf);
            entries[varied] = Entry(choice, frames[varied - 1]);
            bench.Try(entries, top, choice.AsSpan(entryDimensions.Length));
        }

        Report(moreThan: 3000, bench);
    }

    [TestCaseSource(nameof(VariedPairs))]
    public void TwoLevelsPairwise(int top, int leaf, int upper, int lower)
    {
        int[] sizes = [.. entryDimensions, .. entryDimensions, .. controlDimensions];
        int[] permissive = [.. Permissive(upper == leaf)[..entryDimensions.Length], .. Permissive(lower == leaf)];
        Bench bench = new(watchedEvery: 1);
        Span<ulong> entries = stackalloc ulong[TopOfMost + 1];
        foreach (int[] choice in Pairs(sizes, permissive))
        {
            Base(entries, top, leaf);
            entries[upper] = Entry(choice, frames[upper - 1]);
            entries[lower] = Entry(choice.AsSpan(entryDimensions.Length), frames[lower - 1]);
            bench.Try(entries, top, choice.AsSpan(2 * entryDimensions.Length));
        }

        Report(moreThan: 8000, bench);
    }

    // 2^4 rights x 8 types x 2^5 flags x 7 addresses x 10 accesses x 2^6 controls
    [TestCaseSource(nameof(VariedInFull))]
    [Category("Full")]
    public void OneLevelInFull(int top, int leaf, int varied)
    {
        int[] sizes = [.. entryDimensions, .. controlDimensions];
        IReadOnlyList<Bench> benches = SweepWorkers.Run(sizes[0], () => new Bench(watchedEvery: 7), (bench, rights) =>
        {
            Span<ulong> entries = stackalloc ulong[TopOfMost + 1];
            foreach (int[] choice in Product(sizes, rights))
            {
                Base(entries, top, leaf);
                entries[varied] = Entry(choice, frames[varied - 1]);
                bench.Try(entries, top, choice.AsSpan(entryDimensions.Length));
            }
        });

        Assert.That(benches.Sum(bench => bench.Cases), Is.EqualTo(18_350_080));
        Report(moreThan: 0, [.. benches]);
    }

    // (2^4 rights x A x D x shadow-stack)^2 x 10 accesses x 2^6 controls
    [TestCaseSource(nameof(VariedPairsInFull))]
    [Category("Full")]
    public void TwoLevelsInFull(int top, int leaf, int upper, int lower)
    {
        int[] level = [16, 1, 1, 1, 2, 2, 2, 1];
        int[] sizes = [.. level, .. level, .. controlDimensions];
        IReadOnlyList<Bench> benches = SweepWorkers.Run(sizes[0], () => new Bench(watchedEvery: 7), (bench, rights) =>
        {
            const ulong kept = SdmEptRules.PS | (6 << 3);
            Span<ulong> entries = stackalloc ulong[TopOfMost + 1];
            foreach (int[] choice in Product(sizes, rights))
            {
                Base(entries, top, leaf);
                entries[upper] = Entry(choice, frames[upper - 1]) | (entries[upper] & kept);
                entries[lower] = Entry(choice.AsSpan(entryDimensions.Length), frames[lower - 1]) | (entries[lower] & kept);
                bench.Try(entries, top, choice.AsSpan(2 * entryDimensions.Length));
            }
        });

        Assert.That(benches.Sum(bench => bench.Cases), Is.EqualTo(10_485_760));
        Report(moreThan: 0, [.. benches]);
    }

    private static void Base(Span<ulong> entries, int top, int leaf)
    {
        entries.Clear();
        for (int level = top; level >= 1; level--)
        {
            ulong page = (6 << 3) | (leaf > 1 ? SdmEptRules.PS : 0);
            entries[level] = frames[level - 1] | SdmEptRules.R | SdmEptRules.W | SdmEptRules.X | SdmEptRules.XU | (level == leaf ? page : 0);
        }
    }

    /// <summary>Rights, memory type, IPAT, PS, A, D, bit 60, an address bit; and an ignored bit now and then.</summary>
    private static ulong Entry(ReadOnlySpan<int> choice, ulong frame)
    {
        int rights = choice[0];
        ulong entry = frame | ((ulong)rights & 7) | ((rights & 8) != 0 ? SdmEptRules.XU : 0) | ((ulong)choice[1] << 3);
        entry |= choice[2] != 0 ? SdmEptRules.IPAT : 0;
        entry |= choice[3] != 0 ? SdmEptRules.PS : 0;
        entry |= choice[4] != 0 ? SdmEptRules.A : 0;
        entry |= choice[5] != 0 ? SdmEptRules.D : 0;
        entry |= choice[6] != 0 ? SdmEptRules.SSS : 0;
        ulong ignored = (rights ^ choice[1] ^ choice[4]) % 3 == 0 ? 0x87f0_0000_0000_0800u : 0;
        return entry | addressBits[choice[7]] | ignored;
    }

    /// <summary>The choice that allows most: all rights, no bit that may be reserved, and for a page write-back.</summary>
    private static int[] Permissive(bool leaf) => [15, leaf ? 6 : 0, 0, leaf ? 1 : 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1];

    private static IEnumerable<int[]> Pairs(int[] sizes, int[] permissive)
    {
        Random random = new(20261121);
        for (int i = 0; i < sizes.Length; i++)
        {
            for (int j = i + 1; j < sizes.Length; j++)
            {
                for (int pair = 0; pair < sizes[i] * sizes[j]; pair++)
                {
                    int[] near = [.. permissive];
                    int[] random1 = [.. sizes.Select(size => random.Next(size))];
                    int[] half = [.. sizes.Select((size, d) => random.Next(4) == 0 ? random.Next(size) : permissive[d])];
                    foreach (int[] choice in new[] { near, random1, half })
                    {
                        (choice[i], choice[j]) = (pair % sizes[i], pair / sizes[i]);
                        yield return choice;
                    }
                }
            }
        }
    }

    /// <summary>Every choice with one value of the first dimension.</summary>
    private static IEnumerable<int[]> Product(int[] sizes, int first)
    {
        int[] choice = new int[sizes.Length];
        choice[0] = first;
        while (true)
        {
            yield return choice;
            int d = 1;
            while (d < sizes.Length && ++choice[d] == sizes[d])
            {
                choice[d++] = 0;
            }

            if (d == sizes.Length)
            {
                yield break;
            }
        }
    }

    private static (SecondStageAccess Access, ulong Advanced) AccessFor(EptAccess access) => access switch
    {
        EptAccess.Read => (SecondStageAccess.Final(new(AccessKind.Read, true), PageRights.User | PageRights.Write | PageRights.NoExecute), 0xe00),
        EptAccess.Write => (SecondStageAccess.Final(new(AccessKind.Write, false), PageRights.Write), 0x400),
        EptAccess.FetchSupervisor => (SecondStageAccess.Final(new(AccessKind.Execute, false), PageRights.None), 0),
        EptAccess.FetchUser => (SecondStageAccess.Final(new(AccessKind.Execute, false), PageRights.User), 0x200),
        EptAccess.Table => (SecondStageAccess.GuestTable, 0),
        EptAccess.TableUpdate => (SecondStageAccess.GuestTableUpdate, 0),
        EptAccess.Pdpte => (SecondStageAccess.PdpteLoad, 0),
        EptAccess.ShadowStackRead => (SecondStageAccess.Final(new(AccessKind.Read, false, ShadowStack: true), PageRights.NoExecute), 0x800),
        EptAccess.ShadowStackWrite => (SecondStageAccess.Final(new(AccessKind.Write, false, ShadowStack: true), PageRights.None), 0),
        _ => (SecondStageAccess.Final(new(AccessKind.Read, true, ShadowStack: true), PageRights.User), 0x200),
    };

    private static void Report(long moreThan, params Bench[] benches)
    {
        Dictionary<SecondStageFailure, long> outcomes = Enum.GetValues<SecondStageFailure>()
            .ToDictionary(failure => failure, failure => benches.Sum(bench => bench.Outcomes(failure)));
        long cases = benches.Sum(bench => bench.Cases);
        TestContext.Out.WriteLine($"{cases} cases: {string.Join(", ", outcomes.Where(o => o.Value > 0).Select(o => $"{o.Key} {o.Value}"))}");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(benches.SelectMany(bench => bench.Differences), Is.Empty);
            Assert.That(cases, Is.GreaterThan(moreThan));
            SecondStageFailure[] expected =
            [
                SecondStageFailure.None, SecondStageFailure.NotPresent, SecondStageFailure.NotReadable, SecondStageFailure.NotWritable,
                SecondStageFailure.NotExecutable, SecondStageFailure.WritableWithoutRead, SecondStageFailure.ExecuteOnlyUnsupported,
            ];
            Assert.That(expected.Where(failure => outcomes[failure] == 0), Is.Empty);
        }
    }

    /// <summary>What one thread walks with, and what came of it.</summary>
    private sealed class Bench(int watchedEvery)
    {
        private readonly SparseHost host = new(TopOfMost + 1);
        private readonly long[] outcomes = new long[Enum.GetValues<SecondStageFailure>().Length];

        public long Cases { get; private set; }

        public List<string> Differences { get; } = [];

        public long Outcomes(SecondStageFailure failure) => outcomes[(int)failure];

        public void Try(ReadOnlySpan<ulong> entries, int top, ReadOnlySpan<int> choice)
        {
            EptAccess kind = (EptAccess)choice[0];
            EptControls controls = new(choice[1] != 0, choice[2] != 0, choice[3] != 0, choice[4] != 0, choice[5] != 0, choice[6] != 0, PhysicalBits);
            ulong capabilities = EptCapabilities.All.Raw;
            capabilities &= controls.ExecuteOnly ? capabilities : ~EptCapabilities.ExecuteOnlyBit;
            capabilities &= controls.Pages ? capabilities : ~(EptCapabilities.Page2MBit | EptCapabilities.Page1GBit);
            capabilities &= controls.Advanced ? capabilities : ~EptCapabilities.AdvancedInformationBit;
            EptState state = new(
                EptPointer.To(new Hpa(frames[top]), top, controls.AccessedDirty, controls.ShadowStack), PhysicalBits, new EptCapabilities(capabilities), controls.ModeBased);
            Gpa address = top == 5 ? gpa : gpaOf4Levels;
            SparseHost memory = host;
            for (int level = 1; level <= top; level++)
            {
                memory.Addresses[level] = frames[level] + (8 * ((address.Value >> (3 + (9 * level))) % 512));
                memory.Words[level] = entries[level];
            }

            (SecondStageAccess access, ulong advanced) = AccessFor(kind);
            Span<ulong> expected = stackalloc ulong[TopOfMost + 1];
            entries.CopyTo(expected);
            EptVerdict verdict = SdmEptRules.Judge(frames, expected, top, kind, controls, advanced);
            NoNestedWalkObserver none = default;
            bool allowed = EptWalker.TryTranslate(ref memory, state, address, access, ref none, out SecondStageResult result);

            Cases++;
            bool alike = allowed == (verdict.Exit == SecondStageExitReason.None)
                && (Cases % watchedEvery != 0 || AsWatched(memory, entries, state, address, access, result));
            alike &= result.Exit == verdict.Exit && result.Failure == verdict.Failure
                && result.Level == verdict.Level && result.ReservedMask == verdict.Reserved && result.Qualification == verdict.Qualification
                && (verdict.Failure == SecondStageFailure.EntryUnreachable
                    ? result.EntryAddress.Value == verdict.Address + (memory.Addresses[result.Level] & 0xfff) && result.Entry == 0
                    : result.EntryAddress.Value == memory.Addresses[result.Level] && result.Entry == (allowed ? expected : entries)[verdict.Level]);
            for (int level = 1; level <= top; level++)
            {
                alike &= memory.Words[level] == expected[level];
            }

            if (allowed && alike)
            {
                int shift = 3 + (9 * verdict.Level);
                alike = result.Hpa.Value == ((verdict.Address >> shift << shift) | (address.Value & ((1UL << shift) - 1)))
                    && result.PageShift == shift && result.Rights == verdict.Rights
                    && (int)result.EptMemoryType == (int)(expected[verdict.Level] >> 3 & 7) && result.IgnoresPat == ((expected[verdict.Level] & SdmEptRules.IPAT) != 0);
            }

            outcomes[(int)verdict.Failure]++;
            if (!alike && Differences.Count < 5)
            {
                Differences.Add($"{kind} {controls}: {string.Join(" ", entries.ToArray().Select(e => $"{e:x}"))}: expected {verdict}, got {result.Exit} {result.Failure} "
                    + $"level {result.Level} {result.Qualification:x} {result.ReservedMask:x} {result.Hpa} {result.Rights}, words {string.Join(" ", memory.Words.ToArray().Select(e => $"{e:x}"))}");
            }
        }

        /// <summary>A walk that is watched takes no short cut: it ends alike, with the same flags set, and reports what it reads and sets.</summary>
        private static bool AsWatched(
            SparseHost memory, ReadOnlySpan<ulong> entries, in EptState state, Gpa address, SecondStageAccess access, in SecondStageResult unwatched)
        {
            Span<ulong> after = stackalloc ulong[TopOfMost + 1];
            memory.Words.CopyTo(after);
            entries[..(state.Levels + 1)].CopyTo(memory.Words);
            Tally tally = new();
            Watcher watcher = new(tally);
            _ = EptWalker.TryTranslate(ref memory, state, address, access, ref watcher, out SecondStageResult watched);
            int set = 0;
            for (int level = 1; level <= state.Levels; level++)
            {
                set += after[level] != entries[level] ? 1 : 0;
            }

            int read = state.Levels - watched.Level + (watched.Failure == SecondStageFailure.EntryUnreachable ? 0 : 1);
            bool rightBelow = watched.Failure is SecondStageFailure.NotReadable or SecondStageFailure.NotWritable
                or SecondStageFailure.NotExecutable or SecondStageFailure.NotShadowStackPage;
            return memory.Words.SequenceEqual(after) && tally.Sets == set && (rightBelow ? tally.Reads >= read : tally.Reads == read)
                && watched.Exit == unwatched.Exit && watched.Failure == unwatched.Failure && watched.Level == unwatched.Level
                && watched.Qualification == unwatched.Qualification && watched.ReservedMask == unwatched.ReservedMask
                && watched.Entry == unwatched.Entry && watched.EntryAddress == unwatched.EntryAddress
                && watched.Hpa == unwatched.Hpa && watched.Rights == unwatched.Rights && watched.PageShift == unwatched.PageShift;
        }
    }

    private sealed class Tally
    {
        public int Reads { get; set; }

        public int Sets { get; set; }
    }

    private readonly struct Watcher(Tally tally) : ISecondStageObserver
    {
        public static bool Enabled => true;

        public void OnSecondStageEntry(int level, Hpa entry, ulong value) => tally.Reads++;

        public void OnSecondStageUpdate(int level, Hpa entry, ulong before, ulong after) => tally.Sets++;
    }
}
