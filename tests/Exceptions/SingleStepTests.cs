using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>RFLAGS.TF: SDM Vol. 3B, 18.3.1.4 and 18.4.3. Code ends in UD2, whose handler halts; a HLT would be stepped over.</summary>
[TestFixture]
internal sealed class SingleStepTests
{
    private const int DB = 1;
    private const int Software = 0x20;
    private const ulong Target = TestMachine.KernelCode + 0x400;

    private TestMachine machine = null!;
    private EventLog log = null!;

    [SetUp]
    public void MakeMachine()
    {
        machine = new TestMachine();
        log = EventLog.Install(machine, resume: false, DB);
    }

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    [Test]
    public void EveryInstructionIsFollowedByATrap()
    {
        Action<Assembler> code = c =>
        {
            c.mov(ebx, 2);
            c.cmp(ebx, 2);
            c.je(TestMachine.KernelCode + 12);
            c.ud2();
            c.nop();
            c.nop();
        };
        Step(code);

        ulong[] starts = EventLog.Starts(code);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { starts[1], starts[2], starts[4], starts[5], starts[6] }));
            Assert.That(log.Events.Select(e => e.Dr6), Is.All.EqualTo(Dr6.BS));
            Assert.That(log.Events.Select(e => e.Vector), Is.All.EqualTo(DB));
            Assert.That(log.Events.Select(e => e.Rflags & (Rflags.TF | Rflags.RF)), Is.All.EqualTo(Rflags.TF));
        }
    }

    [Test]
    public void PopfBeginsAfterTheNextInstructionAndEndsAfterItself()
    {
        Action<Assembler> code = c =>
        {
            c.push(0x102);
            c.popfq();
            c.nop();
            c.push(2);
            c.popfq();
            c.nop();
        };
        machine.Kernel(code);

        ulong[] starts = EventLog.Starts(code);
        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { starts[3], starts[4], starts[5] }));
    }

    [Test]
    public void IretBeginsAfterTheNextInstruction()
    {
        machine.Place(Target, c =>
        {
            c.nop();
            c.ud2();
        });
        machine.Kernel(c => Return(c, Target, Rflags.TF));

        Assert.That(log.Offsets(Target), Is.EqualTo(new[] { 1ul }));
    }

    [Test]
    public void SysretTrapsAtOnce()
    {
        machine.State.Msr.Star = 0x001B_0008_0000_0000;
        machine.State.Gpr[GeneralRegister.Rcx] = TestMachine.UserCode;
        machine.State.Gpr[GeneralRegister.R11] = Rflags.Fixed | Rflags.TF;
        machine.Place(TestMachine.UserCode, c => c.hlt());
        machine.Kernel(c => c.sysretq());

        Assert.That(log.Offsets(TestMachine.UserCode), Is.EqualTo(new[] { 0ul }), "HLT at CPL 3 faults, and is not stepped over");
    }

    [TestCase(Rflags.TF, "")]
    [TestCase(0ul, "0,1")]
    public void SyscallTrapsWhereItsMaskLeavesTF(ulong mask, string expected)
    {
        machine.State.Msr.Star = 0x001B_0008_0000_0000;
        machine.State.Msr.Lstar = Target;
        machine.State.Msr.Fmask = mask;
        machine.Place(Target, c =>
        {
            c.nop();
            c.ud2();
        });
        machine.Cpu.Rflags |= Rflags.TF;
        machine.User(c => c.syscall());

        Assert.That(string.Join(",", log.Offsets(Target)), Is.EqualTo(expected));
    }

    [Test]
    public void AnInterruptInstructionClearsTFAndIsNotSteppedOver()
    {
        machine.SetGate(Software, target: Target);
        machine.Place(Target, c =>
        {
            c.nop();
            c.iretq();
        });
        Action<Assembler> code = c =>
        {
            c.@int(Software);
            c.nop();
            c.nop();
        };
        Step(code);

        Assert.That(log.Offsets(), Is.EqualTo(new[] { 3ul, 4ul }), "TF comes back with IRET, which begins after the next instruction");
    }

    [Test]
    public void TheTrapEndsAHalt()
    {
        Step(c => c.hlt());

        Assert.That(log.Offsets(), Is.EqualTo(new[] { 1ul }));
        Assert.That(machine.Handled, Is.EqualTo(6));
    }

    [Test]
    public void AFaultIsNotSteppedOver()
    {
        Step(c => c.ud2());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(6));
            Assert.That(machine.Frame(hasErrorCode: false).Rflags & Rflags.TF, Is.Not.Zero);
            Assert.That(log.Events, Is.Empty);
        }
    }

    [Test]
    public void LoadingSSIsNotSteppedOver()
    {
        Action<Assembler> code = c =>
        {
            c.mov(eax, ss);
            c.mov(ss, eax);
            c.nop();
            c.nop();
        };
        Step(code);

        ulong[] starts = EventLog.Starts(code);
        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { starts[1], starts[3], starts[4] }));
    }

    [Test]
    public void ARepeatedInstructionIsSteppedByIterations()
    {
        machine.State.Gpr[GeneralRegister.Rcx] = 3;
        machine.State.Gpr[GeneralRegister.Rdi] = TestMachine.Data;
        Step(c => c.rep.stosq());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Offsets(), Is.EqualTo(new[] { 0ul, 0ul, 3ul }));
            Assert.That(log.Events.Select(e => e.HasRF), Is.EqualTo(new[] { true, true, false }), "RF after every iteration but the last");
            Assert.That(machine.State.Gpr[GeneralRegister.Rdi], Is.EqualTo(TestMachine.Data + 24));
        }
    }

    [Test]
    public void SteppedIterationsAreOneInstruction()
    {
        machine.State.Gpr[GeneralRegister.Rcx] = 100;
        machine.State.Gpr[GeneralRegister.Rdi] = TestMachine.Data;
        machine.SetGate(DB, target: Target);
        machine.Place(Target, c => c.iretq());
        Step(c => c.rep.stosb());

        Assert.That(machine.Cpu.Counters.Instructions, Is.EqualTo(1 + 100 + 1), "REP STOSB, an IRET for each trap, and the HLT of the handler of #UD");
    }

    [Test]
    public void AnEmulatedAccessIsSteppedOver()
    {
        machine.PageTables.Map(new Gva(0x4000_0000), PhysicalLayout.Scratch, 0x1000, Mmu.PageRights.Write);
        machine.Cpu.FlushTlb();
        machine.State.Gpr[GeneralRegister.Rbx] = 0x4000_0000;
        Action<Assembler> code = c =>
        {
            c.mov(__dword_ptr[rbx], 5);
            c.@out(0x80, al);
        };
        Step(code);

        ulong[] starts = EventLog.Starts(code);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { starts[1], starts[2] }));
            Assert.That(machine.Cpu.Counters.MmioExits, Is.EqualTo(1));
        }
    }

    [Test]
    public void ATrapOutlivesTheLimitOfARun()
    {
        machine.Place(TestMachine.KernelCode, c =>
        {
            c.nop();
            c.ud2();
        });
        machine.State.Rip = TestMachine.KernelCode;
        machine.Cpu.Rflags |= Rflags.TF;
        StopReport first = machine.Machine.Run(1);
        ulong stoppedAt = machine.State.Rip;
        machine.Machine.Run(100);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first.Reason, Is.EqualTo(StopReason.Limit));
            Assert.That(stoppedAt, Is.EqualTo(TestMachine.KernelCode + 1));
            Assert.That(log.Offsets(), Is.EqualTo(new[] { 1ul }));
        }
    }

    [Test]
    public void WithBtfOnlyTakenBranchesAreSteppedAndTheTrapEndsIt()
    {
        Action<Assembler> code = c =>
        {
            Label over = c.CreateLabel();
            c.mov(ecx, 0x1D9);
            c.mov(eax, 2);
            c.mov(edx, 0);
            c.wrmsr();
            c.push(0x102);
            c.popfq();
            c.nop();
            c.xor(eax, eax);
            c.jne(over);
            c.je(over);
            c.Label(ref over);
            c.nop();
            c.nop();
            c.ud2();
        };
        machine.Kernel(code);

        ulong[] starts = EventLog.Starts(code);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { starts[10], starts[11], starts[12] }), "the first for a branch to the next instruction");
            Assert.That(machine.State.Msr.DebugControl, Is.Zero);
        }
    }

    [TestCase("ret")]
    [TestCase("call")]
    [TestCase("jmp reg")]
    [TestCase("loop")]
    [TestCase("jrcxz")]
    public void WithBtfEveryKindOfBranchIsSteppedEvenToTheNextInstruction(string kind)
    {
        Action<Assembler> code = c =>
        {
            Label next = c.CreateLabel();
            switch (kind)
            {
                case "ret":
                    c.push((int)TestMachine.KernelCode + 6);
                    c.ret();
                    break;
                case "call":
                    c.call(next);
                    break;
                case "jmp reg":
                    c.mov(eax, (int)TestMachine.KernelCode + 7);
                    c.jmp(rax);
                    break;
                case "loop":
                    c.mov(ecx, 2);
                    c.loop(next);
                    break;
                default:
                    c.mov(ecx, 0);
                    c.jrcxz(next);
                    break;
            }

            c.Label(ref next);
            c.nop();
        };
        machine.State.Msr.DebugControl = DebugControl.BTF;
        ulong[] starts = EventLog.Starts(code);
        Step(code);

        Assert.That(log.Events[0].Rip, Is.EqualTo(starts[^2]));
    }

    private static void Return(Assembler c, ulong rip, ulong flags)
    {
        c.push(TestMachine.KernelSs);
        c.push((int)TestMachine.KernelStack);
        c.push((int)(flags | Rflags.Fixed));
        c.push(TestMachine.KernelCs);
        c.push((int)rip);
        c.iretq();
    }

    private void Step(Action<Assembler> code)
    {
        machine.Cpu.Rflags |= Rflags.TF;
        machine.Kernel(c =>
        {
            code(c);
            c.ud2();
        });
    }
}
