using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;
using static Quadwalk.Tests.LegacyDescriptor;
using Assembler = Iced.Intel.Assembler;

namespace Quadwalk.Tests;

/// <summary>Task switches (SDM Vol. 3A, chapter 9, with tables 9-1 and 9-2).</summary>
[TestFixture]
public sealed class LegacyTaskTests
{
    private const int Other = LegacyMachine.OtherTssSelector, Free = LegacyMachine.Free;
    private const uint Old = LegacyMachine.Tss, New = LegacyMachine.OtherTss;
    private const uint Begin = 0x800;
    private const LegacyMode P32 = LegacyMode.Protected32;

    internal static IEnumerable<LegacyCase> Switches()
    {
        yield return new("JMP", P32, c => c.jmp((ushort)Other, 0u), Arrange: m => Put(m), Check: m =>
        {
            Entered(m);
            Assert.That((m.Access(LegacyMachine.TssSelector), m.Access(Other)), Is.EqualTo((Tss32, Tss32 | Busy)));
            Assert.That(m.Cpu.Rflags & Rflags.NT, Is.Zero);
            Assert.That(m.Word(New), Is.Zero, "no link");
        });
        yield return new("CALL", P32, c => c.call((ushort)Other, 0u), Arrange: m => Put(m), Check: m =>
        {
            Entered(m);
            Assert.That((m.Access(LegacyMachine.TssSelector), m.Access(Other)), Is.EqualTo((Tss32 | Busy, Tss32 | Busy)));
            Assert.That(m.Cpu.Rflags & Rflags.NT, Is.Not.Zero);
            Assert.That(m.Word(New), Is.EqualTo(LegacyMachine.TssSelector));
        });
        yield return new("CALL and IRET", P32, c => { c.mov(ecx, 7); c.call((ushort)Other, 0u); c.mov(edx, 8); }, Arrange: m => Put(m, c => c.iretd()), Check: m =>
        {
            Assert.That((m.State.Gpr[1], m.State.Gpr[2], m.State.Tr.Selector), Is.EqualTo((7ul, 8ul, LegacyMachine.TssSelector)));
            Assert.That((m.Access(LegacyMachine.TssSelector), m.Access(Other)), Is.EqualTo((Tss32 | Busy, Tss32)));
            Assert.That(m.Dword(New + 36) & (uint)Rflags.NT, Is.Zero, "NT of the task that ended");
            Assert.That(m.Dword(New + 32), Is.EqualTo(Begin + 1), "EIP of the task that ended");
            Assert.That(m.State.Cr0 & Cr0.TS, Is.Not.Zero);
        });
        yield return new("what is saved", P32, c => { c.mov(eax, 0x10); c.mov(edi, 0x17); c.jmp((ushort)Other, 0u); }, Arrange: m => Put(m), Check: m =>
        {
            Assert.That((m.Dword(Old + 32), m.Dword(Old + 40), m.Dword(Old + 56), m.Dword(Old + 68)), Is.EqualTo((m.EndOfCode, 0x10u, LegacyMachine.StackTop, 0x17u)));
            Assert.That(Enumerable.Range(0, 6).Select(i => m.Word(Old + 72 + (4 * (uint)i))), Is.EqualTo((ushort[])[0x20, 0x18, 0x28, 0x20, 0x20, 0x20]));
        });
        yield return new("JMP through a task gate", P32, c => c.jmp((ushort)Free, 0u), Arrange: m => { Put(m); m.SetDescriptor(Free, Gate(Other, 0, TaskGate)); }, Check: Entered);
        yield return new("JMP through a task gate from ring 3", P32, c => c.jmp((ushort)(Free | 3), 0u), Cpl: 3, Arrange: m => { Put(m); m.SetDescriptor(Free, Gate(Other, 0, TaskGate | Ring3)); }, Check: Entered) { Ends = 0 };
        yield return new("INT through a task gate", P32, c => c.@int(0x20), Arrange: m => { Put(m); m.SetGate(0x20, Gate(Other, 0, TaskGate)); }, Check: m => { Entered(m); Assert.That(m.Word(New), Is.EqualTo(LegacyMachine.TssSelector)); Assert.That(m.Dword(Old + 32), Is.EqualTo(m.EndOfCode)); });
        yield return new("an exception through a task gate", P32, c => { c.mov(ax, 0xF00); c.mov(ds, ax); }, Arrange: m => { Put(m); m.SetGate(13, Gate(Other, 0, TaskGate)); }, Check: m =>
        {
            Assert.That(m.State.Gpr[4], Is.EqualTo(0x700 - 4), "the error code on the new stack");
            Assert.That(m.Dword(LegacyMachine.StackBase + 0x6FC), Is.EqualTo(0xF00));
            Assert.That((m.Dword(Old + 32), m.Dword(Old + 36) & (uint)Rflags.RF), Is.EqualTo((m.LastInstruction, (uint)Rflags.RF)));
        });
        yield return new("from virtual-8086 mode through a task gate", LegacyMode.Virtual8086, c => c.@int(0x20), Arrange: m => { Put(m); m.SetGate(0x20, Gate(Other, 0, TaskGate | Ring3)); },
            Check: m => { Assert.That(m.State.Gpr[0], Is.EqualTo(0xAAAA_0000)); Assert.That((m.Dword(Old + 36) & (uint)Rflags.VM, m.Word(Old + 76)), Is.EqualTo(((uint)Rflags.VM, (ushort)0x1000))); })
        { Ends = 0 };
        yield return new("to virtual-8086 mode", P32, c => c.jmp((ushort)Other, 0u), Arrange: m =>
        {
            Put(m);
            m.SetDword(New + 36, 0x2_3002);
            foreach ((uint at, ushort value) in ((uint, ushort)[])[(76, 0x1000), (80, 0x7000), (72, 0x4000), (84, 0x4000)])
            {
                m.SetWord(New + at, value);
            }

            m.Write(LegacyMachine.CodeBase + Begin, [0xB3, 0x42, 0xCD, 0x80]);
        }, Check: m => Assert.That(((byte)m.State.Gpr[3], m.Frame(2), m.Frame(4)), Is.EqualTo(((byte)0x42, 0x2_3002u, 0x7000u))))
        { Ends = 3 };
        yield return new("a 16-bit TSS", P32, c => c.jmp((ushort)Other, 0u), Arrange: m => Put16(m), Check: m =>
        {
            Assert.That((m.State.Gpr[0], m.State.Gpr[4], m.State.Rip), Is.EqualTo((0xFFFF_00AAul, 0xFFFF_0700ul, (ulong)Begin + 1)));
            Assert.That((m.State.Segments[SegmentIndex.Fs].Attributes, m.State.Segments[SegmentIndex.Es].Selector), Is.EqualTo((0u, (ushort)0x20)));
        });
        yield return new("from a 16-bit TSS", P32, c => { c.mov(ecx, 0x1234_5678); c.jmp((ushort)Other, 0u); }, Arrange: m =>
        {
            Put(m);
            m.State.Tr = LegacyMachine.Register(LegacyMachine.TssSelector, Segment(Old, 43, Tss16 | Busy));
            m.SetDescriptor(LegacyMachine.TssSelector, Segment(Old, 43, Tss16 | Busy));
        }, Check: m => { Entered(m); Assert.That((m.Word(Old + 14), m.Word(Old + 20), m.Word(Old + 36), m.Access(LegacyMachine.TssSelector)), Is.EqualTo(((ushort)m.EndOfCode, (ushort)0x5678, (ushort)0x18, Tss16))); });
        yield return new("an LDT", P32, c => c.jmp((ushort)Other, 0u), Arrange: m => { Put(m); m.SetWord(New + 96, LegacyMachine.LdtSelector); m.SetDescriptor(0xC, Segment(0x5_0000, 0xFFFF, Data)); m.SetWord(New + 84, 0xC); },
            Check: m => { Entered(m); Assert.That((m.State.Ldtr.Base, m.State.Segments[SegmentIndex.Ds].Base), Is.EqualTo(((ulong)LegacyMachine.Ldt, 0x5_0000ul))); });
        yield return new("T", P32, c => c.jmp((ushort)Other, 0u), new(1), Arrange: m => { Put(m); m.SetWord(New + 100, 1); },
            Check: m => { Assert.That(m.State.Dr[6] & Dr6.BT, Is.Not.Zero); Assert.That(m.State.Gpr[0], Is.EqualTo(0xAAAA_0000)); })
        { At = Begin };
        yield return new("T after INT", P32, c => c.@int(0x20), new(1), Arrange: m => { Put(m); m.SetWord(New + 100, 1); m.SetGate(0x20, Gate(Other, 0, TaskGate)); }, Check: m => Assert.That(m.State.Dr[6] & Dr6.BT, Is.Not.Zero)) { At = Begin };
        yield return new("local breakpoints end", P32, c => c.jmp((ushort)Other, 0u), Arrange: m => { Put(m); m.State.Dr[7] = 0x4FF; }, Check: m => Assert.That(m.State.Dr[7], Is.EqualTo(0x4AA)));
    }

    internal static IEnumerable<LegacyCase> Refusals()
    {
        foreach ((string name, Action<Assembler> code) in ((string, Action<Assembler>)[])[("JMP", c => c.jmp((ushort)Other, 0u)), ("CALL", c => c.call((ushort)Other, 0u))])
        {
            yield return new($"{name}: busy", P32, code, Expected.Gp(Other), Arrange: m => { Put(m); m.SetDescriptor(Other, Segment(New, 103, Tss32 | Busy)); }, Check: Stayed);
            yield return new($"{name}: absent", P32, code, Expected.Np(Other), Arrange: m => { Put(m); m.SetDescriptor(Other, Segment(New, 103, Tss32 & ~Absent)); }, Check: Stayed);
            yield return new($"{name}: too short", P32, code, Expected.Ts(Other), Arrange: m => { Put(m); m.SetDescriptor(Other, Segment(New, 102, Tss32)); }, Check: Stayed);
            yield return new($"{name}: 16 bits and too short", P32, code, Expected.Ts(Other), Arrange: m => { Put(m); m.SetDescriptor(Other, Segment(New, 42, Tss16)); }, Check: Stayed);
            yield return new($"{name}: DPL below CPL", P32, code, Expected.Gp(Other), 3, m => Put(m), Stayed);
        }

        yield return new("a gate of DPL below CPL", P32, c => c.jmp((ushort)(Free | 3), 0u), Expected.Gp(Free), 3, m => { Put(m); m.SetDescriptor(Free, Gate(Other, 0, TaskGate)); });
        yield return new("a gate that is absent", P32, c => c.jmp((ushort)Free, 0u), Expected.Np(Free), Arrange: m => { Put(m); m.SetDescriptor(Free, Gate(Other, 0, TaskGate & ~Absent)); });
        yield return new("a gate to the LDT", P32, c => c.jmp((ushort)Free, 0u), Expected.Gp(0xC), Arrange: m => { Put(m); m.SetDescriptor(Free, Gate(0xC, 0, TaskGate)); });
        yield return new("a gate to nothing", P32, c => c.jmp((ushort)Free, 0u), Expected.Gp(), Arrange: m => { Put(m); m.SetDescriptor(Free, Gate(0, 0, TaskGate)); });
        yield return new("a gate to code", P32, c => c.jmp((ushort)Free, 0u), Expected.Gp(0x18), Arrange: m => { Put(m); m.SetDescriptor(Free, Gate(0x18, 0, TaskGate)); });
        yield return new("a gate of the IDT to a busy TSS", P32, c => c.ud2(), Expected.Gp(Other | 1), Arrange: m => { Put(m); m.SetGate(6, Gate(Other, 0, TaskGate)); m.SetDescriptor(Other, Segment(New, 103, Tss32 | Busy)); });
        yield return new("IRET to a task that is not busy", P32, c => c.iretd(), Expected.Ts(Other), Arrange: m => { Put(m); m.Cpu.Rflags |= Rflags.NT; m.SetWord(Old, Other); });
        yield return new("IRET to nothing", P32, c => c.iretd(), Expected.Ts(0), Arrange: m => { Put(m); m.Cpu.Rflags |= Rflags.NT; });
        yield return new("IRET to the LDT", P32, c => c.iretd(), Expected.Ts(0xC), Arrange: m => { Put(m); m.Cpu.Rflags |= Rflags.NT; m.SetWord(Old, 0xC); });
        yield return new("LTR of a busy TSS", P32, c => { c.mov(ax, Other); c.ltr(ax); }, Expected.Gp(Other), Arrange: m => { Put(m); m.SetDescriptor(Other, Segment(New, 103, Tss32 | Busy)); });
        yield return new("LTR of a 16-bit TSS", P32, c => { c.mov(ax, Other); c.ltr(ax); }, Arrange: m => Put16(m), Check: m => Assert.That((m.Access(Other), m.State.Tr.Base), Is.EqualTo((Tss16 | Busy, (ulong)New))));
        yield return new("LTR of a 16-bit TSS", LegacyMode.Compatibility32, c => { c.mov(ax, Other); c.ltr(ax); }, Expected.Gp(Other), Arrange: m => m.SetDescriptor(Other, Segment(New, 43, Tss16)));
    }

    /// <summary>Faults in the new task, whose CS is of ring 3 so that the handler has the stack of its TSS.</summary>
    internal static IEnumerable<LegacyCase> Failures()
    {
        yield return Failure("LDT beyond the GDT", m => m.SetWord(New + 96, 0x200), Expected.Ts(0x200));
        yield return Failure("LDT is none", m => m.SetWord(New + 96, 0x18), Expected.Ts(0x18));
        yield return Failure("LDT absent", m => m.SetDescriptor(LegacyMachine.LdtSelector, Segment(LegacyMachine.Ldt, 0x3F, Ldt & ~Absent)), Expected.Ts(LegacyMachine.LdtSelector));
        yield return Failure("CS null", m => m.SetWord(New + 76, 3), Expected.Ts(0));
        yield return Failure("CS is data", m => m.SetWord(New + 76, 0x3B), Expected.Ts(0x38));
        yield return Failure("CS of another ring", m => m.SetWord(New + 76, 0x1B), Expected.Ts(0x18));
        yield return Failure("CS absent", m => m.SetDescriptor(0x30, Segment(LegacyMachine.CodeBase, 0xFFFF, (Code | Ring3) & ~Absent)), Expected.Np(0x30));
        yield return Failure("SS null", m => m.SetWord(New + 80, 3), Expected.Ts(0));
        yield return Failure("SS of another ring", m => m.SetWord(New + 80, 0x2B), Expected.Ts(0x28));
        yield return Failure("SS absent", m => m.SetDescriptor(0x40, Segment(LegacyMachine.StackBase, 0xFFFF, (Data | Ring3) & ~Absent)), Expected.Ss(0x40));
        yield return Failure("DS of another ring", m => m.SetWord(New + 84, 0x23), Expected.Ts(0x20));
        yield return Failure("ES is execute-only", m => m.SetDescriptor(Free, Segment(0, 0, ExecuteOnly | Ring3)), Expected.Ts(Free), m => m.SetWord(New + 72, Free | 3));
        yield return Failure("GS absent", m => m.SetDescriptor(Free, Segment(0, 0, (Data | Ring3) & ~Absent)), Expected.Np(Free), m => m.SetWord(New + 92, Free | 3));
        yield return Failure("EIP beyond the limit", m => m.SetDword(New + 32, 0x1_0000), Expected.Gp()) with { At = 0x1_0000 };
    }

    [TestCaseSource(nameof(Switches))]
    [TestCaseSource(nameof(Refusals))]
    [TestCaseSource(nameof(Failures))]
    public void TasksAreSwitchedAsTheSdmSays(object row) => ((LegacyCase)row).Run();

    [Test]
    public void PaePagingLoadsThePdptesOfTheNewTask()
    {
        using LegacyMachine machine = new(P32);
        Put(machine);
        foreach (uint root in (uint[])[0x20_0000, 0x20_1000])
        {
            machine.SetQword(root, (root + 0x2000) | 1);
            machine.SetQword(root + 0x2000, 0x83);
        }

        machine.SetQword(0x20_1008, 0x20_4001);
        machine.SetQword(0x20_4000, 0x83 | 0x20_0000);
        machine.SetDword(New + 28, 0x20_1000);
        machine.State.Cr3 = 0x20_0000;
        machine.State.Cr4 |= Cr4.PAE;
        machine.State.Pdpte = new Mmu.PdpteRegisters(0x20_2001, 0, 0, 0);
        machine.State.Cr0 |= Cr0.PG;
        machine.Cpu.FlushTlb();
        machine.SetDword(0x20_0040, 0x1234_5678);
        machine.SetDescriptor(Free, Segment(0, 0xF_FFFF, Data, Big | Pages));
        machine.SetWord(New + 88, Free);
        machine.Place(LegacyMachine.CodeBase + Begin, Begin, 32, c => { c.mov(eax, __dword_ptr.fs[0x4000_0040]); c.hlt(); });
        StopReport report = machine.Run(c => c.jmp((ushort)Other, 0u));
        Assert.That((report.Reason, machine.State.Gpr[0], machine.State.Cr3), Is.EqualTo((StopReason.Halted, 0x1234_5678ul, 0x20_1000ul)), machine.Cpu.PendingFault.ToString());
    }

    /// <summary>A 32-bit TSS for a task that begins with HLT, or with other code.</summary>
    private static void Put(LegacyMachine machine, Action<Assembler>? code = null)
    {
        machine.SetDescriptor(Other, Segment(New, 103, Tss32));
        machine.SetDword(New + 4, LegacyMachine.InnerStackTop);
        machine.SetWord(New + 8, LegacyMachine.FlatData);
        machine.SetDword(New + 32, Begin);
        machine.SetDword(New + 36, 2);
        for (uint i = 0; i < 8; i++)
        {
            machine.SetDword(New + 40 + (4 * i), 0xAAAA_0000 + i);
        }

        machine.SetDword(New + 56, 0x700);
        ushort[] selectors = [0x20, 0x18, 0x28, 0x20, 0x20, 0x20];
        for (uint i = 0; i < 6; i++)
        {
            machine.SetWord(New + 72 + (4 * i), selectors[i]);
        }

        machine.Place(LegacyMachine.CodeBase + Begin, Begin, 32, code ?? (c => c.hlt()));
        if (machine.Mode == LegacyMode.Virtual8086)
        {
            machine.SetDescriptor(0x18, Segment(LegacyMachine.CodeBase, 0xFFFF, Code, Big));
        }
    }

    private static void Put16(LegacyMachine machine)
    {
        machine.SetDescriptor(Other, Segment(New, 43, Tss16));
        machine.SetWord(New + 14, (ushort)Begin);
        machine.SetWord(New + 16, 2);
        machine.SetWord(New + 18, 0xAA);
        machine.SetWord(New + 26, 0x700);
        ushort[] selectors = [0x20, 0x18, 0x28, 0x20];
        for (uint i = 0; i < 4; i++)
        {
            machine.SetWord(New + 34 + (2 * i), selectors[i]);
        }

        machine.Write(LegacyMachine.CodeBase + Begin, [0xF4]);
    }

    private static LegacyCase Failure(string name, Action<LegacyMachine> spoil, Expected fault, Action<LegacyMachine>? more = null) => new(
        $"in the new task: {name}", P32, c => c.jmp((ushort)Other, 0u), fault, 0, m =>
        {
            Put(m);
            ushort[] selectors = [0x3B, 0x33, 0x43, 0x3B, 0x3B, 0x3B];
            for (uint i = 0; i < 6; i++)
            {
                m.SetWord(New + 72 + (4 * i), selectors[i]);
            }

            m.SetWord(New + 96, LegacyMachine.LdtSelector);
            more?.Invoke(m);
            spoil(m);
        }, m => Assert.That((m.State.Tr.Selector, m.Access(Other), m.Access(LegacyMachine.TssSelector), m.State.Gpr[0]), Is.EqualTo(((ushort)Other, Tss32 | Busy, Tss32, 0xAAAA_0000ul))))
    { At = Begin };

    private static void Entered(LegacyMachine machine)
    {
        Assert.That((machine.State.Tr.Selector, machine.State.Gpr[0], machine.State.Gpr[4], machine.State.Rip), Is.EqualTo(((ushort)Other, 0xAAAA_0000ul, 0x700ul, (ulong)Begin + 1)));
        Assert.That(machine.State.Cr0 & Cr0.TS, Is.Not.Zero);
    }

    private static void Stayed(LegacyMachine machine) =>
        Assert.That((machine.State.Tr.Selector, machine.Access(LegacyMachine.TssSelector)), Is.EqualTo((LegacyMachine.TssSelector, Tss32 | Busy)));
}
