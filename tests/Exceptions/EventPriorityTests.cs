using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>
/// SDM Vol. 3A, table 7-2: every pair of events that can meet at one boundary, which follows an OUT. The one of higher priority is
/// delivered first.
/// </summary>
[TestFixture]
internal sealed class EventPriorityTests
{
    private const int DB = 1;
    private const int Nmi = 2;
    private const int UD = 6;
    private const int GP = 13;
    private const int PF = 14;
    private const int AC = 17;
    private const int External = 0x40;

    /// <summary>The events in descending priority, with the vector that each is delivered by.</summary>
    private static readonly (string Name, int Vector)[] Table =
    [
        ("trap", DB),
        ("nmi", Nmi),
        ("interrupt", External),
        ("code breakpoint", DB),
        ("fetch", PF),
        ("decode", UD),
        ("execute", GP),
    ];

    private static IEnumerable<TestCaseData> Pairs()
    {
        for (int first = 0; first < Table.Length; first++)
        {
            for (int second = first + 1; second < Table.Length; second++)
            {
                // An instruction has one fault.
                if (first < 4)
                {
                    yield return new TestCaseData(Table[first].Name, Table[second].Name, Table[first].Vector, Table[second].Vector);
                }
            }
        }
    }

    [TestCaseSource(nameof(Pairs))]
    public void TheHigherComesFirst(string first, string second, int firstVector, int secondVector)
    {
        using TestMachine machine = new();
        EventLog log = EventLog.Install(machine, resume: true, DB, Nmi, External);
        InterruptQueue interrupts = new();
        machine.Cpu.Interrupts = interrupts;
        machine.Cpu.Rflags |= Rflags.IF;
        string[] events = [first, second];
        ulong boundary = events.Contains("fetch") ? TestMachine.Mapped : TestMachine.KernelCode + 0x100;
        if (events.Contains("trap"))
        {
            machine.Cpu.Rflags |= Rflags.TF;
        }

        if (events.Contains("code breakpoint"))
        {
            machine.State.Dr[0] = boundary;
            machine.State.Dr[7] = 1;
        }

        machine.Machine.Ports.Attach(0x80, new Trigger(() =>
        {
            if (events.Contains("nmi"))
            {
                machine.Cpu.RaiseNmi();
            }

            if (events.Contains("interrupt"))
            {
                interrupts.Raise(External);
            }
        }));
        machine.Cpu.FlushTlb();
        machine.Place(TestMachine.KernelCode + 0x100, c =>
        {
            if (second == "decode")
            {
                c.ud2();
            }
            else if (second == "execute")
            {
                c.mov(rax, __[rbx]);
            }
        }, halt: true);
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.NonCanonical;

        ulong start = boundary - 2;
        machine.Place(start, c => c.@out(0x80, al));
        machine.State.Rip = start;
        machine.Machine.Run(200);

        int[] seen = [.. log.Vectors];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(log.Events.First(e => e.Rip == boundary).Vector, Is.EqualTo(firstVector));
            if (second is "fetch" or "decode" or "execute")
            {
                Assert.That(machine.Handled, Is.EqualTo(secondVector));
            }
            else
            {
                Assert.That(seen, Does.Contain(secondVector));
            }
        }
    }

    [Test]
    public void AnNmiThatMeetsATrapIsTakenAtTheTrapHandlersFirstInstruction()
    {
        using TestMachine machine = new();
        machine.SetGate(Nmi);
        machine.Machine.Ports.Attach(0x80, new Trigger(machine.Cpu.RaiseNmi));
        machine.Cpu.Rflags |= Rflags.TF;
        machine.Kernel(c => c.@out(0x80, al));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(Nmi));
            Assert.That(machine.Frame(hasErrorCode: false).Rip, Is.EqualTo(TestMachine.Handler(DB)));
        }
    }

    // SDM Vol. 3A, table 7-2, the rows that follow the fetch: what an instruction raises when several of its faults could be.
    [TestCase("undefined before its operand", UD)]
    [TestCase("too long before everything", GP)]
    [TestCase("lock before the operand", UD)]
    [TestCase("privilege before the operand", GP)]
    [TestCase("page fault before alignment", PF)]
    [TestCase("alignment", AC)]
    public void FaultsOfOneInstructionComeInOrder(string kind, int vector)
    {
        using TestMachine machine = new();
        machine.State.Cr0 |= Cr0.AM;
        machine.Cpu.Rflags |= Rflags.AC;
        machine.Cpu.FlushTlb();
        machine.State.Gpr[GeneralRegister.Rbx] = kind == "alignment" ? TestMachine.UserData + 1 : TestMachine.Mapped + 1;
        machine.User(c =>
        {
            switch (kind)
            {
                case "undefined before its operand":
                    c.db(0x0F, 0xFF, 0x03);
                    break;
                case "too long before everything":
                    c.db(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x8B, 0x03);
                    break;
                case "lock before the operand":
                    c.db(0xF0, 0x8B, 0x03);
                    break;
                case "privilege before the operand":
                    c.lgdt(__[rbx]);
                    break;
                default:
                    c.mov(eax, __[rbx]);
                    break;
            }
        });

        Assert.That(machine.Handled, Is.EqualTo(vector));
    }

    // An instruction at the end of the last mapped page: how many bytes of it the page holds, and whether the fetch goes on beyond.
    [TestCase(new byte[] { 0x90 }, 1, null)]
    [TestCase(new byte[] { 0x48, 0x89, 0xC0 }, 2, PF)]
    [TestCase(new byte[] { 0x0F }, 1, PF)]
    [TestCase(new byte[] { 0x0F, 0x0B }, 2, UD, Description = "complete in the page")]
    [TestCase(new byte[] { 0xF0, 0x90 }, 2, UD)]
    public void AFetchFaultsOnlyWhereBytesAreMissing(byte[] bytes, int inPage, int? vector)
    {
        using TestMachine machine = new();
        ulong at = TestMachine.Mapped - (ulong)inPage;
        machine.Machine.WriteMemory(new Gpa(at), bytes.AsSpan(0, inPage));
        machine.State.Rip = at;
        StopReport report = machine.Machine.Run(vector is null ? 1ul : 100);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(report.Reason, Is.EqualTo(vector is null ? StopReason.Limit : StopReason.Halted));
            Assert.That(machine.State.Cr2, Is.EqualTo(vector == PF ? TestMachine.Mapped : 0));
        }
    }

    private sealed class Trigger(Action accessed) : IPortDevice
    {
        public int PortCount => 1;

        public uint ReadPort(int offset, int width) => 0;

        public void WritePort(int offset, int width, uint value) => accessed();
    }
}
