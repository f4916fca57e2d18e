using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class ExceptionDeliveryTests
{
    private const ushort Free = TestMachine.FreeSelector;
    private const ulong Present = 1UL << 47;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine();

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    [Test]
    public void AFaultPushesTheFaultingInstructionWithRF()
    {
        machine.Kernel(c => c.ud2());

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
            Assert.That(frame, Is.EqualTo(new ExceptionFrameWords(
                null, TestMachine.KernelCode, TestMachine.KernelCs, Rflags.Fixed | Rflags.RF, TestMachine.KernelStack, TestMachine.KernelSs)));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.KernelStack - 40));
            Assert.That(machine.Cpu.Counters.Exceptions, Is.EqualTo(1));
        }
    }

    [Test]
    public void APageFaultSetsCr2AndPushesItsCode()
    {
        machine.Kernel(c => c.mov(__byte_ptr[TestMachine.Mapped + 5], 1));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.PageFault));
            Assert.That(machine.State.Cr2, Is.EqualTo(TestMachine.Mapped + 5));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo((ulong)PageFaultCode.Write));
        }
    }

    [TestCase(0ul, 0)]
    [TestCase(8ul, 8)]
    [TestCase(15ul, 15)]
    public void TheStackIsAlignedTo16(ulong off, int pushedBelow)
    {
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack - 16 + off;
        machine.Kernel(c => c.ud2());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.KernelStack - 16 - 40));
            Assert.That(machine.Frame(hasErrorCode: false).Rsp, Is.EqualTo(TestMachine.KernelStack - 16 + (ulong)pushedBelow));
        }
    }

    [TestCase(false, false)]
    [TestCase(true, true)]
    public void OnlyAnInterruptGateClearsIF(bool trap, bool left)
    {
        machine.SetGate(6, trap: trap);
        machine.Cpu.Rflags |= Rflags.IF | Rflags.NT | Rflags.AC;
        machine.Kernel(c => c.ud2());

        using (Assert.EnterMultipleScope())
        {
            Assert.That((machine.Cpu.Rflags & Rflags.IF) != 0, Is.EqualTo(left));
            Assert.That(machine.Cpu.Rflags & (Rflags.NT | Rflags.RF | Rflags.TF), Is.Zero);
            Assert.That(machine.Cpu.Rflags & Rflags.AC, Is.Not.Zero, "AC stays");
            Assert.That(machine.Frame(hasErrorCode: false).Rflags & Rflags.IF, Is.Not.Zero);
        }
    }

    [Test]
    public void FromRing3TheStackComesFromTheTss()
    {
        machine.User(c => c.hlt());

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: true);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection));
            Assert.That(machine.State.Cpl, Is.Zero);
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.Rsp0 - 48));
            Assert.That(machine.State.Segments[SegmentIndex.Ss].Selector, Is.Zero, "SS is null with RPL 0");
            Assert.That(frame, Is.EqualTo(new ExceptionFrameWords(
                0, TestMachine.UserCode, TestMachine.UserCs, Rflags.Fixed | Rflags.RF, TestMachine.UserStack, TestMachine.UserSs)));
        }
    }

    [Test]
    public void AnIstEntryReplacesTheStackEvenInTheSameRing()
    {
        machine.SetGate(6, ist: 1);
        machine.Kernel(c => c.ud2());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.Ist1 - 40));
            Assert.That(machine.State.Segments[SegmentIndex.Ss].Selector, Is.EqualTo(TestMachine.KernelSs), "SS changes with CPL only");
        }
    }

    [Test]
    public void AConformingHandlerRunsInTheRingOfTheFault()
    {
        machine.SetDescriptor(Free, TestMachine.Code64 | (1UL << 42));
        machine.SetGate(6, selector: Free, target: TestMachine.UserCode + 0x100);
        machine.Place(TestMachine.UserCode + 0x100, c => c.hlt());
        machine.User(c => c.ud2());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection), "HLT at CPL 3");
            Assert.That(machine.Frame(hasErrorCode: true).Cs, Is.EqualTo((ulong)(Free | 3)));
            Assert.That(machine.Frame(hasErrorCode: true).Rsp, Is.EqualTo(TestMachine.UserStack - 40));
        }
    }

    [TestCase(3, 0, true)]
    [TestCase(3, 3, false)]
    [TestCase(0x80, 0, true)]
    [TestCase(0x80, 3, false)]
    public void AnIntFromRing3NeedsTheGatesDpl(int vector, int dpl, bool refused)
    {
        machine.SetGate(vector, dpl: dpl);
        machine.User(c => Interrupt(c, vector));

        ExceptionFrameWords frame = machine.Frame(refused);
        ulong length = vector == 3 ? 1UL : 2;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(refused ? (int)ExceptionVector.GeneralProtection : vector));
            Assert.That(frame.Rip, Is.EqualTo(refused ? TestMachine.UserCode : TestMachine.UserCode + length));
            Assert.That(frame.ErrorCode, refused ? Is.EqualTo((ulong)(vector << 3) | 2) : Is.Null, "EXT is 0 for INT");
            Assert.That(frame.Rflags & Rflags.RF, refused ? Is.Not.Zero : Is.Zero);
        }
    }

    [Test]
    public void Int1NeedsNoDplAndIsATrap()
    {
        machine.User(c => c.int1());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.Debug));
            Assert.That(machine.Frame(hasErrorCode: false).Rip, Is.EqualTo(TestMachine.UserCode + 1));
        }
    }

    public static IEnumerable<TestCaseData<Action<TestMachine>, ExceptionVector, ulong>> BrokenGates()
    {
        yield return Case("gate beyond the IDT", m => m.State.Idtr.Limit = (6 * 16) + 14, ExceptionVector.DoubleFault, 0);
        yield return Case("gate of a wrong type", m => m[TestMachine.Idt + (6 * 16)] ^= 1UL << 40 | 1UL << 41, ExceptionVector.GeneralProtection, (6 << 3) | 3);
        yield return Case("gate not present", m => m[TestMachine.Idt + (6 * 16)] ^= Present, ExceptionVector.SegmentNotPresent, (6 << 3) | 3);
        yield return Case("null selector", m => m.SetGate(6, selector: 0), ExceptionVector.GeneralProtection, 1);
        yield return Case("selector beyond the GDT", m => m.SetGate(6, selector: 0x80), ExceptionVector.GeneralProtection, 0x81);
        yield return Case("data segment", m => m.SetGate(6, selector: TestMachine.KernelSs), ExceptionVector.GeneralProtection, TestMachine.KernelSs | 1);
        yield return Case("code not present", m =>
        {
            m.SetDescriptor(Free, TestMachine.Code64 & ~Present);
            m.SetGate(6, selector: Free);
        }, ExceptionVector.SegmentNotPresent, Free | 1);
        yield return Case("32-bit code", m =>
        {
            m.SetDescriptor(Free, TestMachine.Code32);
            m.SetGate(6, selector: Free);
        }, ExceptionVector.GeneralProtection, Free | 1);
        yield return Case("code of an outer ring", m => m.SetGate(6, selector: TestMachine.UserCs), ExceptionVector.GeneralProtection, 0x29);
        yield return Case("target not canonical", m => m.SetGate(6, target: TestMachine.NonCanonical), ExceptionVector.GeneralProtection, 1);
        yield return Case("IST beyond the TSS", m =>
        {
            m.SetGate(6, ist: 7);
            m.State.Tr.Limit = 36 + (6 * 8) + 6;
        }, ExceptionVector.InvalidTss, TestMachine.TssSelector | 1);
        yield return Case("IST not canonical", m =>
        {
            m.SetGate(6, ist: 2);
            m[TestMachine.Tss + 44] = TestMachine.NonCanonical + 0x1000;
        }, ExceptionVector.StackFault, 1);

        static TestCaseData<Action<TestMachine>, ExceptionVector, ulong> Case(
            string name, Action<TestMachine> breakIt, ExceptionVector vector, ulong code) =>
            new TestCaseData<Action<TestMachine>, ExceptionVector, ulong>(breakIt, vector, code).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(BrokenGates))]
    public void WhatIsWrongOnTheWayRaisesASecondException(Action<TestMachine> breakIt, ExceptionVector vector, ulong code)
    {
        breakIt(machine);
        if (vector == ExceptionVector.DoubleFault)
        {
            StopReport report = machine.Kernel(c => c.ud2());
            Assert.That(report.Reason, Is.EqualTo(StopReason.TripleFault), "no gate above 5 is left");
            return;
        }

        machine.Kernel(c => c.ud2());
        ExceptionFrameWords frame = machine.Frame(hasErrorCode: true);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)vector));
            Assert.That(frame.ErrorCode, Is.EqualTo(code));
            Assert.That(frame.Rip, Is.EqualTo(TestMachine.KernelCode), "the instruction that raised the first");
        }
    }

    // SDM Vol. 3A, table 7-5: rows the first exception, columns the second.
    [TestCase(6, 11, 11, TestName = "Benign, then contributory: the second")]
    [TestCase(6, 14, 14, TestName = "Benign, then page fault: the second")]
    [TestCase(13, 11, 8, TestName = "Contributory, then contributory: double fault")]
    [TestCase(13, 14, 14, TestName = "Contributory, then page fault: the second")]
    [TestCase(14, 11, 8, TestName = "Page fault, then contributory: double fault")]
    [TestCase(14, 14, 8, TestName = "Page fault, then page fault: double fault")]
    public void TwoExceptionsMeet(int first, int second, int handled)
    {
        BreakGate(first, second);
        machine.Kernel(c => Raise(c, first));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(handled));
            Assert.That(machine.Frame(hasErrorCode: true).Rip, Is.EqualTo(TestMachine.KernelCode));
        }
    }

    [Test]
    public void AnIntIsBenignWhateverItsVector()
    {
        BreakGate(13, 11);
        machine.Kernel(c => c.@int(13));
        Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.SegmentNotPresent));
    }

    [Test]
    public void AThirdExceptionShutsDownAndChangesNothing()
    {
        BreakGate(14, 11);
        BreakGate(8, 11);
        StopReport report = machine.Kernel(c => c.mov(al, __byte_ptr[TestMachine.Mapped]));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.TripleFault));
            Assert.That(machine.State.Rip, Is.EqualTo(TestMachine.KernelCode));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.KernelStack));
            Assert.That(machine.State.Segments[SegmentIndex.Cs].Selector, Is.EqualTo(TestMachine.KernelCs));
            Assert.That(machine.State.Cr2, Is.EqualTo(TestMachine.Mapped));
            Assert.That(machine.Cpu.Counters.Exceptions, Is.Zero);
        }
    }

    [Test]
    public void TheReportTellsTheFirstCauseAndTheWayDown()
    {
        machine.State.Idtr.Limit = 0;
        StopReport report = machine.Kernel(c => c.mov(al, __byte_ptr[TestMachine.Mapped]));

        string[] lines = report.Message!.Split('\n', StringSplitOptions.TrimEntries);
        Assert.That(lines, Is.EqualTo(new[]
        {
            "Triple fault at RIP 0x10000, RSP 0x80000, CPL 0:",
            lines[1],
            "2. #GP(0x73) while delivering #PF: vector 14: the vector's gate lies beyond IDTR.limit",
            "3. #DF(0x0) takes its place: the two cannot be handled one after the other",
            "4. #GP(0x43) while delivering #DF: vector 8: the vector's gate lies beyond IDTR.limit",
        }));
        Assert.That(lines[1], Does.StartWith("1. #PF(0x0) at 0x200000: PDE at 0x").And.EndsWith("P is 0"));
    }

    [Test]
    public void AStackWhereNoMemoryIsEndsTheMachineWithAReport()
    {
        machine.PageTables.Map(new Gva(0x4000_0000), new Gpa(0xD000_0000), 0x1000, PageRights.Write);
        machine.State.Gpr[GeneralRegister.Rsp] = 0x4000_0800;
        StopReport report = machine.Kernel(c => c.ud2());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.TripleFault));
            Assert.That(report.Message, Does.Contain("shutdown at 0x400007d8 while delivering #UD"));
        }
    }

    [Test]
    public void AFrameMayCrossAPage()
    {
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack - 0x1000 + 0x10;
        machine.Kernel(c => c.ud2());

        Assert.That(machine.Frame(hasErrorCode: false).Ss, Is.EqualTo(TestMachine.KernelSs));
    }

    [Test]
    public void AFrameThatCannotBeWrittenIsAPageFaultWithNothingPushed()
    {
        const ulong top = 0x4000_0010;
        machine.PageTables.Map(new Gva(0x4000_0000), new Gpa(0x20_0000), 0x1000, PageRights.Write);
        machine.SetGate(14, ist: 1);
        machine.State.Gpr[GeneralRegister.Rsp] = top;
        machine.Kernel(c => c.ud2());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.PageFault));
            Assert.That(machine.State.Cr2, Is.InRange(top - 40, 0x4000_0000 - 1));
            Assert.That(machine.Frame(hasErrorCode: true).Rsp, Is.EqualTo(top));
            Assert.That(machine[0x20_0000], Is.Zero);
        }
    }

    [Test]
    public void TheHandlersCodeSegmentIsMarkedAccessed()
    {
        const ulong accessed = 1UL << 40;
        machine.SetDescriptor(Free, TestMachine.Code64 & ~accessed);
        machine.SetGate(6, selector: Free);
        machine.Kernel(c => c.ud2());

        Assert.That(machine[TestMachine.Gdt + Free], Is.EqualTo(TestMachine.Code64));
    }

    [Test]
    public void SystemStructuresAreReachedFromRing3InSupervisorPages()
    {
        machine.State.Cr4 |= Cr4.SMAP | Cr4.SMEP;
        machine.Cpu.FlushTlb();
        machine.User(c => c.ud2());
        Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
    }

    private static void Interrupt(Assembler c, int vector)
    {
        if (vector == 3)
        {
            c.int3();
        }
        else
        {
            c.@int((byte)vector);
        }
    }

    private static void Raise(Assembler c, int vector)
    {
        switch (vector)
        {
            case 6:
                c.ud2();
                break;
            case 13:
                c.mov(ds, __word_ptr[TestMachine.Data]);
                break;
            default:
                c.mov(al, __byte_ptr[TestMachine.Mapped]);
                break;
        }
    }

    /// <summary>Makes the delivery of a vector meet #NP, by a gate not present, or #PF, by a stack that is not there.</summary>
    private void BreakGate(int vector, int met)
    {
        machine[TestMachine.Data] = 0xFFF8;
        if (met == 11)
        {
            machine[TestMachine.Idt + ((ulong)vector * 16)] ^= Present;
            return;
        }

        machine.SetGate(vector, ist: 2);
        machine[TestMachine.Tss + 44] = TestMachine.Mapped + 0x800;
        machine.SetGate(vector == 14 ? 8 : 14, ist: 1);
    }
}
