using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Tables made of noise, or of themselves.</summary>
[TestFixture]
internal sealed class PageWalkerHostileTests
{
    private const int MemoryBytes = 32 * 4096;

    [Test]
    public void Noise_is_walked_within_bounds_and_ends(
        [Values(AccessedPolicy.OnSuccess, AccessedPolicy.OnUse)] AccessedPolicy policy,
        [Values(PagingMode.FourLevel, PagingMode.Pae, PagingMode.Bits32)] PagingMode mode)
    {
        const int rounds = 40;
        const int walksPerRound = 1000;
        Random random = new(20261121);
        ulong flags = mode == PagingMode.Bits32 ? 0x0000_0060_0000_0060u : 0x60u;
        Dictionary<WalkFailure, int> outcomes = [];
        for (int round = 0; round < rounds; round++)
        {
            BoundedTables tables = new(mode == PagingMode.Bits32 ? NoiseOf4Bytes(random) : Noise(random));
            for (int i = 0; i < walksPerRound; i++)
            {
                ulong[] before = [.. tables.Words];
                Gva gva = new((ulong)((long)(random.NextInt64() << 16) >> 16));
                WalkAccess access = new((AccessKind)random.Next(3), random.Next(2) == 0, random.Next(4) == 0);
                ulong pointer = ((ulong)random.Next(34) << 12) | (random.Next(8) == 0 ? 0u : 1u);
                ulong longMode = mode == PagingMode.FourLevel ? 0x500u : 0;
                PagingState state = new(
                    0x8001_0001, (ulong)random.Next(32) << 12, mode == PagingMode.Bits32 ? 0x30_0010u : 0x30_0020u,
                    longMode | (random.Next(8) == 0 ? 0 : 0x800u), false, 36, true, policy, new PdpteRegisters(pointer, pointer, ~0UL, pointer));
                WalkTrace trace = default;
                WalkResult result = PageWalker.Walk(ref tables, state, gva, access, ref trace);
                outcomes[result.Failure] = outcomes.GetValueOrDefault(result.Failure) + 1;

                bool untouched = tables.Words.AsSpan().SequenceEqual(before);
                bool flagsOnly = true;
                int changed = 0;
                for (int word = 0; word < (untouched ? 0 : before.Length); word++)
                {
                    flagsOnly &= (before[word] | flags) == (tables.Words[word] | flags) && (before[word] & ~tables.Words[word]) == 0;
                    changed += before[word] == tables.Words[word] ? 0 : 1;
                }

                if (!flagsOnly || changed > 4 || trace.EntriesRead > 4 * 5 || (policy == AccessedPolicy.OnSuccess && !result.Succeeded && changed != 0))
                {
                    Assert.Fail($"round {round} walk {i} of {gva}: {result.Failure}, {changed} words changed, {trace.EntriesRead} entries read");
                }
            }
        }

        TestContext.Out.WriteLine(string.Join(", ", outcomes.OrderBy(o => o.Key).Select(o => $"{o.Key} {o.Value}")));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcomes.Values.Sum(), Is.EqualTo(rounds * walksPerRound));
            Assert.That(outcomes.Keys, Is.SupersetOf(new[]
            {
                WalkFailure.None, WalkFailure.NotPresent, WalkFailure.ReservedBits, WalkFailure.EntryUnreachable,
                WalkFailure.UserAccessToSupervisorPage, WalkFailure.WriteToReadOnlyPage,
            }));
            Assert.That(outcomes.ContainsKey(WalkFailure.ExecuteOfNoExecutePage), Is.EqualTo(mode != PagingMode.Bits32));
        }
    }

    // An entry that references its own table is the PML4E, PDPTE, PDE and PTE of the walk at once, with one A and one D flag.
    [TestCase(AccessedPolicy.OnSuccess)]
    [TestCase(AccessedPolicy.OnUse)]
    public void A_table_that_maps_itself_is_a_page_like_any_other(AccessedPolicy policy)
    {
        BoundedTables tables = new(new ulong[512]);
        const ulong index = 0x1a5;
        tables.Words[(int)index] = 0x3;
        Gva gva = new(0xffff_0000_0000_0000 | (index << 39) | (index << 30) | (index << 21) | (index << 12) | 0x18);
        PagingState state = new(0x8001_0001, 0, 0x20, 0xd00, false, 36, true, policy);
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref tables, state, gva, new WalkAccess(AccessKind.Write, User: false), ref trace);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.None));
            Assert.That(result.Gpa, Is.EqualTo(new Gpa(0x18)));
            Assert.That(tables.Words[(int)index], Is.EqualTo(0x63));
            Assert.That(trace.Restarts, Is.LessThanOrEqualTo(2));
        }
    }

    // The page directory and page table of the walk at once: 32-bit paging's own table map.
    [TestCase(AccessedPolicy.OnSuccess)]
    [TestCase(AccessedPolicy.OnUse)]
    public void A_table_of_32_bit_paging_maps_itself(AccessedPolicy policy)
    {
        BoundedTables tables = new(new ulong[512]);
        tables.Words[511] = 0x0000_0003_1234_5000;
        PagingState state = new(0x8001_0001, 0, 0, 0, false, 36, true, policy);
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref tables, state, new Gva(0xffff_fffc), new WalkAccess(AccessKind.Write, User: false), ref trace);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.None));
            Assert.That(result.Gpa, Is.EqualTo(new Gpa(0xffc)));
            Assert.That(tables.Words[511], Is.EqualTo(0x0000_0063_1234_5000));
            Assert.That(trace.Restarts, Is.LessThanOrEqualTo(2));
        }
    }

    // A PDPTE register that points to a table which is directory and page table, and maps itself.
    [TestCase(AccessedPolicy.OnSuccess)]
    [TestCase(AccessedPolicy.OnUse)]
    public void A_table_of_PAE_paging_maps_itself(AccessedPolicy policy)
    {
        BoundedTables tables = new(new ulong[512]);
        tables.Words[511] = 0x3;
        PagingState state = new(0x8001_0001, 0, 0x20, 0x800, false, 36, true, policy, new PdpteRegisters(0, 0, 0, 1));
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref tables, state, new Gva(0xffff_fff8), new WalkAccess(AccessKind.Write, User: false), ref trace);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.None));
            Assert.That(result.Gpa, Is.EqualTo(new Gpa(0xff8)));
            Assert.That(tables.Words[511], Is.EqualTo(0x63));
            Assert.That(trace.Restarts, Is.LessThanOrEqualTo(2));
        }
    }

    private static ulong[] NoiseOf4Bytes(Random random)
    {
        ulong[] words = new ulong[MemoryBytes / 8];
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = Entry(random) | (Entry(random) << 32);
        }

        return words;

        static ulong Entry(Random random)
        {
            ulong flags = (ulong)random.NextInt64() & 0x17f;
            flags |= random.Next(8) == 0 ? 0u : 1u;
            flags |= random.Next(4) == 0 ? 0x80u : 0;
            flags |= random.Next(2) == 0 ? 6u : 0;
            ulong rare = random.Next(16) == 0 ? 1UL << random.Next(12, 32) : 0;
            return ((ulong)random.Next(34) << 12) | flags | rare;
        }
    }

    private static ulong[] Noise(Random random)
    {
        ulong[] words = new ulong[MemoryBytes / 8];
        for (int i = 0; i < words.Length; i++)
        {
            ulong flags = (ulong)random.NextInt64() & 0x1ff;
            ulong frame = (ulong)random.Next(34) << 12;
            ulong rare = random.Next(16) == 0 ? 1UL << random.Next(12, 64) : 0;
            flags |= random.Next(8) == 0 ? 0u : 1u;
            flags &= random.Next(4) == 0 ? 0x1ffu : 0x17fu;
            flags |= random.Next(2) == 0 ? 6u : 0;
            words[i] = frame | flags | rare | (random.Next(8) == 0 ? 1UL << 63 : 0);
        }

        return words;
    }

    /// <summary>A block of memory at 0; an address that is misaligned or beyond MAXPHYADDR 36 is the walker's mistake.</summary>
    private readonly struct BoundedTables(ulong[] words) : ITableMemory
    {
        public ulong[] Words { get; } = words;

        public bool TryRead(Gpa entry, out ulong value)
        {
            bool found = Covers(entry);
            value = found ? Words[entry.Value / 8] : 0;
            return found;
        }

        public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
        {
            exchanged = Covers(entry) && Interlocked.CompareExchange(ref Words[entry.Value / 8], desired, expected) == expected;
            return Covers(entry);
        }

        private bool Covers(Gpa entry)
        {
            Assert.That(entry.Value & ~0xf_ffff_fff8UL, Is.Zero);
            return entry.Value / 8 < (ulong)Words.Length;
        }
    }
}
