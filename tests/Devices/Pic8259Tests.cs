using System.Globalization;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// The 8259A data sheet as scripts: <c>m0 20</c> writes port 0 of the master, <c>M0 20</c> reads and expects, <c>s</c> and <c>S</c> are the
/// slave and <c>e</c> and <c>E</c> the trigger ports; <c>+4</c> and <c>-4</c> set lines (hexadecimal); <c>! 24</c> acknowledges and expects the vector;
/// <c>on</c> and <c>off</c> expect the output.
/// </summary>
[TestFixture]
public sealed class Pic8259Tests
{
    private const string Initialize = "m0 11  m1 20  m1 04  m1 01  s0 11  s1 28  s1 02  s1 01  ";

    [TestCase("+1  off", Description = "before initialization")]
    [TestCase("m0 11  m1 20  m1 04  +1  off  m1 01  on  ! 21", Description = "until its end")]
    [TestCase("m0 12  m1 40  +1  on  ! 41", Description = "single, without ICW4")]
    [TestCase("m0 10  m1 40  m1 04  +1  on  ! 41", Description = "without ICW4")]
    [TestCase("m0 13  m1 47  m1 01  +1  ! 41", Description = "the vector's lower bits are the input's")]
    public void Initialization(string script) => Run(script);

    [TestCase("M1 00  m1 a5  M1 a5  S1 00  s1 5a  S1 5a", Description = "OCW1 is the mask")]
    [TestCase("m1 ff  m0 11  m1 20  m1 04  m1 01  M1 00", Description = "ICW1 clears the mask")]
    [TestCase("m1 02  +1  off  M0 02  m1 00  on  ! 21", Description = "a masked request waits")]
    [TestCase("+3  M0 08  m0 0b  M0 00  ! 23  M0 08  m0 0a  M0 00", Description = "OCW3 selects IRR or ISR")]
    public void Registers(string script) => Run(Initialize + script);

    [TestCase("+4  ! 24  off  -4  +4  off  m0 20  on  ! 24", Description = "no second one until EOI")]
    [TestCase("+4  ! 24  +6  off  +3  on  ! 23  m0 20  off  m0 20  on  ! 26", Description = "only a higher one interrupts")]
    [TestCase("+0  +1  ! 20  m0 20  ! 21", Description = "the lowest input goes first")]
    [TestCase("+4  ! 24  +3  ! 23  m0 64  off  m0 63  off  m0 0b  M0 00", Description = "specific EOI")]
    [TestCase("+4  -4  on  ! 24", Description = "an edge stays requested")]
    [TestCase("+4  ! 24  m0 20  off", Description = "a line that stays high is no new edge")]
    public void PriorityAndEoi(string script) => Run(Initialize + script);

    [TestCase("m0 c4  +4  +5  ! 25  m0 20  ! 24", Description = "set priority: 4 is lowest, 5 highest")]
    [TestCase("+3  ! 23  m0 a0  +4  +3  -3  +3  ! 24", Description = "rotate on non-specific EOI")]
    [TestCase("+3  ! 23  m0 e3  +4  -3  +3  ! 24", Description = "rotate on specific EOI")]
    [TestCase("m0 11  m1 20  m1 04  m1 03  m0 80  +3  ! 23  -3  +3  +4  ! 24  ! 23", Description = "rotate in automatic EOI")]
    [TestCase("m0 11  m1 20  m1 04  m1 03  m0 80  m0 00  +3  ! 23  -3  +3  +4  ! 23", Description = "and not any more")]
    public void Rotation(string script) => Run(Initialize + script);

    [TestCase("m0 11  m1 20  m1 04  m1 03  +4  ! 24  m0 0b  M0 00  -4  +4  on", Description = "automatic EOI")]
    [TestCase("+3  ! 23  +5  off  m0 68  m1 08  on  ! 25", Description = "special mask mode lets lower ones through")]
    [TestCase("+3  ! 23  m0 68  m1 08  m0 20  m0 0b  M0 08", Description = "a masked input is not ended by a non-specific EOI there")]
    [TestCase("+3  ! 23  m0 68  m1 08  +5  on  m0 48  off", Description = "reset special mask mode")]
    [TestCase("+3  m0 0c  M0 83  M0 00  m0 0b  M0 08", Description = "a poll takes the request")]
    [TestCase("m0 0c  M0 00", Description = "a poll without a request")]
    public void Modes(string script) => Run(Initialize + script);

    [TestCase("+a  on  ! 2a  off  s0 0b  S0 04  m0 0b  M0 04", Description = "the slave's vector, in service in both")]
    [TestCase("+a  ! 2a  +1  ! 21  m0 20  +8  off  m0 20  s0 20  on  ! 28", Description = "cascaded priority")]
    [TestCase("+a  ! 2a  s0 20  +9  off  m0 20  on  ! 29", Description = "the master ends on its own")]
    [TestCase("m0 11  m1 20  m1 04  m1 11  +a  ! 2a  +8  on  ! 28", Description = "special fully nested mode lets the slave's higher ones in")]
    [TestCase("+a  ! 2a  +8  off", Description = "and without it they wait")]
    [TestCase("s0 11  s1 28  s1 02  s1 03  m0 11  m1 20  m1 04  m1 03  +8  +9  ! 28  ! 29  off", Description = "both end automatically: each is delivered")]
    [TestCase("+2  off", Description = "the cascade input is not a line")]
    [TestCase("+a  m1 04  off  m1 00  on", Description = "masking the cascade masks the slave")]
    public void Cascade(string script) => Run(Initialize + script);

    [TestCase("e0 10  +4  m1 10  -4  m1 00  off  ! 27  m0 0b  M0 00", Description = "IRQ 7 without a request, not in service")]
    [TestCase("e1 04  +a  m1 04  -a  m1 00  ! 27", Description = "a level that went")]
    [TestCase("m1 00  +4  m1 10  ! 27  m1 00  ! 24", Description = "masked between request and acknowledgement")]
    [TestCase("+a  s1 04  ! 27  s1 00  ! 2a", Description = "masked in the slave")]
    public void Spurious(string script) => Run(Initialize + script);

    [TestCase("E0 00  E1 00  e0 ff  E0 f8  e1 ff  E1 de", Description = "IRQ 0, 1, 2, 8 and 13 are always edge triggered")]
    [TestCase("e0 10  +4  ! 24  m0 20  on  ! 24  -4  m0 20  off", Description = "a level interrupts until it is low")]
    [TestCase("+4  ! 24  m0 20  off  e0 10  on", Description = "a line that is high when it becomes level triggered")]
    [TestCase("e0 10  +4  -4  off", Description = "a level that falls is not requested")]
    public void Triggers(string script) => Run(Initialize + script);

    [Test]
    public void ResetForgetsTheInitialization()
    {
        var pic = new Pic8259(default);
        Execute(pic, Initialize + "+4  on");

        pic.Reset();

        Assert.That(pic.Output, Is.False);
    }

    [Test]
    public void TheOutputDrivesTheVirtualWire()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.Lint0, 0x700);
        var pic = new Pic8259(new InterruptLine(rig[0], LocalApic.Lint0));
        Execute(pic, Initialize + "+4");
        bool before = rig[0].HasExternalInterrupt;
        byte vector = pic.AcknowledgeInterrupt();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.True);
            Assert.That(vector, Is.EqualTo(0x24));
            Assert.That(rig[0].HasExternalInterrupt, Is.False);
        }
    }

    private static void Run(string script) => Execute(new Pic8259(default), script);

    private static void Execute(Pic8259 pic, string script)
    {
        string done = "";
        foreach (string step in script.Split("  ", StringSplitOptions.RemoveEmptyEntries))
        {
            done += step + "  ";
            string[] words = step.Split(' ');
            uint value = words.Length == 2 ? Hex(words[1]) : 0;
            IPortDevice ports = char.ToLowerInvariant(step[0]) switch { 'm' => pic.MasterPorts, 's' => pic.SlavePorts, _ => pic.TriggerPorts };
            switch (step[0])
            {
                case '+' or '-':
                    pic.SetLine((int)Hex(step[1..]), step[0] == '+');
                    break;
                case '!':
                    Assert.That(pic.AcknowledgeInterrupt(), Is.EqualTo((byte)value), done);
                    break;
                case 'o':
                    Assert.That(pic.Output, Is.EqualTo(step == "on"), done);
                    break;
                case 'm' or 's' or 'e':
                    ports.WritePort(step[1] - '0', 1, value);
                    break;
                default:
                    Assert.That(ports.ReadPort(step[1] - '0', 1), Is.EqualTo(value), done);
                    break;
            }
        }
    }

    private static uint Hex(string text) => uint.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
