using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Noise in so few pages that tables reference themselves and one another, under every control bit and address width.</summary>
[TestFixture]
internal sealed class RecursiveTableTests
{
    private const ulong Pse = 0x10, Pae = 0x20, Pge = 0x80, Smep = 1 << 20, Smap = 1 << 21, Pke = 1 << 22;
    private const int WordsOfPage = 512;

    [Test]
    public void WalksEndWithinMemoryAndAreTheSameAgain(
        [Values(1, 2, 5)] int pages, [Values(PagingMode.FiveLevel, PagingMode.FourLevel, PagingMode.Pae, PagingMode.Bits32)] PagingMode mode)
    {
        const int seed = 20261124, rounds = 8000;
        Random random = new(seed);
        int succeeded = 0, changed = 0, recursive = 0;
        ulong[] noise = new ulong[pages * WordsOfPage], after = new ulong[noise.Length];
        RacingMemory?[] memories = new RacingMemory?[53];
        ulong flags = mode == PagingMode.Bits32 ? 0x0000_0060_0000_0060u : 0x60u;
        for (int round = 0; round < rounds; round++)
        {
            byte bits = (byte)random.Next(32, 53);
            if (round % 50 == 0)
            {
                Fill(noise, random, mode);
            }

            RacingMemory memory = memories[bits] ??= new(pages * 4096, mode == PagingMode.Bits32 ? 4 : 8, bits);
            memory.Start(noise, []);
            PagingState state = RandomState(random, mode, bits, pages);
            Gva gva = new(random.Next(2) == 0 ? Canonical((ulong)random.NextInt64(), mode) : SameIndices(random, mode));
            WalkAccess access = new((AccessKind)random.Next(3), random.Next(2) == 0, random.Next(4) == 0);
            string What() => $"seed {seed} round {round} {mode} {gva} {access}";
            RacingTables tables = new(memory);
            WalkTrace trace = default;
            WalkResult result = PageWalker.Walk(ref tables, state, gva, access, ref trace);
            Check(memory.Accesses <= 3 * 5 * 5, $"{memory.Accesses} accesses", What);
            Check(result.Gpa.Value >> Math.Max((int)bits, 40) == 0, $"{result.Gpa}", What);
            int marked = Marked(noise, memory.Words, flags, What);
            Check(marked <= 5 && (marked == 0 || result.Succeeded || state.Accessed == AccessedPolicy.OnUse), $"{marked} entries marked, {result.Failure}", What);
            succeeded += result.Succeeded ? 1 : 0;
            changed += marked != 0 ? 1 : 0;
            recursive += trace.Steps.Length > 1 && trace.Steps[^1].Address == trace.Steps[^2].Address ? 1 : 0;

            memory.Words.CopyTo(after);
            NoWalkObserver none = default;
            memory.Start(noise, []);
            WalkResult unobserved = PageWalker.Walk(ref tables, state, gva, access, ref none);
            Check((unobserved.Failure, unobserved.Gpa, unobserved.Entry) == (result.Failure, result.Gpa, result.Entry), "unobserved it differs", What);
            Check(memory.Words.SequenceEqual(after), "unobserved it leaves other entries", What);
            if (result.Succeeded)
            {
                memory.Start(after, []);
                WalkResult again = PageWalker.Walk(ref tables, state, gva, access, ref none);
                Check(again.Succeeded && again.Gpa == result.Gpa, "again it differs", What);
                Check(memory.Words.SequenceEqual(after), "again it changes entries", What);
            }
        }

        TestContext.Out.WriteLine($"seed {seed}: {rounds} walks, {succeeded} translations, {changed} changed entries, {recursive} by an entry twice");
        Assert.That(new[] { succeeded, changed }, Is.All.GreaterThan(rounds / 100));
        Assert.That(recursive, Is.GreaterThan(rounds / 200));
    }

    /// <summary>An address with one index at every level, as that of a table that maps itself.</summary>
    private static ulong SameIndices(Random random, PagingMode mode)
    {
        if (mode == PagingMode.Bits32)
        {
            ulong half = (uint)random.Next(1024);
            return (half << 22) | (half << 12) | (uint)random.Next(4096);
        }

        ulong index = (uint)random.Next(512);
        return Canonical((index << 48) | (index << 39) | (index << 30) | (index << 21) | (index << 12) | (uint)random.Next(4096), mode);
    }

    private static ulong Canonical(ulong address, PagingMode mode)
    {
        int unused = mode == PagingMode.FiveLevel ? 7 : 16;
        return (ulong)((long)(address << unused) >> unused);
    }

    private static int Marked(ReadOnlySpan<ulong> before, ReadOnlySpan<ulong> after, ulong flags, Func<string> what)
    {
        int marked = 0;
        for (int i = 0; i < before.Length; i++)
        {
            if (before[i] == after[i])
            {
                continue;
            }

            Check(((before[i] ^ after[i]) & ~flags) == 0 && (before[i] & ~after[i]) == 0, $"word {i} was changed from {before[i]:x} to {after[i]:x}", what);
            marked++;
        }

        return marked;
    }

    private static void Check(bool good, string problem, Func<string> what)
    {
        if (!good)
        {
            Assert.Fail($"{what()}: {problem}");
        }
    }

    private static PagingState RandomState(Random random, PagingMode mode, byte bits, int pages)
    {
        ulong cr0 = 0x8000_0001 | (random.Next(2) == 0 ? PagingState.Cr0WP : 0);
        ulong cr4 = (ulong)random.NextInt64() & (Pge | Smep | Smap | Pke);
        cr4 |= mode == PagingMode.FiveLevel ? PagingState.Cr4LA57 : 0;
        cr4 |= mode != PagingMode.Bits32 ? Pae : random.Next(4) == 0 ? 0 : Pse;
        ulong efer = (mode is PagingMode.FourLevel or PagingMode.FiveLevel ? 0x500u : 0) | (random.Next(4) == 0 ? 0 : PagingState.EferNXE);
        ulong Table() => ((ulong)random.Next(random.Next(8) == 0 ? pages + 2 : pages) << 12) | (ulong)random.Next(4) << 3;
        ulong Pointer() => (Table() & ~0xFFFUL) | (random.Next(8) == 0 ? 0u : 1u);
        AccessedPolicy policy = random.Next(2) == 0 ? AccessedPolicy.OnSuccess : AccessedPolicy.OnUse;
        return new PagingState(
            cr0, Table(), cr4, efer, random.Next(2) == 0, bits, random.Next(2) == 0, policy,
            new PdpteRegisters(Pointer(), Pointer(), Pointer(), Pointer()), random.Next(2) == 0, (uint)random.NextInt64());
    }

    private static void Fill(ulong[] words, Random random, PagingMode mode)
    {
        int pages = words.Length / WordsOfPage;
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = mode == PagingMode.Bits32 ? Entry() & uint.MaxValue | Entry() << 32 : Entry();
        }

        ulong Entry()
        {
            ulong flags = (ulong)random.NextInt64() & 0x117f;
            flags |= random.Next(10) == 0 ? 0u : 1u;
            flags |= random.Next(8) == 0 ? 0x80u : 0;
            flags |= random.Next(3) != 0 ? 6u : 0;
            ulong rare = random.Next(20) == 0 ? 1UL << random.Next(12, 64) : 0;
            ulong key = random.Next(4) == 0 && mode is PagingMode.FourLevel or PagingMode.FiveLevel ? (ulong)random.Next(16) << 59 : 0;
            return (flags & ~0x1000UL) | ((ulong)random.Next(random.Next(10) == 0 ? pages + 2 : pages) << 12) | rare | key;
        }
    }
}
