using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>The MC146818 data sheet: registers, formats, interrupts.</summary>
[TestFixture]
public sealed class CmosRtcTests
{
    private const ulong Second = MachineClock.TicksPerSecond;

    private sealed class Rig : IInterruptInput
    {
        public Rig(DateTime? start = null, ulong low = 0, ulong high = 0, int processors = 1)
        {
            Rtc = new CmosRtc(Clock, new InterruptLine(this, 8), start ?? new DateTime(2024, 2, 28, 23, 59, 50), low, high, processors);
            Clock.Attach(Rtc);
        }

        public MachineClock Clock { get; } = new();

        public CmosRtc Rtc { get; }

        public bool Level { get; private set; }

        public void SetLine(int line, bool level) => Level = level;

        public byte this[int register]
        {
            get
            {
                Rtc.WritePort(0, 1, (uint)register);
                return (byte)Rtc.ReadPort(1, 1);
            }

            set
            {
                Rtc.WritePort(0, 1, (uint)register);
                Rtc.WritePort(1, 1, value);
            }
        }

        /// <summary>Century, year, month, day, weekday, hour, minute, second.</summary>
        public string Time => string.Join(' ', new[] { 0x32, 9, 8, 7, 6, 4, 2, 0 }.Select(register => this[register].ToString("x2", null)));
    }

    [TestCase(0ul, "20 24 02 28 04 23 59 50")]
    [TestCase(9ul, "20 24 02 28 04 23 59 59")]
    [TestCase(10ul, "20 24 02 29 05 00 00 00", Description = "a leap year")]
    [TestCase(86_410ul, "20 24 03 01 06 00 00 00")]
    public void TimeGoesOnWithTheClock(ulong seconds, string expected)
    {
        var rig = new Rig();
        rig.Clock.AdvanceTo(seconds * Second);

        Assert.That(rig.Time, Is.EqualTo(expected));
    }

    [TestCase(0x02, 23, "23")]
    [TestCase(0x00, 23, "91", Description = "11 in the afternoon")]
    [TestCase(0x00, 0, "12", Description = "midnight")]
    [TestCase(0x00, 12, "92", Description = "noon")]
    [TestCase(0x06, 23, "17", Description = "binary")]
    [TestCase(0x04, 23, "8b", Description = "binary, 12 hours")]
    public void Hours(int statusB, int hour, string expected)
    {
        var rig = new Rig(new DateTime(2024, 1, 1, hour, 0, 0));
        rig[0x0b] = (byte)statusB;
        string read = rig[4].ToString("x2", null);
        rig[0x0b] = (byte)(statusB | 0x80);
        rig[4] = rig[4];
        rig[0x0b] = (byte)statusB;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.EqualTo(expected));
            Assert.That(rig[4].ToString("x2", null), Is.EqualTo(expected), "the way back");
        }
    }

    [Test]
    public void SetHoldsTheTimeWhileItIsWritten()
    {
        var rig = new Rig();
        rig[0x0b] = 0x82;
        rig[9] = 0x31;
        rig[8] = 0x12;
        rig[7] = 0x31;
        rig.Clock.AdvanceTo(100 * Second);
        string held = rig.Time;
        rig[0x0b] = 0x02;
        rig.Clock.AdvanceTo(110 * Second);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(held, Is.EqualTo("20 31 12 31 04 23 59 50"));
            Assert.That(rig.Time, Is.EqualTo("20 32 01 01 05 00 00 00"));
        }
    }

    [Test]
    public void ARegisterCanBeWrittenWhileTimeRuns()
    {
        var rig = new Rig();
        rig.Clock.AdvanceTo(3 * Second);
        rig[4] = 0x11;
        rig.Clock.AdvanceTo(4 * Second);

        Assert.That(rig.Time, Is.EqualTo("20 24 02 28 04 11 59 54"));
    }

    [Test]
    public void EveryTimeThatAGuestCanWriteIsSomeTime()
    {
        var random = new Random(146818);
        var rig = new Rig();
        for (int i = 0; i < 2_000; i++)
        {
            rig[random.Next(2) == 0 ? 0x32 : random.Next(14)] = (byte)random.Next(256);
            rig.Clock.AdvanceTo(rig.Clock.Now + (ulong)random.NextInt64((long)(5 * 86_400 * Second)));
            Assert.That(() => rig.Time, Throws.Nothing);
        }
    }

    [Test]
    public void StatusRegisters()
    {
        var rig = new Rig();
        byte a = rig[0x0a];
        rig.Clock.AdvanceTo(Second - 244_001);
        byte before = rig[0x0a];
        rig.Clock.AdvanceTo(Second - 244_000);
        byte updating = rig[0x0a];
        rig[0x0b] = 0x82;
        byte whileSet = rig[0x0a];
        rig[0x0d] = 0;
        rig[0x0a] = 0xff;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(a, Is.EqualTo(0x26));
            Assert.That(before, Is.EqualTo(0x26));
            Assert.That(updating, Is.EqualTo(0xa6));
            Assert.That(whileSet, Is.EqualTo(0x26), "no update while SET is set");
            Assert.That(rig[0x0a], Is.EqualTo(0x7f));
            Assert.That(rig[0x0d], Is.EqualTo(0x80));
        }
    }

    [Test]
    public void UpdateEndedInterrupts()
    {
        var rig = new Rig();
        rig[0x0b] = 0x12;
        ulong? deadline = rig.Clock.NextDeadline;
        rig.Clock.AdvanceTo(Second);
        bool raised = rig.Level;
        byte flags = rig[0x0c];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(deadline, Is.EqualTo(Second));
            Assert.That(raised, Is.True);
            Assert.That(flags & 0xb0, Is.EqualTo(0x90));
            Assert.That(rig.Level, Is.False);
            Assert.That(rig[0x0c], Is.Zero);
            Assert.That(rig.Clock.NextDeadline, Is.EqualTo(2 * Second));
        }
    }

    [TestCase(0x00, 0x00, 0x00, 10ul, Description = "at midnight")]
    [TestCase(0x55, 0x59, 0x23, 5ul)]
    [TestCase(0xc0, 0xff, 0xff, 1ul, Description = "each second")]
    [TestCase(0x30, 0xc0, 0xc0, 40ul, Description = "each minute")]
    public void Alarm(int second, int minute, int hour, ulong after)
    {
        var rig = new Rig();
        rig[1] = (byte)second;
        rig[3] = (byte)minute;
        rig[5] = (byte)hour;
        rig[0x0b] = 0x22;
        while (!rig.Level)
        {
            rig.Clock.AdvanceTo(rig.Clock.NextDeadline!.Value);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Clock.Now, Is.EqualTo(after * Second));
            Assert.That(rig[0x0c] & 0xa0, Is.EqualTo(0xa0));
        }
    }

    [Test]
    public void AnAlarmThatALeapOfTimePassedIsNotLost()
    {
        var rig = new Rig();
        rig[1] = 0;
        rig[0x0b] = 0x22;
        rig.Clock.AdvanceTo(3_000_000 * Second);

        Assert.That(rig.Level, Is.True);
    }

    [TestCase(1, 256)]
    [TestCase(2, 128)]
    [TestCase(3, 8192)]
    [TestCase(6, 1024)]
    [TestCase(15, 2)]
    public void PeriodicInterrupts(int rate, int perSecond)
    {
        var rig = new Rig();
        rig[0x0a] = (byte)(0x20 | rate);
        rig[0x0b] = 0x42;
        int count = 0;
        for (; rig.Clock.NextDeadline <= Second; count++)
        {
            rig.Clock.AdvanceTo(rig.Clock.NextDeadline.Value);
            Assert.That((rig.Level, rig[0x0c] & 0xc0), Is.EqualTo((true, 0xc0)));
        }

        Assert.That(count, Is.EqualTo(perSecond));
    }

    [Test]
    public void ARateOfZeroIsNone()
    {
        var rig = new Rig();
        rig[0x0a] = 0x20;
        rig[0x0b] = 0x42;

        Assert.That(rig.Clock.NextDeadline, Is.Null);
    }

    [TestCase(128ul << 20, 0ul, "0280 fc00 fc00 0700 0000 00")]
    [TestCase(8ul << 20, 0ul, "0280 1c00 1c00 0000 0000 00", Description = "7 MiB above the first")]
    [TestCase(3ul << 30, 5ul << 30, "0280 fc00 fc00 bf00 4000 01", Description = "high memory")]
    public void MemorySizes(ulong low, ulong high, string expected)
    {
        var rig = new Rig(low: low, high: high, processors: 4);
        string Word(int at) => (rig[at] | rig[at + 1] << 8).ToString("x4", null);

        using (Assert.EnterMultipleScope())
        {
            Assert.That($"{Word(0x15)} {Word(0x17)} {Word(0x30)} {Word(0x34)} {Word(0x5b)} {rig[0x5d]:x2}", Is.EqualTo(expected));
            Assert.That(rig[0x5f], Is.EqualTo(3));
        }
    }

    [Test]
    public void TheRestIsMemoryAndTheIndexTakesSevenBits()
    {
        var rig = new Rig();
        rig[0x8e] = 0x5a;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig[0x0e], Is.EqualTo(0x5a));
            Assert.That(rig.Rtc.ReadPort(0, 1), Is.EqualTo(0xffu));
        }
    }
}
