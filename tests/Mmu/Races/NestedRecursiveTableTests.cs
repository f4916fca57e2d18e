using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Noise in so few pages that both stages' tables are the same ones: a walk may set flags in an entry that it goes on to use as another.</summary>
[TestFixture]
internal sealed class NestedRecursiveTableTests
{
    private const int WordsOfPage = 512, Rounds = 10_000, MostSteps = 35 * 8;
    private const ulong GuestFlags = 0x60, SecondFlags = 0x300;

    [Test]
    public void WalksEndWithinMemoryAndAreTheSameUnobserved(
        [Values(1, 2, 5)] int pages,
        [Values(PagingMode.FiveLevel, PagingMode.FourLevel, PagingMode.Pae, PagingMode.Bits32)] PagingMode mode,
        [Values("EPT 4", "EPT 5", "NPT 4", "NPT 5")] string second)
    {
        const int seed = 20261121;
        Random random = new(seed);
        ArrayHost host = new(pages, 0);
        ulong[] noise = new ulong[pages * WordsOfPage], after = new ulong[noise.Length];
        bool nested = second[0] == 'N';
        int levels = second[^1] - '0', most = 0, marked = 0;
        ulong flags = GuestFlags | (mode == PagingMode.Bits32 ? GuestFlags << 32 : 0) | (nested ? 0 : SecondFlags);
        Dictionary<string, int> outcomes = [];
        for (int round = 0; round < Rounds; round++)
        {
            if (round % 50 == 0)
            {
                Fill(noise, random);
            }

            PagingState guest = RandomGuest(random, mode, pages);
            Gva gva = new(RandomAddress(random, mode));
            WalkAccess access = new((AccessKind)random.Next(3), random.Next(2) == 0);
            ulong root = (ulong)random.Next(pages) << 12;
            NestedWalkTrace trace = new();
            noise.CopyTo(host.Words, 0);
            NestedWalkResult watched;
            NestedWalkResult alone;
            NoNestedWalkObserver nobody = default;
            NestedWalkTrace.Recorder recorder = trace.Observer;
            if (nested)
            {
                NptStage<ArrayHost> stage = new(host, new NptState(root, 0x20 | (levels == 5 ? PagingState.Cr4LA57 : 0), 0xd00, 40));
                NestedWalker.Walk(ref stage, guest, gva, access, ref recorder, out watched);
                host.Words.CopyTo(after, 0);
                noise.CopyTo(host.Words, 0);
                NestedWalker.Walk(ref stage, guest, gva, access, ref nobody, out alone);
            }
            else
            {
                EptStage<ArrayHost> stage = new(host, new EptState(EptPointer.To(new Hpa(root), levels, random.Next(2) == 0), 40, EptCapabilities.All));
                NestedWalker.Walk(ref stage, guest, gva, access, ref recorder, out watched);
                host.Words.CopyTo(after, 0);
                noise.CopyTo(host.Words, 0);
                NestedWalker.Walk(ref stage, guest, gva, access, ref nobody, out alone);
            }

            most = Math.Max(most, trace.Steps.Count);
            string outcome = Describe(watched);
            outcomes[outcome] = outcomes.GetValueOrDefault(outcome) + 1;
            int changed = Changed(noise, after, flags);
            marked += changed > 0 ? 1 : 0;
            string? wrong = trace.Steps.Count > MostSteps ? $"{trace.Steps.Count} entries"
                : changed < 0 ? "bits that are no flags were changed"
                : changed > 35 ? $"{changed} entries were changed"
                : Describe(alone) != outcome || alone.Hpa != watched.Hpa || alone.Gpa != watched.Gpa || alone.Rights != watched.Rights
                    || alone.SecondStage.Qualification != watched.SecondStage.Qualification ? "unobserved it differs"
                : !host.Words.AsSpan().SequenceEqual(after) ? "unobserved it leaves other entries"
                : null;
            if (wrong is not null)
            {
                Assert.Fail($"seed {seed} round {round}, {gva} {access} {guest}, root 0x{root:x}, {outcome}: {wrong}");
            }
        }

        TestContext.Out.WriteLine($"{most} entries at most, {marked} walks changed some: {string.Join(", ", outcomes.OrderBy(o => o.Key).Select(o => $"{o.Key} {o.Value}"))}");
        Assert.That(outcomes.GetValueOrDefault("None None"), Is.GreaterThan(Rounds / 100));
        Assert.That(marked, Is.GreaterThan(Rounds / 100));
        Assert.That(outcomes, Has.Count.GreaterThan(5));
    }

    private static string Describe(in NestedWalkResult result) =>
        result.Exit != SecondStageExitReason.None ? $"{result.Exit} {result.SecondStage.Failure}" : $"None {result.Guest.Failure}";

    /// <summary>How many words have flags set; -1 when anything else was changed.</summary>
    private static int Changed(ulong[] before, ulong[] after, ulong flags)
    {
        int changed = 0;
        for (int i = 0; i < before.Length; i++)
        {
            if (((before[i] ^ after[i]) & ~flags) != 0 || (before[i] & ~after[i]) != 0)
            {
                return -1;
            }

            changed += before[i] == after[i] ? 0 : 1;
        }

        return changed;
    }

    private static PagingState RandomGuest(Random random, PagingMode mode, int pages)
    {
        ulong Table() => (ulong)random.Next(pages) << 12;
        ulong cr4 = mode switch { PagingMode.FiveLevel => 0x20 | PagingState.Cr4LA57, PagingMode.Bits32 => 0x10, _ => 0x20 };
        ulong efer = mode is PagingMode.FiveLevel or PagingMode.FourLevel ? 0xd00u : 0x800;
        return new PagingState(
            0x8000_0001 | (random.Next(2) == 0 ? PagingState.Cr0WP : 0), Table(), cr4, efer, false, 40, true, (AccessedPolicy)random.Next(2),
            new PdpteRegisters(Table() | 1, Table() | 1, Table() | 1, Table() | 1), true);
    }

    /// <summary>Often one index at every level, as the address of a table that maps itself.</summary>
    private static ulong RandomAddress(Random random, PagingMode mode)
    {
        ulong index = (ulong)random.Next(512), any = (ulong)random.NextInt64();
        ulong address = random.Next(2) == 0 ? any : (index << 48) | (index << 39) | (index << 30) | (index << 21) | (index << 12) | (any & 0xfff);
        int unused = mode switch { PagingMode.FiveLevel => 7, PagingMode.FourLevel => 16, _ => 32 };
        return mode is PagingMode.FiveLevel or PagingMode.FourLevel ? (ulong)((long)(address << unused) >> unused) : (uint)address;
    }

    private static void Fill(ulong[] words, Random random)
    {
        int pages = words.Length / WordsOfPage;
        for (int i = 0; i < words.Length; i++)
        {
            // Bits 2:0 are P, R/W and U/S or R, W and X; bits 5:3 are a memory type where a page is mapped, and otherwise reserved by EPT.
            ulong flags = random.Next(12) == 0 ? (ulong)random.Next(8) : 7;
            flags |= random.Next(8) == 0 ? (ulong)random.Next(256) : 0;
            ulong rare = random.Next(40) == 0 ? 1UL << random.Next(6, 64) : 0;
            words[i] = flags | ((ulong)random.Next(random.Next(20) == 0 ? pages + 2 : pages) << 12) | rare | (random.Next(3) == 0 ? 0x300u : 0);
        }
    }
}
