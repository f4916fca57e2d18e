using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Whatever a guest of real-address, virtual-8086, protected or compatibility mode does, the host goes on and the machine makes progress.</summary>
[TestFixture]
public sealed class LegacyRandomCodeTests
{
    private const ulong Slice = 4000;
    private const int SlicesPerGuest = 10;

    /// <summary>How long a slice may last: a repeated string instruction moves up to 65,536 elements before it counts.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [TestCase(11ul, 10_000_000ul)]
    [TestCase(12ul, 10_000_000ul)]
    public void NothingStopsTheHost(ulong seed, ulong instructions) => Run(seed, instructions);

    [TestCase(13ul, 50_000_000ul)]
    [TestCase(14ul, 50_000_000ul)]
    [Category("Full")]
    public void MoreOfThem(ulong seed, ulong instructions) => Run(seed, instructions);

    [Test]
    public void OneSeedGivesOneCourse()
    {
        ulong[] first = Digests(15), second = Digests(15);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(second, Is.EqualTo(first));
            Assert.That(first.Distinct().Count(), Is.GreaterThan(first.Length / 2));
        }
    }

    private static ulong[] Digests(ulong seed)
    {
        using HostileLegacyGuest guest = new(seed);
        ulong[] digests = new ulong[50];
        for (int i = 0; i < digests.Length; i++)
        {
            guest.Reset();
            _ = guest.Machine.Run(Slice);
            digests[i] = guest.Digest();
        }

        return digests;
    }

    private static void Run(ulong seed, ulong instructions)
    {
        using HostileLegacyGuest guest = new(seed);
        using Timer watchdog = new(_ => guest.Machine.RequestStop());
        CpuCounters counters = guest.Machine.Cpu.Counters;
        int guarded = 0, confined = 0;
        Dictionary<StopReason, int> ends = [];
        while (counters.Instructions < instructions)
        {
            guest.Reset();
            bool checks = guest.IsConfined && confined++ % 8 == 0;
            if (checks)
            {
                guest.Guard();
                guarded++;
            }

            StopReason reason = StopReason.Limit;
            for (int i = 0; i < SlicesPerGuest && reason == StopReason.Limit; i++)
            {
                watchdog.Change(Patience, Timeout.InfiniteTimeSpan);
                ulong before = counters.Instructions;
                reason = guest.Machine.Run(Slice).Reason;
                Assert.That(reason, Is.Not.EqualTo(StopReason.Requested), "the watchdog had to end it");
                Assert.That(counters.Instructions - before, Is.LessThanOrEqualTo(Slice));
            }

            ends[reason] = ends.GetValueOrDefault(reason) + 1;
            Assert.That(!checks || guest.GuardStands(), $"confined guest {confined}: memory was written that no segment reaches");
        }

        Assert.That(guarded, Is.GreaterThan(1));
        TestContext.Out.WriteLine($"{counters.Instructions} instructions, {counters.Exceptions} exceptions, {guarded} of {confined} confined guests guarded, {string.Join(", ", ends)}");
    }
}
