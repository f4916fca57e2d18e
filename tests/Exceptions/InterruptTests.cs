using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Maskable interrupts, NMI, the shadows of STI and MOV SS, HLT and the clock: SDM Vol. 3A, 7.3, 7.7 and 7.8.</summary>
[TestFixture]
internal sealed class InterruptTests
{
    private const int Vector = 0x40;
    private const int Other = 0x41;
    private const int Nmi = 2;
    private const ulong Device = 0x4000_0000;

    private TestMachine machine = null!;
    private EventLog log = null!;
    private InterruptQueue interrupts = null!;

    [SetUp]
    public void MakeMachine()
    {
        machine = new TestMachine();
        interrupts = new InterruptQueue();
        machine.Cpu.Interrupts = interrupts;
        log = EventLog.Install(machine, resume: false, Vector, Other, Nmi, 0x20);
    }

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    [Test]
    public void AnInterruptComesBeforeTheNextInstructionAndReturns()
    {
        machine.Cpu.Rflags |= Rflags.IF | Rflags.CF;
        interrupts.Raise(Vector);
        machine.Kernel(c =>
        {
            c.mov(eax, 5);
            c.cli();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events, Is.EqualTo(new[] { new LoggedEvent(Vector, TestMachine.KernelCode, 0, Rflags.Fixed | Rflags.IF | Rflags.CF) }));
            Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(5));
            Assert.That(interrupts.HasInterrupt, Is.False);
        }
    }

    // CR4.PVI, IOPL, VIP and what CLI and STI at CPL 3 do: SDM Vol. 2A and 2B, tables 3-7 and 4-19.
    [TestCase(false, 0, false, false, null)]
    [TestCase(false, 0, false, true, null)]
    [TestCase(false, 3, false, true, Rflags.IF)]
    [TestCase(true, 0, false, false, 0ul)]
    [TestCase(true, 0, false, true, Rflags.VIF)]
    [TestCase(true, 2, true, false, Rflags.VIP)]
    [TestCase(true, 2, true, true, null)]
    [TestCase(true, 3, true, true, Rflags.VIP | Rflags.IF)]
    [TestCase(true, 3, false, false, 0ul)]
    public void CliAndStiOfRing3FollowIoplAndPvi(bool pvi, int iopl, bool vip, bool set, ulong? expected)
    {
        machine.State.Cr4 |= pvi ? Cr4.PVI : 0;
        machine.Cpu.Rflags = (ulong)iopl << Rflags.IoplShift;
        machine.State.SystemFlags |= vip ? Rflags.VIP : 0;
        machine.Cpu.FlushTlb();
        machine.User(c =>
        {
            if (set)
            {
                c.sti();
            }
            else
            {
                c.cli();
            }

            c.ud2();
        });

        Assert.That(machine.Handled, Is.EqualTo(expected is null ? 13 : 6));
        if (expected is ulong flags)
        {
            Assert.That(machine.Frame(hasErrorCode: false).Rflags & (Rflags.IF | Rflags.VIF | Rflags.VIP), Is.EqualTo(flags));
        }
    }

    [Test]
    public void ItShowsInATrace()
    {
        machine.Cpu.Rflags |= Rflags.IF;
        machine.SetGate(Vector);
        RaiseOn(0x80, () => interrupts.Raise(Vector));
        machine.Place(TestMachine.KernelCode, c => c.@out(0x80, al), halt: true);
        machine.State.Rip = TestMachine.KernelCode;
        using MemoryStream output = new();
        new Tracer(output, new TracerOptions { Exceptions = true }).Run(machine.Machine, 100);

        string[] lines = System.Text.Encoding.UTF8.GetString(output.ToArray()).Split('\n');
        using (Assert.EnterMultipleScope())
        {
            Assert.That(lines[1], Does.StartWith("0000000000010002: (interrupted)").And.Contain("-> INT 0x40"));
            Assert.That(lines[2], Does.StartWith("  delivered to 0x30400:"));
            Assert.That(lines[3], Does.StartWith("0000000000030400: hlt"));
        }
    }

    [Test]
    public void WithIFClearItWaits()
    {
        interrupts.Raise(Vector);
        StopReport report = machine.Kernel(c => c.nop());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(log.Events, Is.Empty);
            Assert.That(interrupts.HasInterrupt, Is.True);
        }
    }

    // What turns IF on or makes a shadow, and after how many of the instructions that follow the interrupt comes.
    [TestCase("sti", 1)]
    [TestCase("sti sti", 1)]
    [TestCase("popf", 0)]
    [TestCase("sti popss", 2)]
    public void InterruptsComeWhereTheShadowEnds(string kind, int expected)
    {
        Action<Assembler> before = c =>
        {
            c.mov(ecx, ss);
            switch (kind)
            {
                case "popf":
                    c.push(0x202);
                    c.popfq();
                    break;
                case "sti":
                    c.sti();
                    break;
                case "sti sti":
                    c.sti();
                    c.sti();
                    break;
                default:
                    c.sti();
                    c.mov(ss, ecx);
                    break;
            }
        };
        interrupts.Raise(Vector);
        machine.Kernel(c =>
        {
            before(c);
            c.nop();
            c.nop();
            c.nop();
            c.cli();
        });

        ulong start = EventLog.Starts(before)[^1];
        ulong at = kind is "sti sti" or "sti popss" ? start - 1 + (ulong)expected : start + (ulong)expected;
        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { at }));
    }

    [TestCase(false, false, 2)]
    [TestCase(false, true, 2)]
    [TestCase(true, false, 1)]
    [TestCase(true, true, 1)]
    public void AnEventThatArisesWithALoadOfSSWaitsForOneInstructionButForLss(bool lss, bool nmi, int after)
    {
        AttachDevice(nmi ? machine.Cpu.RaiseNmi : () => interrupts.Raise(Vector));
        machine.Cpu.Rflags |= Rflags.IF;
        Action<Assembler> code = c =>
        {
            if (lss)
            {
                c.lss(esp, __[rbx]);
            }
            else
            {
                c.mov(ss, __word_ptr[rbx]);
            }

            c.nop();
            c.nop();
            c.cli();
        };
        machine.Kernel(code);

        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { EventLog.Starts(code)[after] }));
    }

    [Test]
    public void OfSeveralLoadsOfSSInARowOnlyTheFirstCastsAShadow()
    {
        machine.Cpu.Rflags |= Rflags.IF;
        Action<Assembler> code = c =>
        {
            c.mov(ecx, ss);
            c.mov(ss, ecx);
            c.mov(ss, ecx);
            c.nop();
            c.cli();
        };
        ulong[] starts = EventLog.Starts(code);
        machine.Cpu.NextEvent = 2;
        machine.Cpu.EventDue = _ => interrupts.Raise(Vector);
        machine.Kernel(code);

        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { starts[3] }));
    }

    [Test]
    public void AnInterruptRaisedByOutOrMmioComesBeforeTheNextInstruction()
    {
        AttachDevice(() => interrupts.Raise(Other));
        RaiseOn(0x80, () => interrupts.Raise(Vector));
        machine.Cpu.Rflags |= Rflags.IF;
        Action<Assembler> code = c =>
        {
            c.nop();
            c.@out(0x80, al);
            c.nop();
            c.mov(eax, __[rbx]);
            c.nop();
            c.cli();
        };
        machine.Kernel(code);

        ulong[] starts = EventLog.Starts(code);
        Assert.That(log.Events.Select(e => (e.Vector, e.Rip)), Is.EqualTo(new[] { (Vector, starts[2]), (Other, starts[4]) }));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void ARepeatedInstructionIsInterruptedBetweenIterations(bool mmio)
    {
        int accesses = 0;
        void Access()
        {
            if (++accesses == 2)
            {
                interrupts.Raise(Vector);
                machine.Cpu.RequestAttention();
            }
        }

        AttachDevice(Access);
        RaiseOn(0x80, Access);
        machine.State.Gpr[GeneralRegister.Rdx] = 0x80;
        machine.State.Gpr[GeneralRegister.Rsi] = mmio ? Device : TestMachine.Data;
        machine.State.Gpr[GeneralRegister.Rcx] = 5;
        machine.Cpu.Rflags |= Rflags.IF;
        machine.Place(TestMachine.Handler(0x42), c =>
        {
            c.mov(r8, rcx);
            c.iretq();
        });
        machine.SetGate(Vector, target: TestMachine.Handler(0x42));
        machine.Kernel(c =>
        {
            if (mmio)
            {
                c.rep.lodsd();
            }
            else
            {
                c.rep.outsb();
            }

            c.cli();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[8], Is.EqualTo(3));
            Assert.That(accesses, Is.EqualTo(5));
            Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.Zero);
        }
    }

    [Test]
    public void BetweenIterationsRFIsPushed()
    {
        RaiseOn(0x80, () => interrupts.Raise(Vector));
        machine.State.Gpr[GeneralRegister.Rdx] = 0x80;
        machine.State.Gpr[GeneralRegister.Rsi] = TestMachine.Data;
        machine.State.Gpr[GeneralRegister.Rcx] = 2;
        machine.Cpu.Rflags |= Rflags.IF;
        machine.Kernel(c =>
        {
            c.rep.outsb();
            c.cli();
        });

        Assert.That(log.Events.Select(e => (e.Rip - TestMachine.KernelCode, e.HasRF)), Is.EqualTo(new[] { (0ul, true), (2ul, false) }));
    }

    [TestCase(Vector)]
    [TestCase(6)]
    [TestCase(8)]
    [TestCase(13)]
    [TestCase(14)]
    public void ExternalInterruptsHaveNoErrorCodeAndIgnoreTheGatesDpl(int vector)
    {
        machine.SetGate(vector, dpl: 0);
        machine.State.Cr2 = 0x1234;
        machine.Cpu.Rflags |= Rflags.IF;
        interrupts.Raise((byte)vector);
        machine.User(c => c.nop());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.Rsp0 - 40));
            Assert.That(machine.Frame(hasErrorCode: false).Rip, Is.EqualTo(TestMachine.UserCode));
            Assert.That(machine.Frame(hasErrorCode: false).Rflags & Rflags.RF, Is.Zero);
            Assert.That(machine.State.Cr2, Is.EqualTo(0x1234));
        }
    }

    [Test]
    public void AnInstructionThatAsksForTheSameGateNeedsItsDpl()
    {
        machine.SetGate(Vector, dpl: 0);
        machine.User(c => c.@int(Vector));

        Assert.That(machine.Handled, Is.EqualTo(13));
        Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo((Vector << 3) | 2), "EXT is 0");
    }

    [TestCase("gate", 13, (Vector << 3) | 3)]
    [TestCase("absent", 11, (Vector << 3) | 3)]
    [TestCase("code", 13, 1)]
    public void WhatPreventsTheirDeliveryHasEXT(string broken, int vector, int code)
    {
        switch (broken)
        {
            case "gate":
                machine.State.Idtr.Limit = (Vector * 16) - 1;
                break;
            case "absent":
                machine[TestMachine.Idt + (Vector * InterruptGate.Size)] &= ~(1ul << 47);
                break;
            default:
                machine.SetGate(Vector, selector: 0);
                break;
        }

        machine.Cpu.Rflags |= Rflags.IF;
        interrupts.Raise(Vector);
        machine.Kernel(c => c.nop());

        Assert.That(machine.Handled, Is.EqualTo(vector));
        Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo(code));
        Assert.That(machine.Frame(hasErrorCode: true).Rip, Is.EqualTo(TestMachine.KernelCode));
    }

    [Test]
    public void AFaultWhileAnInterruptIsDeliveredIsNoDoubleFault()
    {
        machine.SetGate(14, selector: 0);
        machine.Cpu.Rflags |= Rflags.IF;
        interrupts.Raise(14);
        machine.Kernel(c => c.nop());

        Assert.That(machine.Handled, Is.EqualTo(13), "vector 14 from outside is benign");
    }

    [Test]
    public void AnInterruptGateMasksAndATrapGateDoesNot()
    {
        machine.SetGate(Vector, trap: true, target: TestMachine.KernelCode + 0x400);
        machine.Place(TestMachine.KernelCode + 0x400, c =>
        {
            c.nop();
            c.cli();
            c.iretq();
        });
        machine.Cpu.Rflags |= Rflags.IF;
        interrupts.Raise(Vector);
        interrupts.Raise(Other);
        machine.Kernel(c => c.cli());

        Assert.That(log.Events.Select(e => e.Rip), Is.EqualTo(new[] { TestMachine.KernelCode + 0x400 }), "the second before the first instruction of the first's handler");
    }

    [Test]
    public void AnNmiIgnoresIFAndBlocksOthersUntilIret()
    {
        machine.SetGate(Nmi, target: TestMachine.KernelCode + 0x400);
        RaiseOn(0x80, machine.Cpu.RaiseNmi);
        machine.Place(TestMachine.KernelCode + 0x400, c =>
        {
            c.inc(r9);
            c.mov(__[(r9 * 8) + (long)TestMachine.Data], rsp);
            c.@out(0x80, al);
            c.@out(0x80, al);
            c.cmp(r9, 3);
            c.jne(TestMachine.KernelCode + 0x440);
            c.hlt();
        });
        machine.Place(TestMachine.KernelCode + 0x440, c => c.iretq());
        machine.Cpu.RaiseNmi();
        machine.Cpu.RaiseNmi();
        machine.Kernel(c => c.nop());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[9], Is.EqualTo(3));
            Assert.That(new[] { machine[TestMachine.Data + 8], machine[TestMachine.Data + 16], machine[TestMachine.Data + 24] },
                Is.All.EqualTo(TestMachine.KernelStack - 40), "each after the IRET of the one before, never nested");
            Assert.That(machine.Cpu.IsNmiBlocked, Is.True);
        }
    }

    [Test]
    public void AnIretThatFaultsUnblocksNmis()
    {
        machine.SetGate(Nmi, target: TestMachine.KernelCode + 0x400);
        machine.SetGate(13, target: TestMachine.KernelCode + 0x480);
        machine.Place(TestMachine.KernelCode + 0x400, c =>
        {
            c.inc(r9);
            c.@out(0x80, al);
            c.mov(__qword_ptr[rsp + 8], 0);
            c.iretq();
        });
        RaiseOn(0x80, machine.Cpu.RaiseNmi);
        machine.Place(TestMachine.KernelCode + 0x480, c => c.hlt());
        machine.Cpu.RaiseNmi();
        machine.Place(TestMachine.KernelCode, c => c.nop(), halt: true);
        machine.State.Rip = TestMachine.KernelCode;
        machine.Machine.Run(5);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[9], Is.EqualTo(2), "the second at the #GP handler's first instruction");
            Assert.That(machine[machine.State.Gpr[GeneralRegister.Rsp]], Is.Not.Zero);
        }
    }

    [TestCase(true)]
    [TestCase(false)]
    public void AnInterruptWakesAHaltWithRipAfterIt(bool nmi)
    {
        machine.Cpu.NextEvent = 100;
        machine.Cpu.EventDue = _ => interrupts.Raise(Vector);
        RaiseOn(0x80, machine.Cpu.RaiseNmi);
        machine.Kernel(c =>
        {
            if (nmi)
            {
                c.@out(0x80, al);
                c.hlt();
            }
            else
            {
                c.sti();
                c.hlt();
                c.cli();
            }
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.Select(e => (e.Vector, e.Rip - TestMachine.KernelCode)), Is.EqualTo(new[] { nmi ? (Nmi, 2ul) : (Vector, 2ul) }));
            Assert.That(machine.Cpu.Counters.HaltedTicks, Is.EqualTo(nmi ? 0 : 98));
        }
    }

    [Test]
    public void StiAndHltAreNotTornApart()
    {
        interrupts.Raise(Vector);
        machine.Kernel(c =>
        {
            c.sti();
            c.hlt();
            c.cli();
        });

        Assert.That(log.Offsets(), Is.EqualTo(new[] { 2ul }));
    }

    [Test]
    public void AHaltThatNothingCanEndStopsTheMachineAndLasts()
    {
        StopReport first = machine.Kernel(c =>
        {
            c.sti();
            c.hlt();
            c.cli();
        });
        StopReport second = machine.Machine.Run(10);
        interrupts.Raise(Vector);
        StopReport third = machine.Machine.Run(100);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first.Reason, Is.EqualTo(StopReason.Asleep));
            Assert.That(second.Reason, Is.EqualTo(StopReason.Asleep));
            Assert.That(third.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(log.Offsets(), Is.EqualTo(new[] { 2ul }));
        }
    }

    [Test]
    public void AHaltUnderATimerThatNeverInterruptsEndsAtTheLimit()
    {
        machine.Cpu.NextEvent = 10;
        machine.Cpu.EventDue = now => machine.Cpu.NextEvent = now + 10;
        machine.Cpu.Rflags |= Rflags.IF;
        machine.Place(TestMachine.KernelCode, c => c.hlt());
        machine.State.Rip = TestMachine.KernelCode;

        Assert.That(machine.Machine.Run(1000).Reason, Is.EqualTo(StopReason.Limit));
    }

    [TestCase(1ul)]
    [TestCase(2ul)]
    [TestCase(57ul)]
    [TestCase(1023ul)]
    [TestCase(1024ul)]
    [TestCase(5000ul)]
    public void ATimerFiresAtItsExactInstruction(ulong due)
    {
        ulong fired = 0;
        machine.Cpu.NextEvent = due;
        machine.Cpu.EventDue = now =>
        {
            fired = now;
            interrupts.Raise(Vector);
        };
        machine.Cpu.Rflags |= Rflags.IF;
        machine.SetGate(Vector);
        machine.Kernel(c =>
        {
            Label again = c.CreateLabel();
            c.Label(ref again);
            c.inc(rax);
            c.dec(rcx);
            c.jne(again);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fired, Is.EqualTo(due));
            Assert.That(machine.Handled, Is.EqualTo(Vector));
            Assert.That(machine.Cpu.Counters.Instructions, Is.EqualTo(due + 1), "and the HLT of the handler");
            Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo((due + 2) / 3));
        }
    }

    [Test]
    public void ASourceThatNeverEndsDoesNotHoldTheHost()
    {
        machine.Cpu.Interrupts = new Endless();
        machine.SetGate(Vector, trap: true);
        machine.Cpu.Rflags |= Rflags.IF;
        machine.State.Rip = TestMachine.KernelCode;

        Assert.That(machine.Machine.Run(2_000).Reason, Is.EqualTo(StopReason.Limit));
    }

    /// <summary>Maps a device at <see cref="Device"/>, where RBX points.</summary>
    private void AttachDevice(Action accessed)
    {
        Gpa at = PhysicalLayout.Scratch + 0x10_0000;
        machine.PageTables.Map(new Gva(Device), at, 0x1000, PageRights.Write);
        machine.Machine.Mmio.Attach(at, new StackPointerDevice(accessed));
        machine.State.Gpr[GeneralRegister.Rbx] = Device;
    }

    private void RaiseOn(ushort port, Action action) => machine.Machine.Ports.Attach(port, new PortTrigger(action));

    private sealed class Endless : IInterruptSource
    {
        public bool HasInterrupt => true;

        public byte Acknowledge() => Vector;
    }

    private sealed class PortTrigger(Action accessed) : IPortDevice
    {
        public int PortCount => 1;

        public uint ReadPort(int offset, int width) => 0;

        public void WritePort(int offset, int width, uint value) => accessed();
    }

    /// <summary>Reads as a far pointer to the kernel's stack, whose offset's or only part calls back.</summary>
    private sealed class StackPointerDevice(Action accessed) : IMmioDevice
    {
        public ulong Size => 0x1000;

        public void Read(ulong offset, Span<byte> destination)
        {
            if (offset != 4 || destination.Length == sizeof(uint))
            {
                accessed();
            }

            uint value = destination.Length == sizeof(ushort) ? TestMachine.KernelSs : (uint)TestMachine.KernelStack;
            System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in value))[..destination.Length].CopyTo(destination);
        }

        public void Write(ulong offset, ReadOnlySpan<byte> source) => accessed();
    }
}
