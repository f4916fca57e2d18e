using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class MachineClockTests
{
    private sealed class Probe(ulong? deadline, string name, List<string> log) : ITimedDevice
    {
        public ulong? NextDeadline { get; private set; } = deadline;

        public void Advance(ulong now)
        {
            log.Add($"{name}@{now}");
            NextDeadline = NextDeadline <= now ? null : NextDeadline;
        }
    }

    [Test]
    public void DevicesAreBroughtToTheTimeInOrder()
    {
        var clock = new MachineClock();
        var log = new List<string>();
        clock.Attach(new Probe(100, "a", log));
        clock.Attach(new Probe(null, "b", log));
        clock.Attach(new Probe(50, "c", log));
        ulong? first = clock.NextDeadline;
        clock.AdvanceTo(50);
        ulong? second = clock.NextDeadline;
        clock.AdvanceTo(1000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.EqualTo(50ul));
            Assert.That(second, Is.EqualTo(100ul));
            Assert.That(log, Is.EqualTo(new[] { "a@50", "b@50", "c@50", "a@1000", "b@1000", "c@1000" }));
            Assert.That(clock.NextDeadline, Is.Null);
            Assert.That(() => clock.AdvanceTo(999), Throws.TypeOf<ArgumentOutOfRangeException>());
        }
    }

    [Test]
    public void DeadlinesBeyondTheHorizonNeverCome()
    {
        var clock = new MachineClock();
        clock.Attach(new Probe(MachineClock.Horizon, "a", []));

        Assert.That(clock.NextDeadline, Is.Null);
    }

    [TestCase(0ul, 3_579_545u, 0ul)]
    [TestCase(279ul, 3_579_545u, 0ul)]
    [TestCase(280ul, 3_579_545u, 1ul)]
    [TestCase(1_000_000_000ul, 1_193_182u, 1_193_182ul)]
    [TestCase(3_600_000_000_000_000ul, 1_193_182u, 4_295_455_200_000ul, Description = "1000 hours, whose product overflows")]
    public void CyclesOfAFrequency(ulong ticks, uint frequency, ulong cycles) =>
        Assert.That(MachineClock.ToCycles(ticks, frequency), Is.EqualTo(cycles));

    [Test]
    public void ACycleIsCompleteAtItsTickAndNotBefore()
    {
        var random = new Random(8254);
        for (int i = 0; i < 10_000; i++)
        {
            uint frequency = (uint)random.Next(1, 10_000_000);
            ulong cycles = (ulong)random.NextInt64(1, 1L << 40);
            ulong tick = MachineClock.FromCycles(cycles, frequency);
            Assert.That(
                (MachineClock.ToCycles(tick, frequency), MachineClock.ToCycles(tick - 1, frequency)), Is.EqualTo((cycles, cycles - 1)), $"{cycles} at {frequency} Hz");
        }
    }
}
