using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>The local APIC's timer (SDM Vol. 3A, 12.5.4); its bus clock ticks with the machine's.</summary>
[TestFixture]
public sealed class ApicTimerTests
{
    private const uint Vector = 0xee, Periodic = 1 << 17, TscDeadline = 2 << 17, Masked = 1 << 16;
    private const uint DeadlineMsr = 0x6e0;

    [TestCase(0x0u, 2u)]
    [TestCase(0x1u, 4u)]
    [TestCase(0x2u, 8u)]
    [TestCase(0x3u, 16u)]
    [TestCase(0x8u, 32u)]
    [TestCase(0x9u, 64u)]
    [TestCase(0xau, 128u)]
    [TestCase(0xbu, 1u)]
    public void TheDivideConfiguration(uint configuration, uint divider)
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtTimer, Vector);
        rig.Write(ApicRig.Divide, configuration);
        rig.Write(ApicRig.InitialCount, 100);
        rig.Clock.AdvanceTo(10 * divider);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Read(ApicRig.CurrentCount), Is.EqualTo(90u));
            Assert.That(rig.Clock.NextDeadline, Is.EqualTo(100UL * divider));
        }
    }

    [Test]
    public void OneShot()
    {
        var rig = Start(Vector, 1000);
        rig.Clock.AdvanceTo(999);
        (byte?, uint) before = (rig.Pending(), rig.Read(ApicRig.CurrentCount));
        rig.Clock.AdvanceTo(1000);
        (byte?, uint) at = (rig.Pending(), rig.Read(ApicRig.CurrentCount));
        Serve(rig);
        rig.Clock.AdvanceTo(100_000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.EqualTo(((byte?)null, 1u)));
            Assert.That(at, Is.EqualTo(((byte?)0xee, 0u)));
            Assert.That(rig.Pending(), Is.Null);
            Assert.That(rig.Read(ApicRig.InitialCount), Is.EqualTo(1000u));
            Assert.That(rig.Clock.NextDeadline, Is.Null);
        }
    }

    [Test]
    public void PeriodicReloadsAndServesMissedPeriodsTogether()
    {
        var rig = Start(Periodic | Vector, 1000);
        rig.Clock.AdvanceTo(1000);
        byte? first = rig.Pending();
        Serve(rig);
        rig.Clock.AdvanceTo(5250);
        byte? second = rig.Pending();
        Serve(rig);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.EqualTo((byte?)0xee));
            Assert.That(second, Is.EqualTo((byte?)0xee));
            Assert.That(rig.Pending(), Is.Null);
            Assert.That(rig.Read(ApicRig.CurrentCount), Is.EqualTo(750u));
            Assert.That(rig.Clock.NextDeadline, Is.EqualTo(6000ul));
        }
    }

    [Test]
    public void AMaskedTimerCountsWithoutInterruptingAndAsksForNoDeadline()
    {
        var rig = Start(Masked | Periodic | Vector, 1000);
        ulong? deadline = rig.Clock.NextDeadline;
        rig.Clock.AdvanceTo(2300);
        uint count = rig.Read(ApicRig.CurrentCount);
        rig.Write(ApicRig.LvtTimer, Periodic | Vector);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(deadline, Is.Null);
            Assert.That(count, Is.EqualTo(700u));
            Assert.That(rig.Pending(), Is.Null);
            Assert.That(rig.Clock.NextDeadline, Is.EqualTo(3000ul));
        }
    }

    [Test]
    public void ChangingBetweenOneShotAndPeriodicLetsTheCountRunOn()
    {
        var rig = Start(Vector, 1000);
        rig.Clock.AdvanceTo(600);
        rig.Write(ApicRig.LvtTimer, Periodic | Vector);
        uint kept = rig.Read(ApicRig.CurrentCount);
        rig.Clock.AdvanceTo(1100);
        uint reloaded = rig.Read(ApicRig.CurrentCount);
        rig.Write(ApicRig.LvtTimer, Vector);
        rig.Clock.AdvanceTo(2000);
        uint expired = rig.Read(ApicRig.CurrentCount);
        rig.Write(ApicRig.LvtTimer, Periodic | Vector);
        rig.Clock.AdvanceTo(2500);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(kept, Is.EqualTo(400u));
            Assert.That(reloaded, Is.EqualTo(900u));
            Assert.That(expired, Is.Zero);
            Assert.That(rig.Read(ApicRig.CurrentCount), Is.Zero, "an expired timer stays so");
            Assert.That(rig.Read(ApicRig.InitialCount), Is.EqualTo(1000u));
        }
    }

    [Test]
    public void ANewDividerTakesEffectFromTheCurrentCount()
    {
        var rig = Start(Vector, 1000);
        rig.Clock.AdvanceTo(400);
        rig.Write(ApicRig.Divide, 0);

        Assert.That(rig.Clock.NextDeadline, Is.EqualTo(400 + 600 * 2ul));
    }

    [Test]
    public void AnInitialCountOfZeroStops()
    {
        var rig = Start(Periodic | Vector, 1000);
        rig.Write(ApicRig.InitialCount, 0);

        Assert.That(rig.Clock.NextDeadline, Is.Null);
    }

    [Test]
    public void ATscDeadlineInterruptsOnceAndReadsZeroAfterThat()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtTimer, TscDeadline | Vector);
        rig.Write(ApicRig.InitialCount, 77);
        rig.Wrmsr(DeadlineMsr, 500);
        ulong? armed = rig.Rdmsr(DeadlineMsr);
        rig.Clock.AdvanceTo(499);
        byte? before = rig.Pending();
        rig.Clock.AdvanceTo(500);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(armed, Is.EqualTo(500ul));
            Assert.That(before, Is.Null);
            Assert.That(rig.Pending(), Is.EqualTo((byte?)0xee));
            Assert.That(rig.Rdmsr(DeadlineMsr), Is.Zero);
            Assert.That(rig.Read(ApicRig.InitialCount), Is.Zero, "the counting registers do nothing in this mode");
            Assert.That(rig.Read(ApicRig.CurrentCount), Is.Zero);
            Assert.That(rig.Clock.NextDeadline, Is.Null);
        }
    }

    [TestCase(0ul, 1000ul, false, null, Description = "zero disarms")]
    [TestCase(1ul, 1000ul, true, null, Description = "a deadline in the past")]
    [TestCase(1500ul, 0ul, false, 1500ul)]
    [TestCase(1500ul, 1000ul, true, null, Description = "the counter is 1000 ahead")]
    [TestCase(2100ul, 1000ul, false, 1100ul)]
    [TestCase(2100ul, ulong.MaxValue, false, 2101ul, Description = "the counter is 1 behind")]
    [TestCase(ulong.MaxValue, 0ul, false, null, Description = "beyond the horizon")]
    public void TscDeadlinesAreMeantOnTheGuestsCounter(ulong deadline, ulong offset, bool pending, ulong? due)
    {
        var rig = new ApicRig();
        rig.Clock.AdvanceTo(600);
        rig.Write(ApicRig.LvtTimer, TscDeadline | Vector);
        rig[0].TscOffset = offset;

        rig.Wrmsr(DeadlineMsr, deadline);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Pending(), Is.EqualTo(pending ? (byte?)0xee : null));
            Assert.That(rig.Clock.NextDeadline, Is.EqualTo(due));
        }
    }

    [Test]
    public void LeavingTscDeadlineModeDisarmsAndOtherModesIgnoreTheDeadline()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtTimer, TscDeadline | Vector);
        rig.Wrmsr(DeadlineMsr, 500);
        rig.Write(ApicRig.LvtTimer, Vector);
        rig.Wrmsr(DeadlineMsr, 600);
        rig.Clock.AdvanceTo(1000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Rdmsr(DeadlineMsr), Is.Zero);
            Assert.That(rig.Pending(), Is.Null);
        }
    }

    [Test]
    public void ATimerOfPeriodOneCostsAsMuchAsAnyOtherWhenTimeLeaps()
    {
        var rig = Start(Periodic | Vector, 1);

        rig.Clock.AdvanceTo(MachineClock.Horizon - 1);

        Assert.That(rig.Clock.NextDeadline, Is.Null);
    }

    private static ApicRig Start(uint entry, uint count)
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtTimer, entry);
        rig.Write(ApicRig.Divide, 0xb);
        rig.Write(ApicRig.InitialCount, count);
        return rig;
    }

    private static void Serve(ApicRig rig)
    {
        rig[0].AcknowledgeInterrupt();
        rig.Write(ApicRig.Eoi, 0);
    }
}
