using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>DR0 to DR3, DR6 and DR7: SDM Vol. 3B, 18.2 and 18.3.</summary>
[TestFixture]
internal sealed class BreakpointTests
{
    private const int DB = 1;
    private const int Software = 0x20;
    private const ulong At = TestMachine.Data + 0x100;
    private const ulong Device = 0x4000_0000;
    private const int Execute = 0;
    private const int Write = 1;
    private const int Port = 2;
    private const int ReadWrite = 3;
    private const ulong Step = Rflags.TF;

    private TestMachine machine = null!;
    private EventLog log = null!;

    [SetUp]
    public void MakeMachine()
    {
        machine = new TestMachine();
        machine.PageTables.Map(new Gva(Device), PhysicalLayout.Scratch, 0x1000, PageRights.Write);
        machine.State.Gpr[GeneralRegister.Rbx] = At;
        log = EventLog.Install(machine, resume: true, DB);
    }

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    // Length in bytes, low bits of DR0, offset and width of the access, and whether they meet: SDM Vol. 3B, table 18-1.
    [TestCase(1, 0, 0, 1, true)]
    [TestCase(1, 0, 1, 1, false)]
    [TestCase(1, 1, 0, 2, true)]
    [TestCase(1, 2, 0, 2, false)]
    [TestCase(1, 0, -1, 2, true)]
    [TestCase(1, 0, -7, 8, true)]
    [TestCase(1, 0, -8, 8, false)]
    [TestCase(2, 0, 1, 1, true)]
    [TestCase(2, 0, 2, 1, false)]
    [TestCase(2, 1, 0, 1, true)]
    [TestCase(2, 1, 2, 1, false)]
    [TestCase(4, 0, 3, 1, true)]
    [TestCase(4, 0, 4, 1, false)]
    [TestCase(4, 3, 0, 1, true)]
    [TestCase(4, 3, 4, 8, false)]
    [TestCase(4, 0, -3, 4, true)]
    [TestCase(4, 0, -4, 4, false)]
    [TestCase(8, 0, 7, 1, true)]
    [TestCase(8, 0, 8, 1, false)]
    [TestCase(8, 7, 0, 1, true)]
    [TestCase(8, 5, -1, 1, false)]
    [TestCase(8, 0, -1, 2, true)]
    public void AnAccessMeetsABreakpointWhereTheyOverlap(int length, int low, int offset, int width, bool meets)
    {
        foreach (bool write in (bool[])[false, true])
        {
            using TestMachine fresh = new();
            EventLog seen = EventLog.Install(fresh, resume: true, DB);
            Enable(fresh, 0, At + (ulong)low, ReadWrite, length);
            fresh.State.Gpr[GeneralRegister.Rbx] = At + (ulong)offset;
            fresh.Kernel(c => Access(c, write, width));

            Assert.That(seen.Events.Count, Is.EqualTo(meets ? 1 : 0), write ? "write" : "read");
        }
    }

    // What DR7 says of DR2, and what an instruction does: whether #DB follows it.
    [TestCase(Write, "store", true)]
    [TestCase(Write, "load", false)]
    [TestCase(Write, "modify", true)]
    [TestCase(Write, "compare", false)]
    [TestCase(Write, "exchange", true)]
    [TestCase(Write, "prefetch", false)]
    [TestCase(Write, "lea", false)]
    [TestCase(Write, "jump", false)]
    [TestCase(Write, "push", true)]
    [TestCase(Write, "call", true)]
    [TestCase(Write, "store16", true)]
    [TestCase(ReadWrite, "store", true)]
    [TestCase(ReadWrite, "load", true)]
    [TestCase(ReadWrite, "modify", true)]
    [TestCase(ReadWrite, "compare", true)]
    [TestCase(ReadWrite, "exchange", true)]
    [TestCase(ReadWrite, "prefetch", false)]
    [TestCase(ReadWrite, "lea", false)]
    [TestCase(ReadWrite, "jump", true)]
    [TestCase(ReadWrite, "push", true)]
    [TestCase(ReadWrite, "pop", true)]
    [TestCase(ReadWrite, "call", true)]
    [TestCase(ReadWrite, "ret", true)]
    [TestCase(Port, "store", false)]
    [TestCase(Port, "load", false)]
    [TestCase(Execute, "store", false)]
    public void TheTrapComesAfterTheInstruction(int condition, string kind, bool traps)
    {
        const ulong next = TestMachine.KernelCode + 0x40;
        machine[At] = next;
        Enable(machine, 2, At, condition, condition == Execute ? 1 : 8);
        machine.State.Gpr[GeneralRegister.Rsp] = kind is "pop" or "ret" ? At : At + 8;
        machine.SetGate(DB, target: 0x1_9000 + 16, ist: 1);
        machine.Place(next, c => c.nop(), halt: true);
        machine.Kernel(c =>
        {
            DataInstruction(c, kind, next);
            c.jmp(next);
        });

        ulong after = kind is "jump" or "call" or "ret" ? next : EventLog.Starts(c => DataInstruction(c, kind, next))[^1];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.Select(e => (e.Rip, e.Dr6, e.HasRF)), Is.EqualTo(traps ? new[] { (after, 4ul, false) } : []));
            Assert.That(machine.State.Rip, Is.EqualTo(next + 2), "it went on");
        }
    }

    [Test]
    public void SeveralConditionsAndAStepAreOneTrap()
    {
        Enable(machine, 0, At, Write, 8);
        Enable(machine, 1, At + 8, ReadWrite, 1, enabled: false);
        Enable(machine, 2, At + 9, ReadWrite, 1, enabled: false);
        Enable(machine, 3, At + 4, ReadWrite, 4);
        machine.Cpu.Rflags |= Step;
        machine.Kernel(c =>
        {
            c.movups(__xmmword_ptr[rbx + 1 - 8], xmm0);
            c.ud2();
        });

        Assert.That(log.Events.Select(e => e.Dr6), Is.EqualTo(new[] { Dr6.BS | 0b1011 }), "B1 although DR1 is not enabled, since another trap is");
    }

    [Test]
    public void ABreakpointThatIsNotEnabledDoesNotTrap()
    {
        Enable(machine, 0, At, ReadWrite, 8, enabled: false);
        machine.Kernel(c => c.mov(__[rbx], rax));

        Assert.That(log.Events, Is.Empty);
        Assert.That(machine.State.Dr[6] & 0xF, Is.Zero);
    }

    [TestCase(0)]
    [TestCase(1)]
    public void TheLocalAndTheGlobalBitEnable(int bit)
    {
        machine.State.Dr[0] = At;
        machine.State.Dr[7] = (1ul << bit) | (Write << 16);
        machine.Cpu.FlushTlb();
        machine.Kernel(c => c.mov(__byte_ptr[rbx], 1));

        Assert.That(log.Events.Count, Is.EqualTo(1));
    }

    [Test]
    public void ARepeatedInstructionTrapsAfterTheIterationThatMetIt()
    {
        Enable(machine, 0, At + 4, Write, 1);
        machine.State.Gpr[GeneralRegister.Rdi] = At;
        machine.State.Gpr[GeneralRegister.Rcx] = 5;
        machine.Kernel(c => c.rep.stosw());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Offsets(), Is.EqualTo(new[] { 0ul }));
            Assert.That(log.Events[0].HasRF, Is.True);
            Assert.That(machine.State.Gpr[GeneralRegister.Rdi], Is.EqualTo(At + 10));
            Assert.That(machine.Cpu.Counters.HaltedTicks, Is.Zero);
        }
    }

    [Test]
    public void AFaultHasNoDataTrap()
    {
        Enable(machine, 0, At, ReadWrite, 1);
        machine.State.Gpr[GeneralRegister.Rsi] = At;
        machine.State.Gpr[GeneralRegister.Rdi] = TestMachine.Mapped;
        machine.Kernel(c => c.movsb());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(14));
            Assert.That(log.Events, Is.Empty);
        }
    }

    [Test]
    public void WhatTheProcessorReadsAndWritesByItselfMeetsNone()
    {
        Enable(machine, 0, TestMachine.KernelStack - 40, ReadWrite, 8);
        Enable(machine, 1, TestMachine.Idt + (6 * 16), ReadWrite, 8);
        Enable(machine, 2, TestMachine.Gdt + TestMachine.KernelSs, ReadWrite, 8);
        machine.Kernel(c =>
        {
            c.mov(eax, ss);
            c.mov(ds, eax);
            c.ud2();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(6));
            Assert.That(log.Events, Is.Empty);
        }
    }

    [TestCase(false)]
    [TestCase(true)]
    public void AnEmulatedAccessMeetsBreakpointsToo(bool write)
    {
        Enable(machine, 0, Device + 4, ReadWrite, 4);
        machine.State.Gpr[GeneralRegister.Rbx] = Device;
        machine.Kernel(c => Access(c, write, 8));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.Count, Is.EqualTo(1));
            Assert.That(machine.Cpu.Counters.MmioExits, Is.EqualTo(1));
        }
    }

    [Test]
    public void MovToDebugRegistersTakesEffectWithTheNextInstruction()
    {
        Action<Assembler> code = c =>
        {
            c.mov(dr1, rbx);
            c.mov(eax, 8 | (Write << 20));
            c.mov(dr7, rax);
            c.mov(__byte_ptr[rbx], 1);
            c.mov(eax, 0);
            c.mov(dr7, rax);
            c.mov(__byte_ptr[rbx], 1);
        };
        machine.Kernel(code);

        Assert.That(log.Events.Select(e => (e.Rip, e.Dr6)), Is.EqualTo(new[] { (EventLog.Starts(code)[4], 2ul) }));
    }

    // CR4.DE, the port and length of DR3, and the port and width of the access.
    [TestCase(true, 0x80, 1, 0x80, 1, true)]
    [TestCase(true, 0x80, 1, 0x81, 1, false)]
    [TestCase(true, 0x83, 4, 0x80, 1, true)]
    [TestCase(true, 0x80, 4, 0x84, 1, false)]
    [TestCase(true, 0x81, 1, 0x80, 2, true)]
    [TestCase(true, 0x83, 1, 0x80, 4, true)]
    [TestCase(false, 0x80, 1, 0x80, 1, false)]
    public void PortBreakpointsTrapAfterTheAccess(bool de, int watched, int length, int port, int width, bool traps)
    {
        foreach (string kind in (string[])["in", "out", "ins", "outs"])
        {
            using TestMachine fresh = new();
            EventLog seen = EventLog.Install(fresh, resume: true, DB);
            fresh.State.Cr4 |= de ? Cr4.DE : 0;
            fresh.State.Gpr[GeneralRegister.Rdx] = (ulong)port;
            fresh.State.Gpr[GeneralRegister.Rsi] = fresh.State.Gpr[GeneralRegister.Rdi] = At;
            Enable(fresh, 3, (ulong)watched, Port, length);
            Action<Assembler> code = c => PortInstruction(c, kind, width);
            fresh.Kernel(code);

            Assert.That(
                seen.Events.Select(e => (e.Rip, e.Dr6)), Is.EqualTo(traps ? new[] { (EventLog.Starts(code)[1], 8ul) } : []), kind);
        }
    }

    [Test]
    public void AnInstructionBreakpointIsAFaultThatRFSuppresses()
    {
        Enable(machine, 1, TestMachine.KernelCode + 1, Execute, 1);
        Enable(machine, 2, TestMachine.KernelCode + 1, Execute, 1, enabled: false);
        machine.Kernel(c =>
        {
            c.nop();
            c.mov(eax, 7);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.Select(e => (e.Rip, e.Dr6, e.HasRF)), Is.EqualTo(new[] { (TestMachine.KernelCode + 1, 6ul, false) }));
            Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(7));
        }
    }

    [Test]
    public void WithoutRFItComesAgain()
    {
        machine.Place(TestMachine.KernelCode, c => c.nop(), halt: true);
        log = EventLog.Install(machine, resume: false, DB);
        Enable(machine, 0, TestMachine.KernelCode, Execute, 1);
        machine.State.Rip = TestMachine.KernelCode;
        StopReport report = machine.Machine.Run(400);

        Assert.That(report.Reason, Is.EqualTo(StopReason.Limit));
        Assert.That(log.Events, Has.Count.GreaterThan(10).And.All.Property("Rip").EqualTo(TestMachine.KernelCode));
    }

    [Test]
    public void RFLastsForOneInstruction()
    {
        machine.Place(TestMachine.KernelCode, c =>
        {
            Label again = c.CreateLabel();
            c.Label(ref again);
            c.dec(ecx);
            c.jne(again);
        }, halt: true);
        Enable(machine, 0, TestMachine.KernelCode, Execute, 1);
        machine.State.Gpr[GeneralRegister.Rcx] = 3;
        machine.State.Rip = TestMachine.KernelCode;
        machine.Machine.Run(1000);

        Assert.That(log.Offsets(), Is.EqualTo(new[] { 0ul, 0ul, 0ul }));
    }

    [Test]
    public void AFaultPushesRFSoThatItsInstructionBreaksOnce()
    {
        machine.SetGate(14, target: TestMachine.KernelCode + 0x400);
        machine.Place(TestMachine.KernelCode + 0x400, c =>
        {
            c.mov(rbx, At);
            c.add(rsp, 8);
            c.iretq();
        });
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.Mapped;
        Enable(machine, 0, TestMachine.KernelCode, Execute, 1);
        machine.Kernel(c => c.mov(__byte_ptr[rbx], 1));

        Assert.That(log.Offsets(), Is.EqualTo(new[] { 0ul }));
    }

    [Test]
    public void ARepeatedInstructionBreaksBeforeItsFirstIterationOnly()
    {
        Enable(machine, 0, TestMachine.KernelCode, Execute, 1);
        Enable(machine, 1, At, Write, 1);
        machine.State.Gpr[GeneralRegister.Rdi] = At;
        machine.State.Gpr[GeneralRegister.Rcx] = 4;
        machine.Kernel(c => c.rep.stosb());

        Assert.That(log.Events.Select(e => (e.Rip - TestMachine.KernelCode, e.Dr6)), Is.EqualTo(new[] { (0ul, 1ul), (0ul, 2ul) }));
    }

    [Test]
    public void ItComesBeforeTheFaultOfTheFetch()
    {
        Enable(machine, 0, TestMachine.Mapped, Execute, 1);
        machine.Kernel(c => c.jmp(TestMachine.Mapped));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { TestMachine.Mapped }));
            Assert.That(machine.Handled, Is.EqualTo(14), "then, with RF, the page fault");
        }
    }

    [Test]
    public void TheHandlersFirstInstructionCanBreak()
    {
        machine.Place(TestMachine.Handler(Software), c =>
        {
            c.nop();
            c.hlt();
        });
        Enable(machine, 0, TestMachine.Handler(Software), Execute, 1);
        machine.Kernel(c => c.@int(Software));

        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { TestMachine.Handler(Software) }));
    }

    [TestCase("int3", 3)]
    [TestCase("int1", 1)]
    public void BreakpointInstructionsTrapWithoutDr6(string kind, int vector)
    {
        log = EventLog.Install(machine, resume: false, 1, 3);
        machine.Kernel(c =>
        {
            if (kind == "int3")
            {
                c.int3();
            }
            else
            {
                c.int1();
            }
        });

        Assert.That(log.Events.Select(e => (e.Vector, e.Rip, e.Dr6)), Is.EqualTo(new[] { (vector, TestMachine.KernelCode + 1, 0ul) }));
    }

    [TestCase("fault", 6)]
    [TestCase("int", Software)]
    public void ADataTrapOfALoadOfSSWaitsUntilAfterTheNextInstruction(string next, int vector)
    {
        machine[At] = TestMachine.KernelSs;
        log = EventLog.Install(machine, resume: false, DB);
        Enable(machine, 0, At, ReadWrite, 2);
        machine.Kernel(c =>
        {
            c.mov(ss, __word_ptr[rbx]);
            if (next == "fault")
            {
                c.ud2();
            }
            else
            {
                c.@int(Software);
            }
        });

        Assert.That(log.Events.Select(e => (e.Rip, e.Dr6)), Is.EqualTo(new[] { (TestMachine.Handler(vector), 1ul) }), "at the first instruction of the handler");
    }

    [Test]
    public void AfterALoadOfSSTheTrapFollowsTheNextInstruction()
    {
        machine[At] = TestMachine.KernelSs;
        Enable(machine, 0, At, ReadWrite, 2);
        Action<Assembler> code = c =>
        {
            c.mov(ss, __word_ptr[rbx]);
            c.mov(eax, 1);
            c.mov(ecx, 1);
        };
        machine.Kernel(code);

        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { EventLog.Starts(code)[2] }));
    }

    [Test]
    public void AnInstructionBreakpointAfterALoadOfSSIsSuppressed()
    {
        Action<Assembler> code = c =>
        {
            c.mov(eax, ss);
            c.mov(ss, eax);
            c.nop();
            c.nop();
        };
        ulong[] starts = EventLog.Starts(code);
        Enable(machine, 0, starts[2], Execute, 1);
        Enable(machine, 1, starts[3], Execute, 1);
        machine.Kernel(code);

        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { starts[3] }));
    }

    [Test]
    public void WatchedCodeCountsAsMuchAsOther()
    {
        Action<Assembler> code = c =>
        {
            Label again = c.CreateLabel();
            c.mov(ecx, 1000);
            c.Label(ref again);
            c.cmp(__dword_ptr[rbx + 64], 5);
            c.je(again);
            c.inc(__dword_ptr[rbx + rcx + 64]);
            c.dec(ecx);
            c.jne(again);
        };
        machine.Kernel(code);
        ulong plain = machine.Cpu.Counters.Instructions;
        Enable(machine, 0, At, Write, 8);
        machine.Kernel(code);

        Assert.That(machine.Cpu.Counters.Instructions, Is.EqualTo(2 * plain));
        Assert.That(log.Events, Is.Empty);
    }

    [Test]
    public void InA32BitSegmentAddressesAreLinear()
    {
        const ulong @base = 0x4000;
        const ulong code = TestMachine.KernelCode;
        machine.State.Segments[SegmentIndex.Cs] = new SegmentRegister { Selector = 0x18, Base = @base, Limit = uint.MaxValue, Attributes = 0xC09B00 };
        machine.State.Segments[SegmentIndex.Ds] = new SegmentRegister { Selector = 0x10, Base = @base, Limit = uint.MaxValue, Attributes = 0xC09300 };
        machine.SetDescriptor(0x18, TestMachine.Code32 | (@base << 16));
        Enable(machine, 0, code + 1, Execute, 1);
        Enable(machine, 1, At, Write, 1);
        machine.State.Gpr[GeneralRegister.Rbx] = At - @base;
        machine.Machine.WriteMemory(new Gpa(code), [0x90, 0x90, 0x88, 0x03, 0x0F, 0x0B]);
        machine.State.Rip = code - @base;
        machine.Cpu.FlushTlb();
        machine.Machine.Run(200);

        Assert.That(log.Events.Select(e => (e.Rip, e.Dr6)), Is.EqualTo(new[] { (code + 1 - @base, 1ul), (code + 4 - @base, 2ul) }));
    }

    private static void Enable(TestMachine machine, int index, ulong address, int condition, int length, bool enabled = true)
    {
        ulong code = length switch
        {
            1 => 0,
            2 => 1,
            8 => 2,
            _ => 3,
        };
        machine.State.Dr[index] = address;
        machine.State.Dr[7] |= (enabled ? 2ul << (2 * index) : 0) | (((uint)condition | (code << 2)) << (16 + (4 * index)));
        machine.Cpu.FlushTlb();
    }

    private static void Access(Assembler c, bool write, int width)
    {
        switch (width, write)
        {
            case (1, true):
                c.mov(__[rbx], al);
                break;
            case (1, false):
                c.mov(al, __[rbx]);
                break;
            case (2, true):
                c.mov(__[rbx], ax);
                break;
            case (2, false):
                c.mov(ax, __[rbx]);
                break;
            case (4, true):
                c.mov(__[rbx], eax);
                break;
            case (4, false):
                c.mov(eax, __[rbx]);
                break;
            case (_, true):
                c.mov(__[rbx], rax);
                break;
            default:
                c.mov(rax, __[rbx]);
                break;
        }
    }

    private static void DataInstruction(Assembler c, string kind, ulong next)
    {
        switch (kind)
        {
            case "store":
                c.mov(__[rbx], al);
                break;
            case "load":
                c.movzx(eax, __byte_ptr[rbx]);
                break;
            case "modify":
                c.@lock.add(__dword_ptr[rbx], 0);
                break;
            case "compare":
                c.cmp(__[rbx], eax);
                break;
            case "exchange":
                c.xchg(__[rbx], rcx);
                break;
            case "prefetch":
                c.prefetcht0(__[rbx]);
                break;
            case "lea":
                c.lea(rax, __[rbx]);
                break;
            case "jump":
                c.jmp(__qword_ptr[rbx]);
                break;
            case "push":
                c.push(rax);
                break;
            case "pop":
                c.pop(rax);
                break;
            case "call":
                c.call(next);
                break;
            case "ret":
                c.ret();
                break;
            default:
                c.movups(__[rbx], xmm1);
                break;
        }
    }

    private static void PortInstruction(Assembler c, string kind, int width)
    {
        switch (kind, width)
        {
            case ("in", 1):
                c.@in(al, dx);
                break;
            case ("in", 2):
                c.@in(ax, dx);
                break;
            case ("in", _):
                c.@in(eax, dx);
                break;
            case ("out", 1):
                c.@out(dx, al);
                break;
            case ("out", 2):
                c.@out(dx, ax);
                break;
            case ("out", _):
                c.@out(dx, eax);
                break;
            case ("ins", 1):
                c.insb();
                break;
            case ("ins", 2):
                c.insw();
                break;
            case ("ins", _):
                c.insd();
                break;
            case (_, 1):
                c.outsb();
                break;
            case (_, 2):
                c.outsw();
                break;
            default:
                c.outsd();
                break;
        }
    }
}
