using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>
/// The invariants of host memory over random histories: a short one each in every run, and a million steps each with <c>--full</c>. All
/// invariants are looked at in each; the kinds of operations that could break the one in question come more often.
/// </summary>
[TestFixture]
public sealed class PropertyTests
{
    private const int Short = 60_000;
    private const int Long = 1_000_000;
    private const int StepsOfAWorld = 20_000;

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P01_No_path_returns_a_byte_of_the_old_page_after_the_end(int steps) => Hold(1, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P02_Between_start_and_end_nothing_in_the_range_becomes_valid(int steps) => Hold(2, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P03_The_sequence_has_grown_before_the_count_falls(int steps) => Hold(3, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P04_When_nothing_goes_on_every_count_has_its_holders(int steps) => Hold(4, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P05_A_page_without_references_is_never_counted(int steps) => Hold(5, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P06_A_pinned_page_is_not_migrated_converted_or_freed(int steps) => Hold(6, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P07_A_private_page_is_not_mapped_or_pinned(int steps) => Hold(7, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P08_The_direct_map_lacks_exactly_the_pages_that_it_must(int steps) => Hold(8, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P09_The_fast_way_of_GUP_succeeds_only_where_the_slow_way_would(int steps) => Hold(9, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P10_No_translation_is_larger_than_host_slot_attributes_and_file_allow(int steps) => Hold(10, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P11_Nothing_is_writable_that_the_host_or_the_slot_has_read_only(int steps) => Hold(11, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P12_Every_error_is_listed_and_a_failure_changes_no_counter(int steps) => Hold(12, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P13_A_slot_of_a_window_shows_its_own_page(int steps) => Hold(13, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P14_What_was_removed_is_in_no_TLB(int steps) => Hold(14, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P15_Exposed_pages_are_those_in_use(int steps) => Hold(15, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P16_The_check_of_a_pfn_cache_is_true_only_while_it_is_current(int steps) => Hold(16, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P17_A_deleted_slot_has_no_translation_and_gets_none(int steps) => Hold(17, steps);

    [TestCase(Short)]
    [TestCase(Long, Category = "Full")]
    public void P18_The_access_paths_agree(int steps) => Hold(18, steps);

    /// <summary>Sees a failure again, by what it printed: a parameter of the test run named world. Without, a history that holds.</summary>
    [Test]
    public void Replay()
    {
        string key = TestContext.Parameters.Get("world") ?? new PropertyRun(new WorldOptions { Seed = 1 }, 5000).Key;
        int? failure = PropertyRun.Parse(key).Failure(out string problem);

        Assert.That(failure, Is.Null, problem);
    }

    [Test]
    public void The_same_seed_gives_the_same_history()
    {
        (long, ulong, ulong, string)[] ends =
        [
            .. Enumerable.Range(0, 2).Select(_ =>
            {
                using RandomWorld world = new(new WorldOptions { Seed = 77 });
                world.Run(5000);
                return (world.Operations, world.Serial, world.Kernel.Allocator.FreeFrames, world.Recent.ToString());
            }),
        ];

        Assert.That(ends[0], Is.EqualTo(ends[1]));
    }

    [Test]
    public void A_history_is_told_by_its_key_and_shrinks_to_fewer_parties()
    {
        PropertyRun run = new(new WorldOptions { Seed = 3, Faults = InjectedFaults.KeepReferenceOnZap, Mix = WorldMix.Of("P4") }, 50_000);
        int? failure = PropertyRun.Parse(run.Key).Failure(out string problem);
        PropertyRun shrunk = run.Shrink(run.Steps);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(failure, Is.EqualTo(4));
            Assert.That(problem, Does.Contain("the last steps").And.Contain("replay: "));
            Assert.That(shrunk.Failure(out _), Is.EqualTo(4));
            Assert.That(shrunk.Options.Actors, Is.LessThan(run.Options.Actors));
        }
    }

    private static void Hold(int invariant, int steps)
    {
        // Large pages are slow to clear: one world in ten has them, and a shorter life.
        int done = 0;
        for (int seed = invariant * 1000; done < steps; seed++)
        {
            bool large = seed % 10 == 0 || (invariant == 10 && seed % 2 == 0);
            int length = Math.Min(large ? StepsOfAWorld / 4 : StepsOfAWorld, steps - done);
            PropertyRun run = new(new WorldOptions { Seed = (ulong)seed, Mix = WorldMix.Of($"P{invariant}"), Large = large }, length);
            done += length;
            if (run.Failure(out string problem) is not null)
            {
                PropertyRun shrunk = run.Shrink(run.Steps);
                _ = shrunk.Failure(out string shorter);
                Assert.Fail(shorter.Length > 0 ? shorter : problem);
            }
        }
    }
}
