using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Far JMP, CALL and RET against their operation sections (SDM Vol. 2, "JMP", "CALL", "RET").</summary>
[TestFixture]
internal sealed class FarTransferTests
{
    private const ushort Free = TestMachine.FreeSelector;
    private const ushort FreeStack = TestMachine.FreeSelector + 8;
    private const int Arrives = (int)ExceptionVector.InvalidOpcode;
    private const int NP = (int)ExceptionVector.SegmentNotPresent;
    private const int SS = (int)ExceptionVector.StackFault;
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const int L = SegmentDescriptors.Code64;
    private const int LD = SegmentDescriptors.Code64AndDefault32;
    private const ulong Pointer = TestMachine.UserData + 0x100;
    private const ulong KernelTarget = 0x5000;
    private const ulong UserTarget = TestMachine.UserCode + 0x800;

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

    [TestCase(0x9B, L, 0, 0, Arrives)]
    [TestCase(0x9A, L, 0, 0, Arrives, Description = "A is set")]
    [TestCase(0x99, L, 0, 0, Arrives, Description = "execute-only")]
    [TestCase(0x9B, L, 0, 3, GP)]
    [TestCase(0xFB, L, 0, 0, GP)]
    [TestCase(0xFB, L, 0, 3, GP)]
    [TestCase(0x9F, L, 0, 0, Arrives)]
    [TestCase(0x9F, L, 0, 3, Arrives, Description = "conforming: RPL does not matter")]
    [TestCase(0xFF, L, 0, 0, GP, Description = "conforming with DPL above CPL")]
    [TestCase(0x93, L, 0, 0, GP)]
    [TestCase(0x89, L, 0, 0, GP, Description = "a TSS: there are no task switches")]
    [TestCase(0x85, L, 0, 0, GP, Description = "a task gate")]
    [TestCase(0x82, L, 0, 0, GP)]
    [TestCase(0x1B, L, 0, 0, NP)]
    [TestCase(0x7B, L, 0, 0, GP, Description = "privilege comes before presence")]
    [TestCase(0x9B, LD, 0, 0, GP)]
    [TestCase(0x1B, LD, 0, 0, GP, Description = "L and D come before presence")]
    [TestCase(0xFB, L, 3, 3, Arrives)]
    [TestCase(0xFB, L, 3, 0, Arrives, Description = "RPL below CPL")]
    [TestCase(0x9B, L, 3, 3, GP)]
    [TestCase(0x9F, L, 3, 0, Arrives)]
    [TestCase(0x1F, L, 3, 3, NP)]
    public void JmpAndCallAskTheDescriptor(int access, int flags, int cpl, int rpl, int vector)
    {
        foreach (bool call in (bool[])[false, true])
        {
            machine.SetDescriptor(Free, SegmentDescriptors.Of(access, flags));
            Branch(call, size: 8, (ushort)(Free | rpl), cpl == 3 ? UserTarget : KernelTarget, cpl);
            CheckBranch(call, size: 8, (ushort)(Free | rpl), cpl, vector, Free);
        }
    }

    [TestCase((ushort)0, 0, TestName = "JMP, CALL: null")]
    [TestCase((ushort)3, 0, TestName = "JMP, CALL: null with RPL 3")]
    [TestCase((ushort)0x80, 0x80, TestName = "JMP, CALL: beyond the GDT")]
    [TestCase((ushort)0x4C, 0x4C, TestName = "JMP, CALL: no LDT")]
    public void JmpAndCallAskTheSelector(ushort selector, int error)
    {
        foreach (bool call in (bool[])[false, true])
        {
            Branch(call, size: 8, selector, KernelTarget, cpl: 0);
            CheckBranch(call, size: 8, selector, cpl: 0, GP, error);
        }
    }

    [TestCase(2)]
    [TestCase(4)]
    [TestCase(8)]
    public void TheOperandSizeGivesOffsetAndFrame(int size)
    {
        foreach (bool call in (bool[])[false, true])
        {
            machine.SetDescriptor(Free, SegmentDescriptors.Of(0x9B, L));
            Branch(call, size, Free, KernelTarget, cpl: 0);
            CheckBranch(call, size, Free, cpl: 0, Arrives, error: 0);
        }
    }

    [TestCase(false)]
    [TestCase(true)]
    public void ATargetThatIsNotCanonicalIsRefused(bool call)
    {
        Branch(call, size: 8, TestMachine.KernelCs, TestMachine.NonCanonical, cpl: 0);
        CheckBranch(call, size: 8, TestMachine.KernelCs, cpl: 0, GP, error: 0);
    }

    [Test]
    public void ACallThatCannotPushChangesNothing()
    {
        const ulong top = TestMachine.Mapped + 8;
        machine.State.Gpr[GeneralRegister.Rsp] = top;
        machine.SetGate((int)ExceptionVector.PageFault, ist: 1);
        machine[TestMachine.Mapped - 8] = 0x77;
        Branch(call: true, size: 8, TestMachine.KernelCs, KernelTarget, cpl: 0, setStack: false);

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: true);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.PageFault));
            Assert.That(machine.State.Cr2, Is.EqualTo(TestMachine.Mapped));
            Assert.That(frame.Rsp, Is.EqualTo(top));
            Assert.That(machine[TestMachine.Mapped - 8], Is.EqualTo(0x77));
        }
    }

    [TestCase(2, 0)]
    [TestCase(4, 0)]
    [TestCase(8, 0)]
    [TestCase(2, 0x10)]
    [TestCase(4, 0x10)]
    [TestCase(8, 0xFFF8)]
    public void RetfReleasesItsFrameAndTheParameters(int size, int parameters)
    {
        Return(size, parameters, TestMachine.KernelCs, KernelTarget, 0, 0, cpl: 0);

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(Arrives));
            Assert.That(frame.Rip, Is.EqualTo(KernelTarget));
            Assert.That(frame.Rsp, Is.EqualTo(Stack(0) + (2 * (ulong)size) + (ulong)parameters));
        }
    }

    [TestCase(4, 0)]
    [TestCase(8, 0)]
    [TestCase(4, 0x18)]
    [TestCase(8, 0x18)]
    public void RetfToRing3ReleasesParametersOnBothStacks(int size, int parameters)
    {
        Return(size, parameters, TestMachine.UserCs, UserTarget, TestMachine.UserSs, TestMachine.UserStack - 0x100, cpl: 0);

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(Arrives));
            Assert.That(frame with { Rflags = 0 }, Is.EqualTo(new ExceptionFrameWords(
                null, UserTarget, TestMachine.UserCs, 0, TestMachine.UserStack - 0x100 + (ulong)parameters, TestMachine.UserSs)));
        }
    }

    [TestCase(0x9B, L, 0, 0, Arrives)]
    [TestCase(0xFB, L, 0, 0, GP, Description = "DPL is not RPL")]
    [TestCase(0x9B, L, 0, 3, GP, Description = "DPL is not RPL")]
    [TestCase(0x9F, L, 0, 0, Arrives)]
    [TestCase(0xFF, L, 0, 0, GP, Description = "conforming with DPL above RPL")]
    [TestCase(0x93, L, 0, 0, GP)]
    [TestCase(0x82, L, 0, 0, GP)]
    [TestCase(0x1B, L, 0, 0, NP)]
    [TestCase(0x7B, L, 0, 3, NP)]
    [TestCase(0x9B, LD, 0, 0, GP)]
    [TestCase(0x1B, LD, 0, 0, GP, Description = "L and D come before presence")]
    [TestCase(0xFB, L, 3, 3, Arrives)]
    [TestCase(0x9F, L, 3, 3, Arrives)]
    [TestCase(0x9B, L, 3, 0, GP, Description = "RPL below CPL")]
    [TestCase(0xFB, L, 3, 0, GP, Description = "RPL below CPL")]
    public void RetfAsksTheDescriptor(int access, int flags, int cpl, int rpl, int vector)
    {
        machine.SetDescriptor(Free, SegmentDescriptors.Of(access, flags));
        Return(8, 0, (ushort)(Free | rpl), cpl == 3 ? UserTarget : KernelTarget, TestMachine.UserSs, TestMachine.UserStack, cpl);

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: vector != Arrives);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(frame.ErrorCode, vector == Arrives ? Is.Null : Is.EqualTo((ulong)Free));
            Assert.That(frame.Rsp, Is.EqualTo(Stack(cpl) + (vector == Arrives ? 16UL : 0)));
        }
    }

    [TestCase(0xF3, 3, Arrives)]
    [TestCase(0xF2, 3, Arrives)]
    [TestCase(0xF7, 3, Arrives)]
    [TestCase(0xF3, 0, GP)]
    [TestCase(0x93, 3, GP)]
    [TestCase(0xF1, 3, GP)]
    [TestCase(0xFB, 3, GP)]
    [TestCase(0x73, 3, SS)]
    public void RetfToRing3AsksTheStacksDescriptor(int access, int rpl, int vector)
    {
        machine.SetDescriptor(FreeStack, SegmentDescriptors.Of(access, SegmentDescriptors.Default32));
        Return(8, 0, TestMachine.UserCs, UserTarget, (ushort)(FreeStack | rpl), TestMachine.UserStack, cpl: 0);

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: vector != Arrives);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(frame.ErrorCode, vector == Arrives ? Is.Null : Is.EqualTo((ulong)FreeStack));
        }
    }

    [TestCase((ushort)0, 3, GP)]
    [TestCase((ushort)3, 3, GP)]
    [TestCase((ushort)2, 2, Arrives)]
    public void ANullStackIsForInnerRings(ushort ss, int ring, int vector)
    {
        machine.SetDescriptor(Free, SegmentDescriptors.Of(0x9B | (ring << 5), L));
        ulong target = ring == 3 ? UserTarget : KernelTarget;
        ulong stack = ring == 3 ? TestMachine.UserStack : TestMachine.KernelStack - 0x800;
        Return(8, 0, (ushort)(Free | ring), target, ss, stack, cpl: 0);

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: vector != Arrives);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(frame.ErrorCode, vector == Arrives ? Is.Null : Is.Zero);
            Assert.That(frame.Ss, Is.EqualTo(vector == Arrives ? ss : TestMachine.KernelSs));
        }
    }

    [TestCase(0xCB, 0x48, TestMachine.NonCanonical, TestName = "RETF where no address is")]
    [TestCase(0xCB, 0x48, TestMachine.NonCanonical - 8, TestName = "RETF with CS where no address is")]
    [TestCase(0xCF, 0x48, TestMachine.NonCanonical, TestName = "IRETQ where no address is")]
    [TestCase(0xCF, 0x48, TestMachine.NonCanonical - 32, TestName = "IRETQ with SS where no address is")]
    public void AStackThatIsNotCanonicalRaisesSS(int opcode, int prefix, ulong rsp)
    {
        const ulong last = TestMachine.NonCanonical - 0x1000;
        machine.PageTables.Map(new GuestMemory.Gva(last), new GuestMemory.Gpa(TestMachine.Data), 0x1000, Mmu.PageRights.Write);
        ulong frame = TestMachine.Data + (rsp & 0xFFF);
        if (rsp != TestMachine.NonCanonical)
        {
            machine[frame] = KernelTarget;
            machine[TestMachine.Data + 0xFE8] = TestMachine.KernelCs;
        }

        machine.SetGate(SS, ist: 1);
        machine.SetGate(GP, ist: 1);
        machine.State.Gpr[GeneralRegister.Rsp] = rsp;
        machine.Kernel(c => c.db((byte)prefix, (byte)opcode));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(SS));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.Zero);
            Assert.That(machine.Frame(hasErrorCode: true).Rsp, Is.EqualTo(rsp));
        }
    }

    private static ulong Stack(int cpl) => cpl == 3 ? TestMachine.UserStack - 0x200 : TestMachine.KernelStack - 0x200;

    private static void Prefix(Assembler c, int size)
    {
        if (size != 4)
        {
            c.db(size == 2 ? (byte)0x66 : (byte)0x48);
        }
    }

    private void Branch(bool call, int size, ushort selector, ulong target, int cpl, bool setStack = true)
    {
        machine[Pointer] = target;
        machine[Pointer + (ulong)size] = 0x5555_5555_5555_0000UL | selector;
        machine.State.Cpl = 0;
        machine.State.Segments[SegmentIndex.Cs].Selector = TestMachine.KernelCs;
        machine.State.Segments[SegmentIndex.Ss].Selector = TestMachine.KernelSs;
        Run(cpl, setStack, c =>
        {
            c.mov(ebx, (int)Pointer);
            Prefix(c, size);
            c.db(0xFF, call ? (byte)0x1B : (byte)0x2B);
        });
    }

    private void CheckBranch(bool call, int size, ushort selector, int cpl, int vector, int error)
    {
        ExceptionFrameWords frame = machine.Frame(hasErrorCode: vector != Arrives);
        bool arrived = vector == Arrives;
        ulong start = (cpl == 3 ? TestMachine.UserCode : TestMachine.KernelCode) + 5;
        ulong rsp = Stack(cpl) - (arrived && call ? 2 * (ulong)size : 0);
        ushort cs = cpl == 3 ? TestMachine.UserCs : TestMachine.KernelCs;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(frame.ErrorCode, arrived ? Is.Null : Is.EqualTo((ulong)error));
            Assert.That(frame.Rsp, Is.EqualTo(rsp));
            Assert.That(frame.Cs, Is.EqualTo(arrived ? (ulong)((selector & ~3) | cpl) : cs));
            Assert.That(frame.Rip, Is.EqualTo(arrived ? cpl == 3 ? UserTarget : KernelTarget : start));
            if (arrived && call)
            {
                ulong mask = ulong.MaxValue >> (64 - (size * 8));
                Assert.That(machine[rsp] & mask, Is.EqualTo((start + (size == 4 ? 2UL : 3)) & mask), "the return address");
                Assert.That(machine[rsp + (ulong)size] & mask, Is.EqualTo(cs), "CS, zero-extended");
            }

            if (arrived && selector >= Free)
            {
                Assert.That(machine[TestMachine.Gdt + Free] & (1UL << 40), Is.Not.Zero, "A");
            }
        }
    }

    private void Return(int size, int parameters, ushort cs, ulong target, ushort ss, ulong rsp, int cpl)
    {
        ulong at = Stack(cpl);
        Poke(at, size, target);
        Poke(at + (ulong)size, size, cs);
        if (ss != 0 || (cs & 3) != cpl)
        {
            ulong second = at + (2 * (ulong)size) + (ulong)parameters;
            Poke(second, size, rsp);
            Poke(second + (ulong)size, size, ss);
        }

        Run(cpl, setStack: true, c =>
        {
            Prefix(c, size);
            if (parameters == 0)
            {
                c.db(0xCB);
            }
            else
            {
                c.db(0xCA, (byte)parameters, (byte)(parameters >> 8));
            }
        });
    }

    private void Poke(ulong at, int size, ulong value) => machine.Machine.WriteMemory(new GuestMemory.Gpa(at), BitConverter.GetBytes(value).AsSpan(0, size));

    private void Run(int cpl, bool setStack, Action<Assembler> write)
    {
        ulong code = cpl == 3 ? TestMachine.UserCode : TestMachine.KernelCode;
        machine.Place(code, write, halt: true);
        if (cpl == 3)
        {
            machine.EnterRing3();
        }

        if (setStack)
        {
            machine.State.Gpr[GeneralRegister.Rsp] = Stack(cpl);
        }

        machine.State.Rip = code;
        machine.Machine.Run(1000);
    }
}
