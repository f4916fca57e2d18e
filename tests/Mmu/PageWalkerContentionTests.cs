using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Tables that change, vanish or cannot be written while they are walked.</summary>
[TestFixture]
internal sealed class PageWalkerContentionTests
{
    private const ulong P = 1, RW = 2, A = 32, D = 64;

    private static readonly Gva gva = new(0x0000_1234_5678_9abc);
    private static readonly PagingState Paging = new(Cr0: 0x8001_0001, Cr3: 0x1000, Cr4: 0x20, Efer: 0xd00, AlignmentCheck: false, PhysicalAddressBits: 40);
    private static readonly WalkAccess write = new(AccessKind.Write, User: false);

    [Test]
    public void An_entry_remapped_under_the_walk_is_walked_again()
    {
        (WalkResult result, WalkTrace trace, SparseTables tables) = Walk((exchange, words) =>
        {
            if (exchange == 1)
            {
                words.Words[1] = 0x6666_6000 | P | RW;
            }
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Gpa, Is.EqualTo(new Gpa(0x6666_6abc)));
            Assert.That(tables.Words[1], Is.EqualTo(0x6666_6000 | P | RW | A | D));
            Assert.That(trace.Restarts, Is.EqualTo(1));
            Assert.That(trace.EntriesRead, Is.EqualTo(8));
            Assert.That(trace.EntriesUpdated, Is.EqualTo(1));
        }
    }

    [TestCase(P, WalkFailure.NotPresent, PageFaultCode.Write)]
    [TestCase(RW, WalkFailure.WriteToReadOnlyPage, PageFaultCode.Write | PageFaultCode.Present)]
    public void A_right_withdrawn_under_the_walk_faults_and_leaves_the_entry(ulong withdrawn, WalkFailure failure, PageFaultCode code)
    {
        ulong left = 0;
        (WalkResult result, _, SparseTables tables) = Walk((_, words) => left = words.Words[1] &= ~withdrawn);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(failure));
            Assert.That(result.ErrorCode, Is.EqualTo(code));
            Assert.That(tables.Words[1], Is.EqualTo(left));
        }
    }

    [Test]
    public void An_upper_entry_replaced_under_the_walk_is_never_overwritten()
    {
        (WalkResult result, _, SparseTables tables) = Walk(
            (exchange, words) => words.Words[3] = exchange == 1 ? 0 : words.Words[3],
            words => words.Words[3] &= ~A);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.NotPresent));
            Assert.That(result.Level, Is.EqualTo(3));
            Assert.That(tables.Words[3], Is.Zero);
        }
    }

    [Test]
    public void A_flag_that_another_processor_sets_first_costs_one_more_walk()
    {
        (WalkResult result, WalkTrace trace, _) = Walk((exchange, words) => words.Words[1] |= exchange == 1 ? A | D : 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Succeeded, Is.True);
            Assert.That(result.Rights & PageRights.Dirty, Is.EqualTo(PageRights.Dirty));
            Assert.That((trace.Restarts, trace.EntriesUpdated), Is.EqualTo((1, 0)));
        }
    }

    [Test]
    public void A_device_that_never_stops_changing_an_entry_cannot_hold_the_walk_for_ever()
    {
        (WalkResult result, WalkTrace trace, SparseTables tables) = Walk((exchange, words) => words.Words[1] = 0x6666_0000 + ((ulong)exchange << 12) | P | RW);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.EntryContended));
            Assert.That(result.ErrorCode, Is.EqualTo(PageFaultCode.Write));
            Assert.That((result.Level, result.EntryAddress.Value), Is.EqualTo((1, tables.Addresses[1])));
            Assert.That(trace.EntriesRead, Is.EqualTo(PageWalker.MaxAttempts * 4));
            Assert.That(tables.Words[1] & (A | D), Is.Zero);
        }
    }

    [TestCase(AccessedPolicy.OnSuccess, 1)]
    [TestCase(AccessedPolicy.OnUse, 2)]
    public void Memory_that_vanishes_before_the_flags_are_set_is_unreachable(AccessedPolicy policy, int level)
    {
        (WalkResult result, _, _) = Walk(
            (_, _) => { }, words => words.Words[2] &= policy == AccessedPolicy.OnUse ? ~A : ulong.MaxValue, writable: false, Paging with { Accessed = policy });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(WalkFailure.EntryUnreachable));
            Assert.That(result.ErrorCode, Is.EqualTo(PageFaultCode.Write));
            Assert.That(result.Level, Is.EqualTo(level));
        }
    }

    [Test]
    public void Flags_are_not_written_again_once_set()
    {
        ScriptedTables.Script script = new((_, _) => { });
        ScriptedTables tables = new(PageWalkerTests.TablesFor(leaf: 1, out _), script);
        NoWalkObserver nobody = default;
        for (int i = 0; i < 5; i++)
        {
            Assert.That(PageWalker.Walk(ref tables, Paging, gva, write, ref nobody).Succeeded, Is.True);
        }

        Assert.That((script.Exchanges, script.Reads), Is.EqualTo((1, 20)));
    }

    private static (WalkResult Result, WalkTrace Trace, SparseTables Tables) Walk(
        Action<int, SparseTables> script, Action<SparseTables>? prepare = null, bool writable = true, PagingState? state = null)
    {
        SparseTables words = PageWalkerTests.TablesFor(leaf: 1, out _);
        words.Words[1] &= ~A;
        prepare?.Invoke(words);
        ScriptedTables tables = new(words, new ScriptedTables.Script(script) { Writable = writable });
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref tables, state ?? Paging, gva, write, ref trace);
        return (result, trace, words);
    }
}
