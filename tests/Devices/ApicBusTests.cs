using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Who gets an interprocessor interrupt (SDM Vol. 3A, 12.6), among four processors.</summary>
[TestFixture]
public sealed class ApicBusTests
{
    private const int Processors = 4;
    private const string Everyone = "0 1 2 3", Nobody = "";

    [TestCase(0u, 0x0_4040u, "1", Description = "self")]
    [TestCase(0u, 0x8_4040u, Everyone, Description = "all including self")]
    [TestCase(0u, 0xc_4040u, "0 2 3", Description = "all excluding self")]
    [TestCase(2u, 0x0_4040u, "2", Description = "physical")]
    [TestCase(9u, 0x0_4040u, Nobody)]
    [TestCase(0xffu, 0x0_4040u, Everyone, Description = "broadcast")]
    [TestCase(0xffu, 0x0_4840u, Everyone, Description = "logical broadcast")]
    [TestCase(0x01u, 0x0_4840u, "0", Description = "logical, flat")]
    [TestCase(0x0au, 0x0_4840u, "1 3")]
    [TestCase(0x30u, 0x0_4840u, Nobody)]
    [TestCase(0x0eu, 0x0_4940u, "1", Description = "lowest priority, all equal")]
    [TestCase(0xffu, 0x0_4940u, "0")]
    public void XapicDestinations(uint destination, uint command, string expected)
    {
        var rig = new ApicRig(Processors);
        for (int i = 0; i < Processors; i++)
        {
            rig.Write(i, ApicRig.Ldr, 0x0100_0000u << i);
        }

        uint shorthand = destination == 0 && (command & 0xf_ff00) == 0x4000 ? 1u << 18 : 0;
        rig.Write(1, ApicRig.IcrHigh, destination << 24);
        rig.Write(1, ApicRig.IcrLow, command | shorthand);

        Assert.That(Receivers(rig), Is.EqualTo(expected));
    }

    [TestCase(0x01u, "0", Description = "cluster 0, member 0")]
    [TestCase(0x03u, "0 1")]
    [TestCase(0x11u, "2", Description = "cluster 1")]
    [TestCase(0x13u, "2 3")]
    [TestCase(0x21u, "", Description = "no such cluster")]
    [TestCase(0xf1u, "0 2", Description = "all clusters")]
    [TestCase(0xffu, Everyone)]
    public void ClusterModel(uint destination, string expected)
    {
        var rig = new ApicRig(Processors);
        for (int i = 0; i < Processors; i++)
        {
            rig.Write(i, ApicRig.Dfr, 0x0fff_ffff);
            rig.Write(i, ApicRig.Ldr, (uint)(i / 2 << 4 | 1 << i % 2) << 24);
        }

        rig.Write(ApicRig.IcrHigh, destination << 24);
        rig.Write(ApicRig.IcrLow, 0x4840);

        Assert.That(Receivers(rig), Is.EqualTo(expected));
    }

    [TestCase(0x0000_0002u, false, "2")]
    [TestCase(0x0000_00ffu, false, Nobody, Description = "an ID of 32 bits")]
    [TestCase(0xffff_ffffu, false, Everyone)]
    [TestCase(0x0000_0006u, true, "1 2")]
    [TestCase(0x0001_0006u, true, Nobody, Description = "another cluster")]
    [TestCase(0xffff_ffffu, true, Everyone)]
    public void X2ApicDestinations(uint destination, bool logical, string expected)
    {
        var rig = new ApicRig(Processors);
        for (int i = 0; i < Processors; i++)
        {
            rig.EnterX2(i);
        }

        rig.Wrmsr(0x830, (ulong)destination << 32 | (logical ? 0x800u : 0) | 0x40);

        string receivers = string.Join(' ', Enumerable.Range(0, Processors).Where(i => rig.Pending(i) == 0x40));
        Assert.That(receivers, Is.EqualTo(expected));
    }

    [Test]
    public void TheLowestPriorityIsThatOfTheLeastBusyEnabledProcessor()
    {
        var rig = new ApicRig(Processors);
        rig.Write(0, ApicRig.Tpr, 0x50);
        rig.Write(1, ApicRig.Tpr, 0x30);
        rig.Write(2, ApicRig.Svr, 0xff);
        rig.Write(3, ApicRig.Tpr, 0x40);

        rig.Bus.Send(new InterruptMessage(0xff, DeliveryMode.LowestPriority, 0x40));

        Assert.That(Receivers(rig), Is.EqualTo("1"));
    }

    [TestCase(0xc_4400u, ApicRequests.Nmi)]
    [TestCase(0xc_4200u, ApicRequests.Smi)]
    [TestCase(0xc_4500u, ApicRequests.Init)]
    [TestCase(0xc_4608u, ApicRequests.Startup)]
    [TestCase(0xc_8500u, ApicRequests.None, Description = "INIT level de-assert")]
    [TestCase(0xc_c500u, ApicRequests.Init, Description = "INIT level assert")]
    [TestCase(0xc_4300u, ApicRequests.None, Description = "reserved")]
    [TestCase(0xc_4700u, ApicRequests.None, Description = "ExtINT is not for commands")]
    public void Requests(uint command, ApicRequests expected)
    {
        var rig = new ApicRig(Processors);

        rig.Write(1, ApicRig.IcrLow, command);

        Assert.That(
            rig.Bus.LocalApics.Select(apic => apic.Requests),
            Is.EqualTo(new[] { expected, ApicRequests.None, expected, expected }));
    }

    [Test]
    public void TheWayProcessorsAreStartedLeavesBothRequests()
    {
        var rig = new ApicRig(2);

        rig.Write(ApicRig.IcrLow, 0xc_4500);
        rig.Write(ApicRig.IcrLow, 0xc_4600 | 0x9a);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig[1].Requests, Is.EqualTo(ApicRequests.Init | ApicRequests.Startup));
            Assert.That(rig[1].StartupVector, Is.EqualTo(0x9a));
        }
    }

    [Test]
    public void AnXapicSendsToTheX2ApicsItCanName()
    {
        var rig = new ApicRig(2);
        rig.EnterX2(1);

        rig.Write(ApicRig.IcrHigh, 1u << 24);
        rig.Write(ApicRig.IcrLow, 0x4040);

        Assert.That(rig.Pending(1), Is.EqualTo((byte?)0x40));
    }

    [Test]
    public void ADisabledApicGetsNothing()
    {
        var rig = new ApicRig();
        rig.Wrmsr(LocalApic.ApicBaseMsr, 0xfee0_0000);

        bool taken = rig.Bus.Send(new InterruptMessage(0, DeliveryMode.Nmi, 0)) | rig.Bus.Send(new InterruptMessage(0xff, DeliveryMode.Init, 0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken, Is.False);
            Assert.That(rig[0].Requests, Is.EqualTo(ApicRequests.None));
        }
    }

    private static string Receivers(ApicRig rig) =>
        string.Join(' ', Enumerable.Range(0, Processors).Where(i => rig.Vectors(i, ApicRig.Irr).Contains(0x40)));
}
