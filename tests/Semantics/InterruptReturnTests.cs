using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>IRET, IRETD and IRETQ against their operation section (SDM Vol. 2A, "IRET", IA-32e-MODE-RETURN).</summary>
[TestFixture]
internal sealed class InterruptReturnTests
{
    private const ushort Free = TestMachine.FreeSelector;
    private const ushort FreeStack = TestMachine.FreeSelector + 8;
    private const int Arrives = (int)ExceptionVector.InvalidOpcode;
    private const int NP = (int)ExceptionVector.SegmentNotPresent;
    private const int SS = (int)ExceptionVector.StackFault;
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const int L = SegmentDescriptors.Code64;
    private const int LD = SegmentDescriptors.Code64AndDefault32;
    private const ulong KernelTarget = 0x5000;
    private const ulong LowStack = 0x8000;
    private const ulong UserTarget = TestMachine.UserCode + 0x800;
    private const ulong AllFlags = Rflags.Status | Rflags.DF | Rflags.IF | Rflags.Iopl | Rflags.AC | Rflags.ID;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine()
    {
        machine = new TestMachine();
        machine.Place(KernelTarget, c => c.ud2());
        machine.Place(UserTarget, c => c.ud2());
    }

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    [TestCase(2)]
    [TestCase(4)]
    [TestCase(8)]
    public void FiveWordsArePoppedInTheSameRing(int size)
    {
        Return(size, new ExceptionFrameWords(null, KernelTarget, TestMachine.KernelCs, Rflags.Fixed | Rflags.CF, LowStack, TestMachine.KernelSs), cpl: 0);

        Assert.That(machine.Handled, Is.EqualTo(Arrives));
        Assert.That(machine.Frame(hasErrorCode: false), Is.EqualTo(new ExceptionFrameWords(
            null, KernelTarget, TestMachine.KernelCs, Rflags.Fixed | Rflags.CF | Rflags.RF, LowStack, TestMachine.KernelSs)));
    }

    [TestCase(4)]
    [TestCase(8)]
    public void FiveWordsArePoppedToRing3(int size)
    {
        Return(size, new ExceptionFrameWords(null, UserTarget, TestMachine.UserCs, Rflags.Fixed, TestMachine.UserStack, TestMachine.UserSs), cpl: 0);

        Assert.That(machine.Handled, Is.EqualTo(Arrives));
        Assert.That(machine.Frame(hasErrorCode: false), Is.EqualTo(new ExceptionFrameWords(
            null, UserTarget, TestMachine.UserCs, Rflags.Fixed | Rflags.RF, TestMachine.UserStack, TestMachine.UserSs)));
    }

    [TestCase(8, 0, 0ul, AllFlags | Rflags.VIF | Rflags.VIP, TestName = "IRETQ at CPL 0: all")]
    [TestCase(4, 0, 0ul, AllFlags | Rflags.VIF | Rflags.VIP, TestName = "IRETD at CPL 0: all")]
    [TestCase(2, 0, 0ul, AllFlags & 0xFFFF, TestName = "IRET at CPL 0: the low 16")]
    [TestCase(8, 3, 0ul, AllFlags & ~(Rflags.IF | Rflags.Iopl), TestName = "IRETQ at CPL 3, IOPL 0: neither IF nor IOPL")]
    [TestCase(8, 3, Rflags.Iopl, AllFlags, TestName = "IRETQ at CPL 3, IOPL 3: IF too")]
    [TestCase(8, 3, Rflags.Iopl & (2 << 12), AllFlags & ~(Rflags.IF | (1 << 12)), TestName = "IRETQ at CPL 3, IOPL 2: neither IF nor IOPL")]
    public void FlagsAreRestoredAsPrivilegeAllows(int size, int cpl, ulong before, ulong after)
    {
        machine.Cpu.Rflags = Rflags.Fixed | before;
        Return(size, Frame(cpl) with { Rflags = ulong.MaxValue & ~(Rflags.TF | Rflags.NT) }, cpl);

        Assert.That(machine.Handled, Is.EqualTo(Arrives));
        Assert.That(machine.Frame(hasErrorCode: false).Rflags, Is.EqualTo(Rflags.Fixed | Rflags.RF | after));
    }

    [Test]
    public void FlagsAreClearedToo()
    {
        machine.Cpu.Rflags = Rflags.Fixed | AllFlags;
        Return(8, Frame(0) with { Rflags = 0 }, cpl: 0);

        Assert.That(machine.Frame(hasErrorCode: false).Rflags, Is.EqualTo(Rflags.Fixed | Rflags.RF));
    }

    [TestCase(3, Rflags.Iopl & ~(1ul << 12), Rflags.Iopl)]
    [TestCase(3, 0ul, Rflags.Iopl)]
    public void IoplStaysAboveCpl0(int cpl, ulong popped, ulong before)
    {
        machine.Cpu.Rflags = Rflags.Fixed | before;
        Return(8, Frame(cpl) with { Rflags = Rflags.Fixed | popped }, cpl);

        Assert.That(machine.Frame(hasErrorCode: false).Rflags & Rflags.Iopl, Is.EqualTo(before));
    }

    [Test]
    public void RFLastsNoLongerThanTheNextInstruction()
    {
        machine.SetGate(0x20, dpl: 3);
        machine.Place(UserTarget, c =>
        {
            c.nop();
            c.@int(0x20);
        });
        Return(8, Frame(3) with { Rflags = Rflags.Fixed | Rflags.RF }, cpl: 0);

        Assert.That(machine.Handled, Is.EqualTo(0x20));
        Assert.That(machine.Frame(hasErrorCode: false).Rflags, Is.EqualTo(Rflags.Fixed));
    }

    [TestCase(0x9B, L, 0, 0, Arrives)]
    [TestCase(0x9A, L, 0, 0, Arrives)]
    [TestCase(0xFB, L, 0, 0, GP, Description = "DPL is not RPL")]
    [TestCase(0x9B, L, 0, 3, GP, Description = "DPL is not RPL")]
    [TestCase(0x9F, L, 0, 0, Arrives)]
    [TestCase(0xFF, L, 0, 0, GP, Description = "conforming with DPL above RPL")]
    [TestCase(0x93, L, 0, 0, GP)]
    [TestCase(0x82, L, 0, 0, GP)]
    [TestCase(0x8C, L, 0, 0, GP, Description = "a call gate")]
    [TestCase(0x1B, L, 0, 0, NP)]
    [TestCase(0x9B, LD, 0, 0, GP)]
    [TestCase(0x1B, LD, 0, 0, GP, Description = "L and D come before presence")]
    [TestCase(0xFB, L, 3, 3, Arrives)]
    [TestCase(0x9F, L, 3, 3, Arrives)]
    [TestCase(0x9B, L, 3, 0, GP, Description = "RPL below CPL")]
    [TestCase(0x9F, L, 3, 0, GP, Description = "RPL below CPL")]
    [TestCase(0x7B, L, 3, 3, NP)]
    public void TheCodeDescriptorDecides(int access, int flags, int cpl, int rpl, int vector)
    {
        machine.SetDescriptor(Free, SegmentDescriptors.Of(access, flags));
        ulong ss = rpl == 3 ? TestMachine.UserSs : TestMachine.KernelSs;
        Return(8, Frame(cpl) with { Cs = (ushort)(Free | rpl), Ss = ss }, cpl);
        Check(vector, Free);
    }

    [TestCase(0xF3, 3, Arrives)]
    [TestCase(0xF2, 3, Arrives)]
    [TestCase(0xF7, 3, Arrives)]
    [TestCase(0xF3, 2, GP)]
    [TestCase(0xD3, 3, GP)]
    [TestCase(0xF1, 3, GP)]
    [TestCase(0xFB, 3, GP)]
    [TestCase(0xE2, 3, GP)]
    [TestCase(0x73, 3, SS)]
    public void TheStacksDescriptorDecides(int access, int rpl, int vector)
    {
        machine.SetDescriptor(FreeStack, SegmentDescriptors.Of(access, SegmentDescriptors.Default32));
        Return(8, Frame(3) with { Ss = (ushort)(FreeStack | rpl) }, cpl: 0);
        Check(vector, FreeStack);
    }

    [TestCase(0ul, Arrives)]
    [TestCase(1ul, GP)]
    [TestCase(3ul, GP)]
    public void InRing0SSMayBeNullWithItsRpl(ulong ss, int vector)
    {
        Return(8, Frame(0) with { Ss = ss }, cpl: 0);
        Check(vector, 0);
    }

    [TestCase(TestMachine.NonCanonical, (ushort)0x0B, TestMachine.KernelSs, TestName = "RIP not canonical, CS refused")]
    [TestCase(TestMachine.NonCanonical, TestMachine.KernelSs, TestMachine.KernelSs, TestName = "RIP not canonical, CS is data")]
    [TestCase(TestMachine.NonCanonical, (ushort)0x80, TestMachine.KernelSs, TestName = "RIP not canonical, CS beyond the GDT")]
    [TestCase(TestMachine.NonCanonical, TestMachine.UserCs, (ushort)0x80, TestName = "RIP not canonical, SS beyond the GDT")]
    [TestCase(UserTarget, (ushort)0x83, (ushort)0, TestName = "SS null for ring 3, CS beyond the GDT")]
    [TestCase(KernelTarget, (ushort)0x80, (ushort)3, TestName = "SS null with another RPL, CS beyond the GDT")]
    public void WhatNeedsNoDescriptorIsCheckedFirst(ulong rip, ushort cs, ushort ss)
    {
        Return(8, new ExceptionFrameWords(null, rip, cs, Rflags.Fixed, TestMachine.UserStack, ss), cpl: 0);
        Check(GP, 0);
    }

    [TestCase(2)]
    [TestCase(4)]
    [TestCase(8)]
    public void ANestedTaskIsRefusedBeforeAnythingIsPopped(int size)
    {
        machine.Cpu.Rflags |= Rflags.NT;
        machine.SetGate(GP, ist: 1);
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.Mapped;
        machine.Kernel(c => Write(c, size));
        Check(GP, 0);
    }

    private static ExceptionFrameWords Frame(int cpl) => cpl == 3
        ? new ExceptionFrameWords(null, UserTarget, TestMachine.UserCs, Rflags.Fixed, TestMachine.UserStack, TestMachine.UserSs)
        : new ExceptionFrameWords(null, KernelTarget, TestMachine.KernelCs, Rflags.Fixed, LowStack, TestMachine.KernelSs);

    private static void Write(Assembler c, int size)
    {
        switch (size)
        {
            case 2:
                c.iret();
                break;
            case 4:
                c.iretd();
                break;
            default:
                c.iretq();
                break;
        }
    }

    private void Return(int size, ExceptionFrameWords frame, int cpl)
    {
        ulong stack = cpl == 3 ? TestMachine.UserStack - 0x100 : TestMachine.KernelStack - 0x100;
        ulong at = stack;
        foreach (ulong word in (ulong[])[frame.Rip, frame.Cs, frame.Rflags, frame.Rsp, frame.Ss])
        {
            machine.Machine.WriteMemory(new GuestMemory.Gpa(at), BitConverter.GetBytes(word).AsSpan(0, size));
            at += (ulong)size;
        }

        ulong code = cpl == 3 ? TestMachine.UserCode : TestMachine.KernelCode;
        machine.Place(code, c => Write(c, size));
        if (cpl == 3)
        {
            machine.EnterRing3();
        }

        machine.State.Gpr[GeneralRegister.Rsp] = stack;
        machine.State.Rip = code;
        machine.Machine.Run(1000);
    }

    private void Check(int vector, int error)
    {
        bool arrived = vector == Arrives;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(machine.Frame(!arrived).ErrorCode, arrived ? Is.Null : Is.EqualTo((ulong)error));
        }
    }
}
