using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>#AC: SDM Vol. 3A, 7.15, "Interrupt 17", and table 7-7.</summary>
[TestFixture]
internal sealed class AlignmentTests
{
    private const int AC = 17;
    private const int GP = 13;
    private const int PF = 14;
    private const int Halted = GP;
    private const ulong Device = 0x4000_0000;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine()
    {
        machine = new TestMachine();
        machine.State.Cr0 |= Cr0.AM;
        machine.Cpu.Rflags |= Rflags.AC;
        machine.Cpu.FlushTlb();
    }

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    /// <summary>Instructions that access memory at RBX, by the alignment that they need; 1 where none is checked.</summary>
    private static IEnumerable<TestCaseData> Instructions()
    {
        yield return Case("mov byte", 1, c => c.mov(__[rbx], al));
        yield return Case("mov word", 2, c => c.mov(__[rbx], ax));
        yield return Case("mov dword", 4, c => c.mov(eax, __[rbx]));
        yield return Case("mov qword", 8, c => c.mov(rax, __[rbx]));
        yield return Case("add dword", 4, c => c.add(__dword_ptr[rbx], 1));
        yield return Case("lock add qword", 8, c => c.@lock.add(__qword_ptr[rbx], 1));
        yield return Case("cmp word", 2, c => c.cmp(__word_ptr[rbx], 1));
        yield return Case("bt memory, register", 4, c => c.bt(__[rbx], ecx));
        yield return Case("movss", 4, c => c.movss(xmm0, __dword_ptr[rbx]));
        yield return Case("movsd", 8, c => c.movsd(__qword_ptr[rbx], xmm0));
        yield return Case("movhps", 8, c => c.movhps(xmm0, __qword_ptr[rbx]));
        yield return Case("movups", 1, c => c.movups(xmm0, __xmmword_ptr[rbx]));
        yield return Case("movdqu store", 1, c => c.movdqu(__xmmword_ptr[rbx], xmm0));
        yield return Case("stmxcsr", 4, c => c.stmxcsr(__dword_ptr[rbx]));
        yield return Case("cmpxchg8b", 8, c => c.cmpxchg8b(__qword_ptr[rbx]));
        yield return Case("movs", 4, c => c.movsd());
        yield return Case("rep stos", 8, c => c.rep.stosq());
        yield return Case("push", 8, c =>
        {
            c.lea(rsp, __[rbx + 8]);
            c.push(rax);
        });
        yield return Case("pop word", 2, c =>
        {
            c.mov(rsp, rbx);
            c.pop(ax);
        });
        yield return Case("call", 8, c =>
        {
            c.lea(rsp, __[rbx + 8]);
            Label next = c.CreateLabel();
            c.call(next);
            c.Label(ref next);
            c.nop();
        });
        yield return Case("iretq", 8, c =>
        {
            c.mov(rsp, rbx);
            c.iretq();
        });
        yield return Case("prefetch", 1, c => c.prefetcht0(__[rbx]));
        yield return Case("clflush", 1, c => c.clflush(__[rbx]));

        static TestCaseData Case(string name, int alignment, Action<Assembler> code) => new TestCaseData(alignment, code).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Instructions))]
    public void DataMustBeAlignedToItsType(int alignment, Action<Assembler> code)
    {
        for (ulong offset = 1; offset <= 8; offset++)
        {
            using TestMachine fresh = Armed();
            Point(fresh, TestMachine.UserData + offset);
            fresh.User(code);

            bool misaligned = offset % (ulong)alignment != 0;
            using (Assert.EnterMultipleScope())
            {
                Assert.That(fresh.Handled == AC, Is.EqualTo(misaligned), $"offset {offset}: vector {fresh.Handled}");
                Assert.That(fresh.Frame(hasErrorCode: true).ErrorCode, Is.Zero);
            }
        }
    }

    // CR0.AM, RFLAGS.AC, CPL: all three are needed.
    [TestCase(true, true, 3, AC)]
    [TestCase(false, true, 3, Halted)]
    [TestCase(true, false, 3, Halted)]
    [TestCase(true, true, 0, null)]
    public void ItNeedsAMAndACAndRing3(bool am, bool ac, int cpl, int? expected)
    {
        machine.State.Cr0 = am ? machine.State.Cr0 : machine.State.Cr0 & ~Cr0.AM;
        machine.Cpu.Rflags = ac ? Rflags.AC : 0;
        machine.Cpu.FlushTlb();
        Point(machine, TestMachine.UserData + 1);
        Run(cpl, c => c.mov(__[rbx], eax));

        Assert.That(machine.Handled, Is.EqualTo(expected));
    }

    [Test]
    public void PopfTurnsItOn()
    {
        machine.Cpu.Rflags = 0;
        Point(machine, TestMachine.UserData + 1);
        Action<Assembler> code = c =>
        {
            c.mov(__[rbx], eax);
            c.push((int)Rflags.AC);
            c.popfq();
            c.mov(__[rbx], eax);
        };
        machine.User(code);

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: true);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(AC));
            Assert.That(frame.Rip, Is.EqualTo(EventLog.Starts(code, TestMachine.UserCode)[3]));
            Assert.That(frame.Rflags & (Rflags.AC | Rflags.RF), Is.EqualTo(Rflags.AC | Rflags.RF), "a fault");
        }
    }

    [Test]
    public void WhatTheProcessorReadsByItselfIsNotChecked()
    {
        machine.State.Tr.Base = TestMachine.Tss + 0x101;
        machine[TestMachine.Tss + 0x101 + 4] = TestMachine.Rsp0;
        machine.User(c => c.ud2());

        Assert.That(machine.Handled, Is.EqualTo(6), "RSP0 is read from a misaligned TSS");
    }

    // The address, and what comes first.
    [TestCase(TestMachine.Mapped + 1, PF)]
    [TestCase(TestMachine.UserStack - 1, PF, Description = "the second page is the kernel's")]
    [TestCase(TestMachine.NonCanonical + 1, GP)]
    [TestCase(TestMachine.UserData + 0xFFF, AC)]
    public void OtherFaultsOfTheAddressComeFirst(ulong address, int vector)
    {
        foreach (Action<Assembler> code in (Action<Assembler>[])[c => c.mov(rax, __[rbx]), c => c.mov(__[rbx], rax), c => c.inc(__qword_ptr[rbx])])
        {
            using TestMachine fresh = Armed();
            Point(fresh, address);
            fresh.User(code);

            Assert.That(fresh.Handled, Is.EqualTo(vector));
        }
    }

    [Test]
    public void AlignedSseFormsRaiseGPAllTheSame()
    {
        Point(machine, TestMachine.UserData + 8);
        machine.User(c => c.movaps(xmm0, __xmmword_ptr[rbx]));

        Assert.That(machine.Handled, Is.EqualTo(GP));
        Assert.That(machine.Frame(hasErrorCode: true).Rip, Is.EqualTo(TestMachine.UserCode));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void ADeviceIsNotTouchedByAMisalignedAccess(bool write)
    {
        int accesses = 0;
        machine.PageTables.Map(new Gva(Device), PhysicalLayout.Scratch, 0x1000, PageRights.Write | PageRights.User);
        machine.Cpu.FlushTlb();
        machine.Machine.Mmio.Observer = (in MmioAccess _) => accesses++;
        Point(machine, Device + 1);
        machine.User(c =>
        {
            if (write)
            {
                c.mov(__[rbx], eax);
            }
            else
            {
                c.mov(eax, __[rbx]);
            }
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(AC));
            Assert.That(accesses, Is.Zero);
        }
    }

    private static TestMachine Armed()
    {
        TestMachine fresh = new();
        fresh.State.Cr0 |= Cr0.AM;
        fresh.Cpu.Rflags |= Rflags.AC;
        fresh.Cpu.FlushTlb();
        return fresh;
    }

    private static void Point(TestMachine machine, ulong address)
    {
        machine.State.Gpr[GeneralRegister.Rbx] = address;
        machine.State.Gpr[GeneralRegister.Rsi] = TestMachine.UserData;
        machine.State.Gpr[GeneralRegister.Rdi] = address;
        machine.State.Gpr[GeneralRegister.Rcx] = 2;
    }

    private void Run(int cpl, Action<Assembler> code)
    {
        if (cpl == 3)
        {
            machine.User(code);
        }
        else
        {
            machine.Kernel(code);
        }
    }
}
