using System.Globalization;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// The 8254 data sheet as scripts: <c>w3 34</c> writes a port, <c>r0 12</c> reads and expects, <c>t 10</c> moves the time to a cycle of the input
/// clock (decimal), <c>edges 2</c> expects that many rises of IRQ 0 so far, <c>out 1</c> and <c>gate 1</c> are counter 2's, through port 0x61.
/// </summary>
[TestFixture]
public sealed class Pit8254Tests
{
    private sealed class Line : IInterruptInput
    {
        private bool level;

        public int Rises { get; private set; }

        public void SetLine(int line, bool level)
        {
            Rises += level && !this.level ? 1 : 0;
            this.level = level;
        }
    }

    [TestCase("w3 30  w0 0a  w0 00  t 9  edges 0  t 10  edges 1  t 70000  edges 1", Description = "one interrupt on terminal count")]
    [TestCase("w3 30  w0 0a  w0 00  t 4  r0 06  r0 00", Description = "counting down")]
    [TestCase("w3 30  w0 0a  w0 00  t 12  r0 fe  r0 ff", Description = "and on beyond zero")]
    [TestCase("w3 30  w0 0a  w0 00  t 10  w0 05  w0 00  t 14  edges 1  t 15  edges 2", Description = "a new count starts again")]
    [TestCase("w3 30  w0 0a  w0 00  t 5  w0 03  t 50  edges 0", Description = "the first byte stops it")]
    public void Mode0(string script) => Run(script);

    [TestCase("w3 34  w0 0a  w0 00  t 9  edges 1  t 10  edges 2  t 20  edges 3", Description = "a period after another; the first rise is OUT going high at the control word")]
    [TestCase("w3 34  w0 0a  w0 00  t 3  r0 07  r0 00  t 9  r0 01  r0 00  t 10  r0 0a  r0 00", Description = "counts from N to 1")]
    [TestCase("w3 34  w0 0a  w0 00  t 1003  edges 2", Description = "missed periods make one interrupt")]
    [TestCase("w3 34  w0 0a  w0 00  t 5  w0 04  w0 00  t 6  r0 04  r0 00  t 10  edges 2  r0 04  r0 00  t 14  edges 3", Description = "a new count waits for the end of the period")]
    [TestCase("w3 34  w0 00  w0 00  t 1  r0 ff  r0 ff", Description = "zero is 65536")]
    [TestCase("w3 34  w0 01  w0 00  t 2  edges 2", Description = "one acts as two")]
    public void Mode2(string script) => Run(script);

    [TestCase("w3 36  w0 0a  w0 00  t 9  edges 1  t 10  edges 2", Description = "IRQ 0 once a period")]
    [TestCase("gate 1  w3 b6  w2 0a  w2 00  out 1  t 4  out 1  t 5  out 0  t 9  out 0  t 10  out 1", Description = "half and half")]
    [TestCase("gate 1  w3 b6  w2 05  w2 00  t 2  out 1  t 3  out 0  t 4  out 0  t 5  out 1", Description = "an odd count is high for longer")]
    [TestCase("gate 1  w3 b6  w2 0a  w2 00  t 1  r2 08  r2 00  t 4  r2 02  r2 00  t 5  r2 0a  r2 00", Description = "counts by two")]
    [TestCase("gate 1  w3 b6  w2 0a  w2 00  t 7  gate 0  out 1  t 100  gate 1  out 1  t 104  out 1  t 105  out 0", Description = "the gate starts it again")]
    [TestCase("gate 1  w3 be  w2 0a  w2 00  t 5  out 0  t 10  out 1", Description = "mode 7 is mode 3")]
    public void Mode3(string script) => Run(script);

    [TestCase("gate 0  w3 b2  w2 0a  w2 00  out 1  t 50  out 1  gate 1  out 0  t 59  out 0  t 60  out 1", Description = "mode 1: the gate triggers")]
    [TestCase("w3 b2  w2 0a  w2 00  gate 1  t 5  gate 0  t 6  gate 1  t 15  out 0  t 16  out 1", Description = "mode 1: and triggers again")]
    [TestCase("w3 b2  w2 0a  w2 00  gate 1  t 5  w2 03  w2 00  t 9  out 0  t 10  out 1", Description = "mode 1: a new count waits for a trigger")]
    [TestCase("gate 1  w3 b8  w2 0a  w2 00  out 1  t 9  out 1  t 10  out 0  t 11  out 1", Description = "mode 4: a strobe")]
    [TestCase("gate 1  w3 b0  w2 0a  w2 00  t 5  gate 0  t 50  out 0  gate 1  t 54  out 0  t 55  out 1", Description = "mode 0: the gate suspends")]
    [TestCase("w3 ba  w2 0a  w2 00  t 20  gate 1  t 29  out 1  t 30  out 0  t 31  out 1", Description = "mode 5: a strobe after a trigger")]
    [TestCase("w3 38  w0 0a  w0 00  t 10  edges 1  t 11  edges 2", Description = "mode 4 at counter 0")]
    public void OtherModes(string script) => Run(script);

    [TestCase("w3 10  w0 0a  t 3  r0 07  r0 07", Description = "low byte only")]
    [TestCase("w3 20  w0 01  t 3  r0 00  r0 00", Description = "high byte only: 0x100 - 3")]
    [TestCase("w3 30  w0 00  w0 01  t 1  w3 00  t 50  r0 ff  r0 00  r0 ce  r0 00", Description = "a latched count holds until it is read")]
    [TestCase("w3 30  w0 00  w0 01  t 1  w3 00  t 50  w3 00  r0 ff  r0 00", Description = "latching again changes nothing")]
    [TestCase("w3 31  w0 00  w0 10  t 1  r0 99  r0 09", Description = "BCD: 1000 - 1")]
    [TestCase("w3 31  w0 00  w0 00  t 1  r0 99  r0 99", Description = "BCD: zero is 10000")]
    [TestCase("w3 34  w3 e2  r0 f4", Description = "read back status: OUT is high from the control word on, no count yet")]
    [TestCase("w3 34  w0 0a  w0 00  w3 e2  r0 b4", Description = "status: OUT high, loaded")]
    [TestCase("w3 34  w0 0a  w0 00  w0 04  w0 00  w3 e2  r0 f4  t 10  w3 e2  r0 b4", Description = "status: null count until the new one is loaded")]
    [TestCase("w3 30  w0 0a  w0 00  t 3  w3 c2  t 5  r0 30  r0 07  r0 00", Description = "read back both: status first, then the latched count")]
    [TestCase("r3 ff", Description = "the control word cannot be read")]
    public void ReadingAndWriting(string script) => Run(script);

    [Test]
    public void TheRefreshBitTogglesAndTheSpeakerBitsAreKept()
    {
        var clock = new MachineClock();
        var port = new SystemControlPortB(new Pit8254(clock, default), clock);
        port.WritePort(0, 1, 0xff);
        uint first = port.ReadPort(0, 1) & 0xdf;
        clock.AdvanceTo(15_085);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.EqualTo(0x0fu));
            Assert.That(port.ReadPort(0, 1) & 0x10, Is.EqualTo(0x10u));
        }
    }

    [Test]
    public void TheClockWakesTheTimerForEachPeriod()
    {
        var clock = new MachineClock();
        var line = new Line();
        var pit = new Pit8254(clock, new InterruptLine(line, 0));
        clock.Attach(pit);
        ulong? before = clock.NextDeadline;
        pit.WritePort(3, 1, 0x34);
        pit.WritePort(0, 1, 0x9c);
        pit.WritePort(0, 1, 0x2e);
        int rises = line.Rises;
        for (int i = 0; i < 100; i++)
        {
            clock.AdvanceTo(clock.NextDeadline!.Value);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.Null);
            Assert.That(line.Rises - rises, Is.EqualTo(100));
            Assert.That(clock.Now, Is.EqualTo(1_000_015_086ul).Within(1ul), "100 periods of 11932 cycles");
        }
    }

    private static void Run(string script)
    {
        var clock = new MachineClock();
        var line = new Line();
        var pit = new Pit8254(clock, new InterruptLine(line, 0));
        var portB = new SystemControlPortB(pit, clock);
        clock.Attach(pit);
        string done = "";
        foreach (string step in script.Split("  "))
        {
            done += step + "  ";
            string[] words = step.Split(' ');
            uint Hex() => uint.Parse(words[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            ulong number = words[1].All(char.IsAsciiDigit) ? ulong.Parse(words[1], CultureInfo.InvariantCulture) : 0;
            switch (words[0])
            {
                case "t":
                    clock.AdvanceTo(MachineClock.FromCycles(number, Pit8254.Frequency));
                    break;
                case "edges":
                    Assert.That(line.Rises, Is.EqualTo((int)number), done);
                    break;
                case "out":
                    Assert.That(portB.ReadPort(0, 1) >> 5 & 1, Is.EqualTo((uint)number), done);
                    break;
                case "gate":
                    portB.WritePort(0, 1, (uint)number);
                    break;
                case ['w', var port]:
                    pit.WritePort(port - '0', 1, Hex());
                    break;
                case ['r', var port]:
                    Assert.That(pit.ReadPort(port - '0', 1), Is.EqualTo(Hex()), done);
                    break;
            }
        }
    }
}
