using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Every pair of a first exception and one met while it is delivered (SDM Vol. 3A, tables 7-4 and 7-5).</summary>
[TestFixture]
internal sealed class SecondExceptionTests
{
    private const int DB = 1;
    private const int DF = 8;
    private const int TS = 10;
    private const int NP = 11;
    private const int SS = 12;
    private const int GP = 13;
    private const int PF = 14;

    private static readonly int[] Firsts = [0, DB, 3, 6, 7, NP, SS, GP, PF, 19, 0x80];

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine();

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    public static IEnumerable<TestCaseData<int, int>> Pairs()
    {
        foreach (int first in Firsts)
        {
            foreach (int second in (int[])[TS, NP, SS, GP, PF])
            {
                yield return new TestCaseData<int, int>(first, second);
            }
        }
    }

    [TestCaseSource(nameof(Pairs))]
    public void TheClassesDecide(int first, int second)
    {
        bool contributory = first is 0 or TS or NP or SS or GP;
        bool doubled = first == PF || (contributory && second != PF);
        Break(first, second);
        machine.Kernel(c => Raise(c, first));

        int handled = doubled ? DF : second;
        ExceptionFrameWords frame = machine.Frame(hasErrorCode: true);
        bool software = first is 3 or 0x80;
        uint external = software ? 0u : 1;
        ulong error = second switch
        {
            TS => TestMachine.TssSelector | external,
            NP => (uint)(first << 3) | 2 | external,
            GP => (uint)(first << 3) | 2 | external,
            SS => external,
            _ => 2,
        };
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(handled));
            Assert.That(frame.ErrorCode, Is.EqualTo(doubled ? 0 : error));
            Assert.That(machine.State.Cr2, Is.EqualTo(second == PF ? TestMachine.Mapped + 0x800 - (ulong)Pushed(first) : first == PF ? TestMachine.Mapped : 0));
            Assert.That(frame.Rsp, Is.EqualTo(TestMachine.KernelStack));
            Assert.That(frame.Cs, Is.EqualTo(TestMachine.KernelCs));
        }
    }

    [TestCase(0, false)]
    [TestCase(1, false)]
    [TestCase(2, false)]
    [TestCase(3, true)]
    public void IntFromRing3NeedsDpl3AndInt1DoesNot(int dpl, bool allowed)
    {
        foreach (int vector in (int[])[3, 4, 0x80, 0xFF, DB])
        {
            machine.SetGate(vector, dpl: dpl);
            machine.User(c => Raise(c, vector));

            bool enters = allowed || vector == DB;
            ulong length = vector is 3 or DB ? 1UL : 2;
            ExceptionFrameWords frame = machine.Frame(!enters);
            Assert.That(machine.Handled, Is.EqualTo(enters ? vector : GP));
            Assert.That(frame.ErrorCode, enters ? Is.Null : Is.EqualTo((ulong)(vector << 3) | 2));
            Assert.That(frame.Rip, Is.EqualTo(TestMachine.UserCode + (enters ? length : 0)));
            Assert.That(frame.Rflags & Rflags.RF, enters ? Is.Zero : Is.Not.Zero);
        }
    }

    [Test]
    public void IntToAVectorWithAnErrorCodePushesNone()
    {
        foreach (int vector in (int[])[DF, TS, NP, SS, GP, PF, 17])
        {
            machine.Kernel(c => c.@int((byte)vector));
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(machine.Frame(hasErrorCode: false).Rip, Is.EqualTo(TestMachine.KernelCode + 2));
            machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack;
        }
    }

    [TestCase(0)]
    [TestCase(9)]
    public void FromRing3TheStackIsAlignedToo(int off)
    {
        machine[TestMachine.Tss + 4] = TestMachine.Rsp0 - 16 + (ulong)off;
        machine.User(c => c.hlt());
        Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.Rsp0 - 16 - 48));
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    public void EachOfTheSevenStacksIsUsed(int ist)
    {
        ulong top = TestMachine.Data + 0x1000 + ((ulong)ist * 0x100);
        machine[TestMachine.Tss + 36 + ((ulong)(ist - 1) * 8)] = top;
        machine.SetGate(6, ist: ist);
        machine.User(c => c.ud2());
        Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(top - 40));
    }

    private static int Pushed(int vector) => vector is DF or TS or NP or SS or GP or PF ? 48 : 40;

    private static void Raise(Assembler c, int vector)
    {
        switch (vector)
        {
            case 0:
                c.div(ecx);
                break;
            case DB:
                c.db(0xF1);
                break;
            case 3:
                c.int3();
                break;
            case 6:
                c.ud2();
                break;
            case 7:
            case 19:
                c.sqrtps(xmm0, __xmmword_ptr[TestMachine.Data + 0x100]);
                break;
            case NP:
                c.mov(ds, __word_ptr[TestMachine.Data]);
                break;
            case SS:
                c.mov(al, __byte_ptr[rbp]);
                break;
            case GP:
                c.mov(ds, __word_ptr[TestMachine.Data]);
                break;
            case PF:
                c.mov(al, __byte_ptr[TestMachine.Mapped]);
                break;
            default:
                c.@int((byte)vector);
                break;
        }
    }

    private void Break(int first, int second)
    {
        machine.SetDescriptor(TestMachine.FreeSelector, TestMachine.Data32 & ~(1UL << 47));
        machine[TestMachine.Data] = first == NP ? TestMachine.FreeSelector : 0xFFF8ul;
        machine[TestMachine.Data + 0x100] = 0xBF80_0000;
        machine.State.Gpr[GeneralRegister.Rbp] = TestMachine.NonCanonical;
        if (first == 7)
        {
            machine.State.Cr0 |= Cr0.TS;
        }

        machine.State.Mxcsr &= ~(1u << 7);
        machine.Cpu.ContextChanged();
        ulong gate = TestMachine.Idt + ((ulong)first * 16);
        switch (second)
        {
            case TS:
                machine.SetGate(first, ist: 7);
                machine.State.Tr.Limit = 36 + (6 * 8) + 6;
                break;
            case NP:
                machine[gate] &= ~(1UL << 47);
                break;
            case SS:
                machine.SetGate(first, ist: 2);
                machine[TestMachine.Tss + 44] = TestMachine.NonCanonical + 0x1000;
                break;
            case GP:
                machine[gate] &= ~(0xFUL << 40);
                break;
            default:
                machine.SetGate(first, ist: 2);
                machine[TestMachine.Tss + 44] = TestMachine.Mapped + 0x800;
                break;
        }
    }
}
