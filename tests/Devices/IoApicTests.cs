using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>The 82093AA data sheet: registers, edge and level, and where messages go.</summary>
[TestFixture]
public sealed class IoApicTests
{
    private const uint Level = 1 << 15, RemoteIrr = 1 << 14, Masked = 1 << 16;

    [TestCase(0x00, 0u)]
    [TestCase(0x01, 0x0017_0020u)]
    [TestCase(0x02, 0u)]
    [TestCase(0x03, 0u, Description = "no such register")]
    [TestCase(0x10, Masked)]
    [TestCase(0x11, 0u)]
    [TestCase(0x3e, Masked)]
    [TestCase(0x3f, 0u)]
    [TestCase(0x40, 0u, Description = "no such register")]
    public void RegistersAfterReset(int register, uint expected) => Assert.That(new ApicRig().ReadIo((byte)register), Is.EqualTo(expected));

    [TestCase(0x00, 0x0f00_0000u)]
    [TestCase(0x01, 0x0017_0020u)]
    [TestCase(0x10, 0x1_afffu, Description = "delivery status and remote IRR are read only")]
    [TestCase(0x11, 0xff00_0000u)]
    [TestCase(0x3f, 0xff00_0000u)]
    public void AllOnesLeaveTheWritableBits(int register, uint expected)
    {
        var rig = new ApicRig();

        rig.WriteIo((byte)register, uint.MaxValue);

        Assert.That(rig.ReadIo((byte)register), Is.EqualTo(expected));
    }

    [Test]
    public void TheArbitrationIdFollowsTheId()
    {
        var rig = new ApicRig();

        rig.WriteIo(0, 0x0500_0000);

        Assert.That(rig.ReadIo(2), Is.EqualTo(0x0500_0000u));
    }

    [Test]
    public void TheSelectorReadsBackAndNarrowAccessesSeeTheLowerBytes()
    {
        var rig = new ApicRig();
        byte[] selector = new byte[4], narrow = new byte[2];
        rig.IoApic.Write(0, [0x01, 0, 0, 0]);
        rig.IoApic.Read(0, selector);
        rig.IoApic.Read(0x10, narrow);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Convert.ToHexString(selector), Is.EqualTo("01000000"));
            Assert.That(Convert.ToHexString(narrow), Is.EqualTo("2000"));
        }
    }

    [Test]
    public void AnEdgeInterruptsOnce()
    {
        var rig = new ApicRig();
        rig.Redirect(14, 0x77);
        rig.IoApic.SetLine(14, true);
        rig.IoApic.SetLine(14, true);
        byte? first = rig.Pending();
        rig[0].AcknowledgeInterrupt();
        rig.Write(ApicRig.Eoi, 0);
        byte? afterEoi = rig.Pending();
        rig.IoApic.SetLine(14, false);
        rig.IoApic.SetLine(14, true);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.EqualTo((byte?)0x77));
            Assert.That(afterEoi, Is.Null);
            Assert.That(rig.Pending(), Is.EqualTo((byte?)0x77));
            Assert.That(rig.Vectors(0, ApicRig.Tmr), Is.Empty);
        }
    }

    [Test]
    public void AnEdgeAtAMaskedInputIsLost()
    {
        var rig = new ApicRig();
        rig.Redirect(14, Masked | 0x77);
        rig.IoApic.SetLine(14, true);
        rig.Redirect(14, 0x77);

        Assert.That(rig.Pending(), Is.Null);
    }

    [Test]
    public void ALevelInterruptsAgainAfterEachEoiUntilTheLineFalls()
    {
        var rig = new ApicRig();
        rig.Redirect(14, Level | 0x77);
        rig.IoApic.SetLine(14, true);
        uint raised = rig.ReadIo(0x10 + 28);
        rig[0].AcknowledgeInterrupt();
        byte? during = rig.Pending();
        rig.Write(ApicRig.Eoi, 0);
        byte? again = rig.Pending();
        rig[0].AcknowledgeInterrupt();
        rig.IoApic.SetLine(14, false);
        rig.Write(ApicRig.Eoi, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(raised, Is.EqualTo(Level | RemoteIrr | 0x77));
            Assert.That(rig.Vectors(0, ApicRig.Tmr), Is.EqualTo(new[] { 0x77 }));
            Assert.That(during, Is.Null);
            Assert.That(again, Is.EqualTo((byte?)0x77));
            Assert.That(rig.Pending(), Is.Null);
            Assert.That(rig.ReadIo(0x10 + 28), Is.EqualTo(Level | 0x77u));
        }
    }

    [Test]
    public void ALevelAtAMaskedInputInterruptsWhenItIsUnmasked()
    {
        var rig = new ApicRig();
        rig.Redirect(14, Masked | Level | 0x77);
        rig.IoApic.SetLine(14, true);
        byte? masked = rig.Pending();
        rig.Redirect(14, Level | 0x77);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(masked, Is.Null);
            Assert.That(rig.Pending(), Is.EqualTo((byte?)0x77));
        }
    }

    [Test]
    public void GoingToEdgeClearsRemoteIrr()
    {
        var rig = new ApicRig();
        rig.Redirect(14, Level | 0x77);
        rig.IoApic.SetLine(14, true);

        rig.Redirect(14, 0x77);

        Assert.That(rig.ReadIo(0x10 + 28), Is.EqualTo(0x77u));
    }

    [Test]
    public void ALevelThatNobodyTookIsNotWaitedFor()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.Svr, 0xff);
        rig.Redirect(14, Level | 0x77);
        rig.IoApic.SetLine(14, true);

        Assert.That(rig.ReadIo(0x10 + 28), Is.EqualTo(Level | 0x77u));
    }

    [Test]
    public void WithBroadcastsSuppressedTheEoiRegisterEnds()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.Svr, 0x11ff);
        rig.Redirect(14, Level | 0x77);
        rig.IoApic.SetLine(14, true);
        rig[0].AcknowledgeInterrupt();
        rig.IoApic.SetLine(14, false);
        rig.Write(ApicRig.Eoi, 0);
        uint waiting = rig.ReadIo(0x10 + 28);
        rig.IoApic.Write(0x40, [0x76, 0, 0, 0]);
        uint other = rig.ReadIo(0x10 + 28);
        rig.IoApic.Write(0x40, [0x77, 0, 0, 0]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(waiting, Is.EqualTo(Level | RemoteIrr | 0x77));
            Assert.That(other, Is.EqualTo(waiting));
            Assert.That(rig.ReadIo(0x10 + 28), Is.EqualTo(Level | 0x77u));
        }
    }

    [TestCase(0x040u, (byte)1, "1:40")]
    [TestCase(0x040u, (byte)0xff, "0:40 1:40")]
    [TestCase(0x840u, (byte)2, "1:40", Description = "logical")]
    [TestCase(0x940u, (byte)3, "0:40", Description = "lowest priority")]
    [TestCase(0x400u, (byte)1, "1:Nmi")]
    [TestCase(0x8400u, (byte)1, "1:Nmi", Description = "is never level triggered")]
    [TestCase(0x200u, (byte)0, "0:Smi")]
    [TestCase(0x500u, (byte)1, "1:Init")]
    [TestCase(0x600u, (byte)1, "", Description = "reserved here")]
    [TestCase(0x300u, (byte)1, "")]
    [TestCase(0x700u, (byte)1, "1:external")]
    public void DeliveryModes(uint entry, byte destination, string expected)
    {
        var rig = new ApicRig(2);
        rig.Write(0, ApicRig.Ldr, 1u << 24);
        rig.Write(1, ApicRig.Ldr, 2u << 24);
        rig.Redirect(5, entry, destination);

        rig.IoApic.SetLine(5, true);
        rig.WriteIo(0x1b, (uint)destination << 24);

        IEnumerable<string> seen = Enumerable.Range(0, 2).SelectMany(i => new[]
        {
            rig.Pending(i) is { } vector ? $"{i}:{vector:x}" : null, rig[i].Requests != 0 ? $"{i}:{rig[i].Requests}" : null,
            rig[i].HasExternalInterrupt ? $"{i}:external" : null,
        }.OfType<string>());
        Assert.That(string.Join(' ', seen), Is.EqualTo(expected));
    }

    [TestCase(-1)]
    [TestCase(24)]
    [TestCase(int.MaxValue)]
    public void UnknownLinesAreIgnored(int line) => Assert.That(() => new ApicRig().IoApic.SetLine(line, true), Throws.Nothing);

    [TestCase(0, 2)]
    [TestCase(1, 1)]
    [TestCase(2, -1)]
    [TestCase(15, 15)]
    [TestCase(23, 23)]
    [TestCase(24, -1)]
    public void TheWiringOfAPcPutsTheTimerAtPinTwo(int line, int pin)
    {
        var rig = new ApicRig();
        for (int input = 0; input < IoApic.Inputs; input++)
        {
            rig.Redirect(input, (uint)(0x40 + input));
        }

        new PcInterruptLines(new Pic8259(default), rig.IoApic)[line].Set(true);

        Assert.That(rig.Pending(), Is.EqualTo(pin < 0 ? null : (byte?)(0x40 + pin)));
    }
}
