using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class StepSchedulerTests
{
    private const ulong Shared = 1;
    private const ulong Mine = 2;
    private const ulong Yours = 4;

    [TestCase(1, 1, 2)]
    [TestCase(2, 2, 6)]
    [TestCase(3, 3, 20)]
    [TestCase(4, 2, 15)]
    public void Without_reduction_every_order_runs_once(int first, int second, int orders)
    {
        HashSet<string> seen = [];

        long runs = StepScheduler.ExploreAll(() => Record(seen, first, second), reduce: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(runs, Is.EqualTo(orders));
            Assert.That(seen, Has.Count.EqualTo(orders));
        }
    }

    [Test]
    public void Steps_that_have_nothing_to_do_with_each_other_run_in_one_order()
    {
        long runs = StepScheduler.ExploreAll(() => new Scenario().With("a", new Script(Steps(4, Mine))).With("b", new Script(Steps(4, Yours))));

        Assert.That(runs, Is.EqualTo(1));
    }

    [Test]
    public void Reduction_keeps_every_outcome([Range(0, 39)] int seed)
    {
        HashSet<string> all = [];
        HashSet<string> reduced = [];

        long full = StepScheduler.ExploreAll(() => RandomWorld(seed, all), reduce: false);
        long fewer = StepScheduler.ExploreAll(() => RandomWorld(seed, reduced));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(reduced, Is.EquivalentTo(all));
            Assert.That(fewer, Is.LessThanOrEqualTo(full));
        }
    }

    [Test]
    public void A_lost_update_is_found_and_its_order_replays()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(() => StepScheduler.ExploreAll(LostUpdate))!;

        InterleavingException again = Assert.Throws<InterleavingException>(
            () => StepScheduler.Replay(LostUpdate(), Interleaving.ParseKey(failure.Interleaving.Key)))!;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(failure.Problem, Is.EqualTo("the counter is 1, not 2"));
            Assert.That(again.Message, Is.EqualTo(failure.Message));
            Assert.That(failure.Message, Does.Contain("read").And.Contain("write").And.Contain("replay: "));
        }
    }

    [Test]
    public void A_lock_round_the_update_cures_it()
    {
        long runs = StepScheduler.ExploreAll(() => Counting(locked: true));

        Assert.That(runs, Is.EqualTo(2));
    }

    [Test]
    public void Two_locks_in_opposite_order_end_where_nobody_can_go_on()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(() => StepScheduler.ExploreAll(() =>
        {
            StepScope scope = new();
            HostLock one = new("mmap_lock", scope);
            HostLock two = new("folio_lock", scope);
            return new Scenario().With("a", new TwoLocks(one, two)).With("b", new TwoLocks(two, one));
        }))!;

        Assert.That(failure.Problem, Is.EqualTo("nobody can go on: a before 'take folio_lock', b before 'take mmap_lock'"));
    }

    [Test]
    public void A_random_order_follows_from_its_seed([Values(1ul, 2ul, 99ul)] ulong seed)
    {
        string first = StepScheduler.RunRandom(Three(), seed).Key;

        Assert.That(StepScheduler.RunRandom(Three(), seed).Key, Is.EqualTo(first));
    }

    [Test]
    public void Different_seeds_give_different_orders() =>
        Assert.That(Enumerable.Range(0, 50).Select(seed => StepScheduler.RunRandom(Three(), (ulong)seed).Key).Distinct().Count(), Is.GreaterThan(20));

    [Test]
    public void What_a_party_throws_comes_with_the_steps_that_led_to_it()
    {
        Scenario scenario = new Scenario().With("a", new Script([("look", Shared, 0, () => { }), ("leap", Shared, 0, () => throw new InvalidOperationException("no net"))]));

        InterleavingException failure = Assert.Throws<InterleavingException>(() => StepScheduler.RunRandom(scenario, 7))!;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(failure.Problem, Is.EqualTo("a: InvalidOperationException: no net"));
            Assert.That(failure.Interleaving.Taken, Is.EqualTo(new[] { ("a", "look"), ("a", "leap") }));
            Assert.That(failure.Seed, Is.EqualTo(7));
        }
    }

    [Test]
    public void An_operation_within_another_is_taken_step_by_step()
    {
        List<string> done = [];
        Script inner = new([("in", Shared, 0, () => done.Add("in"))]);

        Interleaving taken = StepScheduler.RunRandom(new Scenario().With("a", new Outer(inner)), 1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken.Taken.Select(line => line.Step), Is.EqualTo(new[] { "before", "in", "after" }));
            Assert.That(done, Is.EqualTo(new[] { "in" }));
        }
    }

    [Test]
    public void Run_does_all_steps_and_says_which_lock_is_missing()
    {
        StepScope scope = new();
        HostLock held = new("mmap_lock", scope);
        new TwoLocks(held, new HostLock("other", scope)).Run();
        held.TryAcquire(shared: true);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(held.IsHeldAlone, Is.False);
            Assert.That(() => new TwoLocks(held, new HostLock("other", scope)).Run(), Throws.InvalidOperationException.With.Message.Contains("mmap_lock (1 readers) is not free"));
        }
    }

    [Test]
    public void More_orders_than_allowed_are_refused() =>
        Assert.That(() => StepScheduler.ExploreAll(Three, reduce: false, limit: 10), Throws.InvalidOperationException.With.Message.Contains("more than 10 interleavings"));

    private static Scenario Three() =>
        new Scenario().With("a", new Script(Steps(3, Shared))).With("b", new Script(Steps(3, Shared))).With("c", new Script(Steps(3, Shared)));

    private static (string, ulong, ulong, Action)[] Steps(int count, ulong bit) =>
        [.. Enumerable.Range(0, count).Select(i => ($"step {i}", 0ul, bit, (Action)(() => { })))];

    private static Scenario Record(HashSet<string> seen, int first, int second)
    {
        System.Text.StringBuilder order = new();
        return new Scenario
        {
            AtEnd = () =>
            {
                seen.Add(order.ToString());
                return null;
            },
        }.With("a", Writing('a', first)).With("b", Writing('b', second));

        Script Writing(char letter, int count) =>
            new([.. Enumerable.Range(0, count).Select(_ => ("write", 0ul, Shared, (Action)(() => order.Append(letter))))]);
    }

    // Two or three parties write distinct values to a few cells, or copy one to another, each saying exactly what it touches.
    private static Scenario RandomWorld(int seed, HashSet<string> outcomes)
    {
        Random random = new(seed);
        int[] cells = new int[3];
        Scenario scenario = new()
        {
            AtEnd = () =>
            {
                outcomes.Add(string.Join(',', cells));
                return null;
            },
        };
        int value = 1;
        for (int actor = 0; actor < 3; actor++)
        {
            (string, ulong, ulong, Action)[] script = new (string, ulong, ulong, Action)[random.Next(1, 4)];
            for (int i = 0; i < script.Length; i++)
            {
                int from = random.Next(cells.Length);
                int to = random.Next(cells.Length);
                int own = value++;
                script[i] = random.Next(2) == 0
                    ? ("store", 0, 1ul << to, () => cells[to] = own)
                    : ("copy", 1ul << from, 1ul << to, () => cells[to] = cells[from] * 10);
            }

            scenario.With($"p{actor}", new Script(script));
        }

        return scenario;
    }

    private static Scenario LostUpdate() => Counting(locked: false);

    private static Scenario Counting(bool locked)
    {
        StepScope scope = new();
        ulong bit = scope.Take();
        HostLock? guard = locked ? new HostLock("lock", scope) : null;
        int[] counter = [0];
        return new Scenario { AtEnd = () => counter[0] == 2 ? null : $"the counter is {counter[0]}, not 2" }
            .With("a", new Increment(counter, bit, guard))
            .With("b", new Increment(counter, bit, guard));
    }

    private sealed class Increment(int[] counter, ulong bit, HostLock? guard) : HostOperation
    {
        public override string Name => "increment";

        protected override IEnumerable<Step> Steps()
        {
            if (guard is not null)
            {
                yield return Step.Acquire("lock", guard);
            }

            yield return Step.Do("read", bit);
            int value = counter[0];
            yield return Step.Do("write", 0, bit);
            counter[0] = value + 1;
            if (guard is not null)
            {
                yield return Step.Do("unlock", 0, guard.Bit);
                guard.Release();
            }
        }
    }

    private sealed class TwoLocks(HostLock first, HostLock second) : HostOperation
    {
        public override string Name => "two locks";

        protected override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire($"take {first.Name}", first);
            yield return Step.Acquire($"take {second.Name}", second);
            yield return Step.Do("release both", 0, first.Bit | second.Bit);
            second.Release();
            first.Release();
        }
    }

    private sealed class Outer(HostOperation inner) : HostOperation
    {
        public override string Name => "outer";

        protected override IEnumerable<Step> Steps()
        {
            yield return Step.Do("before", Shared);
            yield return Step.Through(inner);
            yield return Step.Do("after", Shared);
        }
    }

    private sealed class Script((string Name, ulong Reads, ulong Changes, Action Action)[] steps) : HostOperation
    {
        public override string Name => "script";

        protected override IEnumerable<Step> Steps()
        {
            foreach ((string name, ulong reads, ulong changes, Action action) in steps)
            {
                yield return Step.Do(name, reads, changes);
                action();
            }
        }
    }
}
