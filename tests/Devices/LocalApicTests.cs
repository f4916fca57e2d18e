using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>The local APIC as its processor and its page of registers see it, against chapter 12 of the SDM.</summary>
[TestFixture]
public sealed class LocalApicTests
{
    // SDM 12.4.7.1, and LINT0 of the bootstrap processor as firmware leaves it.
    [TestCase(ApicRig.Id, 0u, 0x0100_0000u)]
    [TestCase(ApicRig.Version, 0x0105_0014u, 0x0105_0014u)]
    [TestCase(ApicRig.Tpr, 0u, 0u)]
    [TestCase(ApicRig.Apr, 0u, 0u)]
    [TestCase(ApicRig.Ppr, 0u, 0u)]
    [TestCase(ApicRig.Ldr, 0u, 0u)]
    [TestCase(ApicRig.Dfr, 0xffff_ffffu, 0xffff_ffffu)]
    [TestCase(ApicRig.Svr, 0xffu, 0xffu)]
    [TestCase(ApicRig.Isr, 0u, 0u)]
    [TestCase(ApicRig.Irr + 0x70, 0u, 0u)]
    [TestCase(ApicRig.Esr, 0u, 0u)]
    [TestCase(ApicRig.IcrLow, 0u, 0u)]
    [TestCase(ApicRig.IcrHigh, 0u, 0u)]
    [TestCase(ApicRig.LvtTimer, 0x1_0000u, 0x1_0000u)]
    [TestCase(ApicRig.LvtThermal, 0x1_0000u, 0x1_0000u)]
    [TestCase(ApicRig.LvtPerformance, 0x1_0000u, 0x1_0000u)]
    [TestCase(ApicRig.Lint0, 0x700u, 0x1_0000u)]
    [TestCase(ApicRig.Lint1, 0x1_0000u, 0x1_0000u)]
    [TestCase(ApicRig.LvtError, 0x1_0000u, 0x1_0000u)]
    [TestCase(ApicRig.InitialCount, 0u, 0u)]
    [TestCase(ApicRig.CurrentCount, 0u, 0u)]
    [TestCase(ApicRig.Divide, 0u, 0u)]
    public void RegistersAfterReset(int register, uint bootstrap, uint other)
    {
        var rig = new ApicRig(2, softwareEnabled: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Read(0, register), Is.EqualTo(bootstrap));
            Assert.That(rig.Read(1, register), Is.EqualTo(other));
        }
    }

    [TestCase(ApicRig.Id, 0u, Description = "read only")]
    [TestCase(ApicRig.Version, 0x0105_0014u, Description = "read only")]
    [TestCase(ApicRig.Tpr, 0xffu)]
    [TestCase(ApicRig.Ldr, 0xff00_0000u)]
    [TestCase(ApicRig.Dfr, 0xffff_ffffu)]
    [TestCase(ApicRig.Svr, 0x13ffu)]
    [TestCase(ApicRig.IcrHigh, 0xff00_0000u)]
    [TestCase(ApicRig.LvtTimer, 0x7_00ffu)]
    [TestCase(ApicRig.LvtThermal, 0x1_07ffu)]
    [TestCase(ApicRig.LvtPerformance, 0x1_07ffu)]
    [TestCase(ApicRig.Lint0, 0x1_a7ffu, Description = "delivery status and remote IRR are read only")]
    [TestCase(ApicRig.Lint1, 0x1_a7ffu)]
    [TestCase(ApicRig.LvtError, 0x1_00ffu)]
    [TestCase(ApicRig.InitialCount, 0xffff_ffffu)]
    [TestCase(ApicRig.Divide, 0xbu)]
    [TestCase(ApicRig.Irr, 0u, Description = "read only")]
    public void AllOnesLeaveTheWritableBits(int register, uint expected)
    {
        var rig = new ApicRig();

        rig.Write(register, uint.MaxValue);

        Assert.That(rig.Read(register), Is.EqualTo(expected));
    }

    [Test]
    public void TheDestinationFormatKeepsItsModelAndReadsOnesBelow()
    {
        var rig = new ApicRig();

        rig.Write(ApicRig.Dfr, 0);

        Assert.That(rig.Read(ApicRig.Dfr), Is.EqualTo(0x0fff_ffffu));
    }

    [TestCase(0x20, 1, "00")]
    [TestCase(0x33, 1, "01", Description = "the top byte of the version")]
    [TestCase(0x31, 2, "0005")]
    [TestCase(0x32, 4, "05010000", Description = "what lies behind the register is zero")]
    [TestCase(0x34, 4, "00000000", Description = "between two registers")]
    public void NarrowAndUnalignedReadsSeeTheBytesOfTheSlot(int offset, int width, string expected)
    {
        byte[] bytes = new byte[width];

        new ApicRig()[0].Read((ulong)offset, bytes);

        Assert.That(Convert.ToHexString(bytes), Is.EqualTo(expected));
    }

    [TestCase(0x80, 1)]
    [TestCase(0x80, 2)]
    [TestCase(0x84, 4)]
    [TestCase(0x82, 4)]
    public void OnlyAlignedWritesOf32BitsCount(int offset, int width)
    {
        var rig = new ApicRig();

        rig[0].Write((ulong)offset, new byte[] { 0x55, 0x55, 0x55, 0x55 }.AsSpan(0, width));

        Assert.That(rig.Read(ApicRig.Tpr), Is.Zero);
    }

    // SDM 12.8.3.1: PPR[7:4] is the larger class; its lower half is TPR's unless the class in service is larger.
    [TestCase(0x00, 0, 0x00)]
    [TestCase(0x35, 0, 0x35)]
    [TestCase(0x00, 0x41, 0x40)]
    [TestCase(0x35, 0x41, 0x40)]
    [TestCase(0x45, 0x41, 0x45)]
    [TestCase(0x55, 0x41, 0x55)]
    [TestCase(0xff, 0x41, 0xff)]
    public void ProcessorPriority(int task, int inService, int expected)
    {
        var rig = new ApicRig();
        if (inService != 0)
        {
            rig.Fixed((byte)inService);
            rig[0].AcknowledgeInterrupt();
        }

        rig.Write(ApicRig.Tpr, (uint)task);

        Assert.That(rig.Read(ApicRig.Ppr), Is.EqualTo((uint)expected));
    }

    [TestCase(0x35, 0x21, 0, 0x35u, Description = "the task's priority is the largest")]
    [TestCase(0x35, 0x31, 0, 0x35u, Description = "as large as the request's")]
    [TestCase(0x35, 0x41, 0, 0x40u, Description = "the request's")]
    [TestCase(0x35, 0x21, 0x61, 0x60u, Description = "that in service")]
    [TestCase(0x65, 0x21, 0x61, 0x60u, Description = "no larger than that in service")]
    public void ArbitrationPriority(int task, int requested, int inService, uint expected)
    {
        var rig = new ApicRig();
        if (inService != 0)
        {
            rig.Fixed((byte)inService);
            rig[0].AcknowledgeInterrupt();
        }

        rig.Fixed((byte)requested);
        rig.Write(ApicRig.Tpr, (uint)task);

        Assert.That(rig.Read(ApicRig.Apr), Is.EqualTo(expected));
    }

    [TestCase(0x00, 0x10, true)]
    [TestCase(0x0f, 0x10, true)]
    [TestCase(0x10, 0x1f, false, Description = "the class counts, not the vector")]
    [TestCase(0x1f, 0x20, true)]
    [TestCase(0xf0, 0xff, false)]
    public void AnInterruptWaitsForThePriorityOfItsClass(int task, int vector, bool deliverable)
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.Tpr, (uint)task);

        rig.Fixed((byte)vector);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Pending(), Is.EqualTo(deliverable ? (byte?)vector : null));
            Assert.That(rig.Vectors(0, ApicRig.Irr), Is.EqualTo(new[] { vector }));
        }
    }

    [Test]
    public void NestedInterruptsAreServedByClassAndEndedInReverse()
    {
        var rig = new ApicRig();
        rig.Fixed(0x31);
        rig.Fixed(0x32);
        rig.Fixed(0x51);
        var log = new List<string>();

        Take();
        rig.Fixed(0x61);
        Take();
        Take();
        End();
        End();
        Take();
        End();
        Take();
        End();
        Take();

        Assert.That(log, Is.EqualTo(new[] { "51", "61", "-", "eoi ppr=50", "eoi ppr=00", "32", "eoi ppr=00", "31", "eoi ppr=00", "-" }));

        void Take()
        {
            byte? pending = rig.Pending();
            log.Add(pending is null ? "-" : rig[0].AcknowledgeInterrupt().ToString("x2", null));
        }

        void End()
        {
            rig.Write(ApicRig.Eoi, 0);
            log.Add($"eoi ppr={rig.Read(ApicRig.Ppr):x2}");
        }
    }

    [Test]
    public void AnInterruptOfTheServedVectorWaitsInIrr()
    {
        var rig = new ApicRig();
        rig.Fixed(0x40);
        rig[0].AcknowledgeInterrupt();
        rig.Fixed(0x40);
        rig.Fixed(0x40);
        byte? during = rig.Pending();
        rig.Write(ApicRig.Eoi, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(during, Is.Null);
            Assert.That(rig.Pending(), Is.EqualTo((byte?)0x40));
            Assert.That(rig[0].AcknowledgeInterrupt(), Is.EqualTo(0x40));
            Assert.That(rig.Pending(), Is.Null);
        }
    }

    [Test]
    public void AnInterruptThatIsGoneAtItsAcknowledgementIsSpurious()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.Svr, 0x1e7);
        rig.Fixed(0x40);
        rig.Write(ApicRig.Tpr, 0x40);

        byte vector = rig[0].AcknowledgeInterrupt();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vector, Is.EqualTo(0xe7));
            Assert.That(rig.Vectors(0, ApicRig.Isr), Is.Empty);
            Assert.That(rig.Vectors(0, ApicRig.Irr), Is.EqualTo(new[] { 0x40 }));
        }
    }

    [Test]
    public void Cr8IsTheClassOfTheTaskPriority()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.Tpr, 0x5a);
        byte read = rig[0].TaskPriorityClass;
        rig[0].TaskPriorityClass = 0xc;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.EqualTo(5));
            Assert.That(rig.Read(ApicRig.Tpr), Is.EqualTo(0xc0u));
        }
    }

    [Test]
    public void SoftwareDisableMasksTheTableAndRefusesInterruptsButKeepsThoseHeld()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtTimer, 0x30);
        rig.Fixed(0x50);
        rig.Write(ApicRig.Svr, 0xff);
        rig.Write(ApicRig.LvtError, 0x31);
        rig.Fixed(0x60);
        rig.Bus.Send(new InterruptMessage(0, DeliveryMode.Nmi, 0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Read(ApicRig.LvtTimer), Is.EqualTo(0x1_0030u));
            Assert.That(rig.Read(ApicRig.LvtError), Is.EqualTo(0x1_0031u));
            Assert.That(rig.Vectors(0, ApicRig.Irr), Is.EqualTo(new[] { 0x50 }));
            Assert.That(rig[0].Requests, Is.EqualTo(ApicRequests.Nmi));
        }
    }

    [TestCase(0x000)]
    [TestCase(0x040)]
    [TestCase(0x0c0)]
    [TestCase(0x2f0)]
    [TestCase(0x3a0)]
    [TestCase(0x3f0)]
    [TestCase(0xff0)]
    public void AnUnknownRegisterIsAnErrorThatAWriteToEsrShows(int offset)
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtError, 0xe0);
        uint read = rig.Read(offset);
        uint before = rig.Read(ApicRig.Esr);
        byte? interrupt = rig.Pending();
        rig.Write(ApicRig.Esr, 0);
        uint after = rig.Read(ApicRig.Esr);
        rig.Write(ApicRig.Esr, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.Zero);
            Assert.That(before, Is.Zero);
            Assert.That(interrupt, Is.EqualTo((byte?)0xe0));
            Assert.That(after, Is.EqualTo(0x80u));
            Assert.That(rig.Read(ApicRig.Esr), Is.Zero);
        }
    }

    [TestCase(0x0000_000fu, 0x20u, Description = "an IPI with vector 15: send illegal vector")]
    [TestCase(0x0004_010fu, 0x20u, Description = "lowest priority to itself")]
    [TestCase(0x0000_0010u, 0u)]
    [TestCase(0x0004_0600u, 0u, Description = "a start-up page may be 0")]
    public void ACommandWithAnIllegalVectorIsNotSent(uint command, uint error)
    {
        var rig = new ApicRig();

        rig.Write(ApicRig.IcrLow, command);
        rig.Write(ApicRig.Esr, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Read(ApicRig.Esr), Is.EqualTo(error));
            Assert.That(rig.Vectors(0, ApicRig.Irr).Where(vector => vector < 16), Is.Empty);
        }
    }

    [Test]
    public void AReceivedIllegalVectorIsAnErrorAlsoThatOfTheErrorEntryItself()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtError, 0x05);

        bool taken = rig.Bus.Send(new InterruptMessage(0, DeliveryMode.Fixed, 15));
        rig.Write(ApicRig.Esr, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken, Is.False);
            Assert.That(rig.Read(ApicRig.Esr), Is.EqualTo(0x40u));
            Assert.That(rig.Vectors(0, ApicRig.Irr), Is.Empty);
        }
    }

    [TestCase(ApicRig.Lint0, LocalApic.Lint0, 0x45u, "fixed edge: 45 once")]
    [TestCase(ApicRig.Lint1, LocalApic.Lint1, 0x400u, "nmi")]
    [TestCase(ApicRig.Lint1, LocalApic.Lint1, 0x200u, "smi")]
    [TestCase(ApicRig.Lint0, LocalApic.Lint0, 0x500u, "init")]
    [TestCase(ApicRig.Lint0, LocalApic.Lint0, 0x700u, "external")]
    [TestCase(ApicRig.Lint0, LocalApic.Lint0, 0x1_0045u, "masked")]
    [TestCase(ApicRig.Lint0, LocalApic.Lint0, 0x1_0700u, "masked")]
    public void LocalPins(int register, int pin, uint entry, string expected)
    {
        var rig = new ApicRig();
        rig.Write(register, entry);

        rig[0].SetLine(pin, true);
        rig[0].SetLine(pin, true);

        string seen = rig[0].Requests switch
        {
            ApicRequests.Nmi => "nmi",
            ApicRequests.Smi => "smi",
            ApicRequests.Init => "init",
            _ => rig[0].HasExternalInterrupt ? "external" : rig.Pending() is { } vector ? $"fixed edge: {vector:x} once" : "masked",
        };
        rig[0].SetLine(pin, false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen, Is.EqualTo(expected));
            Assert.That(rig[0].HasExternalInterrupt, Is.False);
        }
    }

    [Test]
    public void ALevelTriggeredPinInterruptsUntilItIsLow()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.Lint0, 0x8045);
        rig[0].SetLine(LocalApic.Lint0, true);
        uint raised = rig.Read(ApicRig.Lint0);
        rig[0].AcknowledgeInterrupt();
        byte? during = rig.Pending();
        rig.Write(ApicRig.Eoi, 0);
        byte? again = rig.Pending();
        rig[0].AcknowledgeInterrupt();
        rig[0].SetLine(LocalApic.Lint0, false);
        rig.Write(ApicRig.Eoi, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(raised, Is.EqualTo(0xc045u), "remote IRR");
            Assert.That(during, Is.Null);
            Assert.That(again, Is.EqualTo((byte?)0x45));
            Assert.That(rig.Pending(), Is.Null);
            Assert.That(rig.Read(ApicRig.Lint0), Is.EqualTo(0x8045u));
        }
    }

    [Test]
    public void UnmaskingALevelTriggeredPinThatIsHighInterrupts()
    {
        var rig = new ApicRig();
        rig[0].SetLine(LocalApic.Lint0, true);

        rig.Write(ApicRig.Lint0, 0x8045);

        Assert.That(rig.Pending(), Is.EqualTo((byte?)0x45));
    }

    [Test]
    public void WithoutTheApicThePinsAreIntrAndNmi()
    {
        var rig = new ApicRig();
        rig.Wrmsr(LocalApic.ApicBaseMsr, 0xfee0_0000);

        rig[0].SetLine(LocalApic.Lint0, true);
        rig[0].SetLine(LocalApic.Lint1, true);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig[0].HasExternalInterrupt, Is.True);
            Assert.That(rig[0].Requests, Is.EqualTo(ApicRequests.Nmi));
        }
    }

    [Test]
    public void AnExternalInterruptMessageStaysUntilItIsTaken()
    {
        var rig = new ApicRig();
        rig.Bus.Send(new InterruptMessage(0, DeliveryMode.ExtInt, 0));
        bool before = rig[0].HasExternalInterrupt;
        rig[0].AcknowledgeExternal();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.True);
            Assert.That(rig[0].HasExternalInterrupt, Is.False);
        }
    }

    [Test]
    public void APerformanceOverflowMasksItsEntry()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtPerformance, 0x400);

        rig[0].PerformanceOverflow();
        rig[0].PerformanceOverflow();
        rig[0].Take(ApicRequests.Nmi);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig[0].Requests, Is.EqualTo(ApicRequests.None));
            Assert.That(rig.Read(ApicRig.LvtPerformance), Is.EqualTo(0x1_0400u));
        }
    }

    [TestCase(false, 1, 1)]
    [TestCase(false, 5, 2, Description = "one on its way, one behind it")]
    [TestCase(true, 5, 1, Description = "in the handler only one is kept")]
    public void NmisAreKeptAsAProcessorKeepsThem(bool blocked, int sent, int kept)
    {
        var rig = new ApicRig();
        rig[0].NmiBlocked = blocked;
        for (int i = 0; i < sent; i++)
        {
            rig.Bus.Send(new InterruptMessage(0, DeliveryMode.Nmi, 0));
        }

        int taken = 0;
        for (; rig[0].Requests == ApicRequests.Nmi; taken++)
        {
            rig[0].Take(ApicRequests.Nmi);
        }

        Assert.That(taken, Is.EqualTo(kept));
    }

    [Test]
    public void InitForgetsAnEarlierStartupRequestAndResetsAllButTheMode()
    {
        var rig = new ApicRig(2);
        rig.EnterX2(1);
        rig.Bus.Send(new InterruptMessage(1, DeliveryMode.Startup, 8));
        rig.Bus.Send(new InterruptMessage(1, DeliveryMode.Init, 0));
        ApicRequests afterInit = rig[1].Requests;
        rig[1].Take(ApicRequests.Init);
        rig[1].ResetForInit();
        rig.Bus.Send(new InterruptMessage(1, DeliveryMode.Startup, 9));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(afterInit, Is.EqualTo(ApicRequests.Init));
            Assert.That(rig[1].Requests, Is.EqualTo(ApicRequests.Startup));
            Assert.That(rig[1].StartupVector, Is.EqualTo(9));
            Assert.That(rig[1].IsX2Apic, Is.True);
            Assert.That(rig.Rdmsr(0x80f, 1), Is.EqualTo(0xfful));
        }
    }

    [Test]
    public void ThePageShowsTheSelectedProcessor()
    {
        var rig = new ApicRig(3);
        var page = new LocalApicPage(rig.Bus) { Current = 2 };
        byte[] id = new byte[4];

        page.Read(ApicRig.Id, id);
        page.Write(ApicRig.Tpr, [0x77, 0, 0, 0]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(id[3], Is.EqualTo(2));
            Assert.That(rig.Read(2, ApicRig.Tpr), Is.EqualTo(0x77u));
            Assert.That(rig.Read(0, ApicRig.Tpr), Is.Zero);
            Assert.That(() => page.Current = 3, Throws.TypeOf<ArgumentOutOfRangeException>());
        }
    }

    [Test]
    public void LocalApicsComeInOrder() =>
        Assert.That(() => new LocalApic(1, new ApicBus(), new MachineClock(), 40), Throws.ArgumentException);

    [Test]
    public void TheProcessorIsToldOfWhatMayBeNew()
    {
        var rig = new ApicRig();
        int told = 0;
        rig[0].Changed = () => told++;
        var counts = new List<int>();

        foreach (Action action in new Action[]
        {
            () => rig.Fixed(0x40), () => rig.Bus.Send(new InterruptMessage(0, DeliveryMode.Nmi, 0)), () => rig.Write(ApicRig.Tpr, 0),
            () => rig[0].TaskPriorityClass = 0, () => rig.Write(ApicRig.Eoi, 0), () => rig[0].SetLine(LocalApic.Lint0, true),
        })
        {
            told = 0;
            rig[0].AcknowledgeInterrupt();
            action();
            counts.Add(told);
        }

        Assert.That(counts, Has.All.GreaterThan(0));
    }
}
