using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;
using static Quadwalk.Tests.LegacyDescriptor;

namespace Quadwalk.Tests;

/// <summary>Interrupts, exceptions and IRET outside IA-32e mode (SDM Vol. 2A, "INT n" and "IRET"; Vol. 3A, 7.12; Vol. 3B, 22.1.4 and 22.3).</summary>
[TestFixture]
public sealed class LegacyInterruptTests
{
    private const int Free = LegacyMachine.Free, InnerStack = Free + 16;
    private const LegacyMode Real = LegacyMode.Real, V86 = LegacyMode.Virtual8086, P16 = LegacyMode.Protected16, P32 = LegacyMode.Protected32;
    private const int Vector = 0x20;
    private const uint Ended = 0x800;
    private const uint InnerTop = 0x5_0800;

    internal static IEnumerable<LegacyCase> Gates()
    {
        foreach (LegacyMode mode in (LegacyMode[])[P16, P32])
        {
            yield return Int("an interrupt gate", mode, Gate(Interrupt32), new(Vector)) with { Arrange = m => { m.SetGate(Vector, Gate(Interrupt32)); m.Cpu.Rflags |= Rflags.IF; }, Check = m => Flags(m, Rflags.IF, false) };
            yield return Int("a trap gate leaves IF", mode, Gate(Trap32), new(Vector)) with { Arrange = m => { m.SetGate(Vector, Gate(Trap32)); m.Cpu.Rflags |= Rflags.IF; }, Check = m => Flags(m, Rflags.IF, true) };
            yield return Int("NT is cleared", mode, Gate(Trap32), new(Vector)) with { Arrange = m => m.Cpu.Rflags |= Rflags.NT, Check = m => { Flags(m, Rflags.NT, false); Assert.That(m.Frame(2) & (uint)Rflags.NT, Is.Not.Zero); } };
            yield return Int("a frame of 16 bits", mode, Gate(Interrupt16), new(Vector)) with
            {
                Arrange = m => { m.SetGate(Vector, Gate(Interrupt16)); m.FrameWidth = 2; },
                Check = m => Assert.That((m.Frame(1), m.State.Gpr[4]), Is.EqualTo((0x18u, (ulong)LegacyMachine.StackTop - 6))),
            };
            yield return Int("absent", mode, Gate(Interrupt32 & ~Absent), Expected.Np(Expected.OfVector(Vector)), trap: false);
            yield return Int("no gate", mode, Gate(CallGate32), Expected.Gp(Expected.OfVector(Vector)), trap: false);
            yield return Int("no gate and absent", mode, 0, Expected.Gp(Expected.OfVector(Vector)), trap: false);
            yield return Int("DPL below CPL", mode, Gate(Interrupt32), Expected.Gp(Expected.OfVector(Vector)), 3, trap: false);
            yield return Int("a null target", mode, Gate(Interrupt32, 0), Expected.Gp(), trap: false);
            yield return Int("a target beyond the GDT", mode, Gate(Interrupt32, 0x200), Expected.Gp(0x200), trap: false);
            yield return Int("data as the target", mode, Gate(Interrupt32, 0x20), Expected.Gp(0x20), trap: false);
            yield return Int("a target of the outer ring", mode, Gate(Interrupt32, 0x30), Expected.Gp(0x30), trap: false);
            yield return Int("a target that is absent", mode, Gate(Interrupt32, Free), Expected.Np(Free), trap: false) with { Arrange = m => { m.SetGate(Vector, Gate(Interrupt32, Free)); m.SetDescriptor(Free, Segment(Code & ~Absent)); } };
            yield return Int("an offset beyond the limit", mode, LegacyDescriptor.Gate(LegacyMachine.HandlerCs, 0x2_0000, Interrupt32), Expected.Gp(), trap: false);
            yield return Int("beyond IDTR.limit", mode, Gate(Interrupt32), Expected.Gp(Expected.OfVector(Vector)), trap: false) with { Arrange = m => m.State.Idtr.Limit = (Vector * 8) + 6 };
            yield return new("the EXT bit of an exception's gate", mode, c => c.ud2(), Expected.Gp(1), Arrange: m => m.SetGate(6, Gate(Interrupt32, 0)));
            yield return new("the EXT bit where an exception's gate is absent", mode, c => c.ud2(), Expected.Np(Expected.OfVector(6) | 1), Arrange: m => m.SetGate(6, Gate(Interrupt32 & ~Absent)));
            yield return new("a double fault", mode, c => { c.xor(cx, cx); c.div(cl); }, new(8, 0), Arrange: m => m.SetGate(0, Gate(Interrupt32 & ~Absent)));
        }

        yield return Inner("the frame", _ => { }, null) with
        {
            Check = m =>
            {
                Ran(m);
                Assert.That(m.Frame(1), Is.EqualTo(Free | 1));
                Assert.That(Enumerable.Range(0, 5).Select(i => m.Dword(InnerTop - 20 + (4 * (uint)i))), Is.EqualTo((uint[])[m.EndOfCode, 0x33, 2, LegacyMachine.StackTop, 0x43]));
            },
        };
        yield return Inner("SS is null", m => m.SetWord(LegacyMachine.Tss + 16, 1), Expected.Ts(0));
        yield return Inner("SS of another DPL", m => m.SetDescriptor(InnerStack, Segment(Data)), Expected.Ts(InnerStack));
        yield return Inner("SS absent", m => m.SetDescriptor(InnerStack, Segment((Data | Ring1) & ~Absent)), Expected.Ss(InnerStack));
        yield return Inner("no room", m => m.SetDword(LegacyMachine.Tss + 12, 16), Expected.Ss(InnerStack));
        yield return Inner("the TSS is too short", m => m.State.Tr.Limit = 16, Expected.Ts(LegacyMachine.TssSelector));
        yield return Inner("room for the frame and no more", m => m.SetDword(LegacyMachine.Tss + 12, 20), null) with { Check = Ran };
    }

    internal static IEnumerable<LegacyCase> OldModes()
    {
        yield return new("INT in real-address mode", Real, c => { c.sti(); c.@int(Vector); }, new(Vector), Check: m =>
        {
            Assert.That((m.Frame(1), m.State.Gpr[4]), Is.EqualTo((LegacyMachine.CodeBase >> 4, (ulong)LegacyMachine.StackTop - 6)));
            Assert.That(m.Frame(2) & (uint)Rflags.IF, Is.Not.Zero);
            Flags(m, Rflags.IF, false);
        })
        { IsTrap = true };
        yield return new("no error code in real-address mode", Real, c => c.mov(ax, __word_ptr[0xFFFF]), Expected.Gp(), Check: m => Assert.That(m.State.Gpr[4], Is.EqualTo(LegacyMachine.StackTop - 6)));
        yield return new("beyond IDTR.limit", Real, c => c.@int(Vector), Expected.Gp(), Arrange: m => m.State.Idtr.Limit = (Vector * 4) + 2);
        yield return new("IDTR.base", Real, c => c.@int(Vector), new(5), Arrange: m => { m.State.Idtr.Base = 0x6_0000; m.SetDword(0x6_0000 + (4 * Vector), 0x8000_0050); }) { IsTrap = true };
        yield return new("SP wraps within a frame", Real, c => { c.mov(sp, 4); c.@int(Vector); }, new(Vector), Check: m => Assert.That((m.State.Gpr[4], m.Word(LegacyMachine.StackBase + 2), m.Word(LegacyMachine.StackBase)), Is.EqualTo((0xFFFEul, (ushort)m.Cpu.Rflags, (ushort)0x1000)))) { IsTrap = true };
        yield return new("a double fault in real-address mode", Real, c => c.@int(Vector), new(8), Arrange: m => { m.State.Idtr.Limit = (9 * 4) - 1; });

        yield return new("INT in virtual-8086 mode", V86, c => c.@int(0x80), new(0x80), Check: m =>
        {
            Assert.That(Enumerable.Range(1, 8).Select(m.Frame), Is.EqualTo((uint[])[0x1000, 0x2_3002, LegacyMachine.StackTop, 0x7000, 0x4000, 0x4000, 0x4000, 0x4000]), "CS, EFLAGS, ESP, SS, ES, DS, FS, GS");
            Assert.That((m.State.Segments[SegmentIndex.Ds].Attributes, m.State.Cpl, m.State.Gpr[4]), Is.EqualTo((0u, (byte)0, (ulong)LegacyMachine.InnerStackTop - 36)));
        })
        { IsTrap = true };
        yield return new("INT without IOPL", V86, c => c.@int(0x80), Expected.Gp(), Arrange: m => m.SetIopl(2));
        yield return new("INT3 without IOPL", V86, c => c.int3(), new(3), Arrange: m => { m.SetIopl(0); m.SetGate(3, Gate(Interrupt32 | Ring3, LegacyMachine.HandlerCs, 3)); }) { IsTrap = true };
        yield return new("INT3 through a gate of DPL 0", V86, c => c.int3(), Expected.Gp(Expected.OfVector(3)));
        yield return new("INTO without IOPL", V86, c => { c.mov(al, 0x7F); c.add(al, al); c.db(0xCE); }, new(4), Arrange: m => { m.SetIopl(0); m.SetGate(4, Gate(Interrupt32 | Ring3, LegacyMachine.HandlerCs, 4)); }) { IsTrap = true };
        yield return new("a handler of ring 1", V86, c => c.@int(Vector), Expected.Gp(Free), Arrange: m => { m.SetGate(Vector, Gate(Interrupt32 | Ring3, Free)); m.SetDescriptor(Free, Segment(Code | Ring1)); });
        yield return new("a conforming handler", V86, c => c.@int(Vector), Expected.Gp(Free), Arrange: m => { m.SetGate(Vector, Gate(Interrupt32 | Ring3, Free)); m.SetDescriptor(Free, Segment(ConformingCode)); });
        foreach (LegacyMode mode in (LegacyMode[])[Real, P16, P32])
        {
            yield return new("INTO with OF", mode, c => { c.mov(al, 0x7F); c.add(al, al); c.db(0xCE); }, new(4)) { IsTrap = true };
            yield return new("INTO without OF", mode, c => { c.xor(al, al); c.db(0xCE); });
            yield return new("INT3", mode, c => c.int3(), new(3)) { IsTrap = true };
            yield return new("INT1", mode, c => c.db(0xF1), new(1)) { IsTrap = true };
        }
    }

    internal static IEnumerable<LegacyCase> Returns()
    {
        yield return Iret("the same ring", P32, 2, 0x18);
        yield return Iret("IOPL and IF at CPL 0", P32, 0x3202, 0x18) with { Check = m => Flags(m, Rflags.Iopl | Rflags.IF, true) };
        yield return Iret("null", P32, 2, 0, Expected.Gp());
        yield return Iret("an inner ring", P32, 2, 0x18, Expected.Gp(0x18), 3);
        yield return Iret("data", P32, 2, 0x20, Expected.Gp(0x20));
        yield return Iret("absent", P32, 2, Free, Expected.Np(Free));
        yield return Iret("IOPL and IF stay at CPL 3", P32, 0x3202, 0x33, null, 3) with { Check = m => Assert.That(m.Frame(2) & 0x3200, Is.Zero) };
        yield return Iret("IF with IOPL at CPL 3", P32, 0x0202, 0x33, null, 3) with { Arrange = m => { Put(m); m.SetIopl(3); }, Check = m => Assert.That(m.Frame(2) & 0x3200, Is.EqualTo(0x3200)) };
        yield return Iret("VM does nothing above CPL 0", P32, 0x2_0002, 0x33, null, 3) with { Check = m => Assert.That(m.Frame(2) & (uint)Rflags.VM, Is.Zero) };
        yield return new("IRETD beyond the limit of CS", P32, c => { c.push(2); c.push(0x18); c.push(0x1_0000); c.iretd(); }, Expected.Gp());
        yield return new("IRETD of too few words", P32, c => { c.mov(esp, 0xFFF8); c.iretd(); }, Expected.Ss(), 3);
        yield return new("IRET of 16 bits keeps the high half of EFLAGS", P32, c => { c.push(0x0002_0018); c.push(Ended | (0x18 << 16)); c.db(0x66, 0xCF); },
            Arrange: m => { Put(m); m.Cpu.Rflags |= Rflags.ID; m.SetWord(LegacyMachine.StackBase, 0); }, Check: m => { Flags(m, Rflags.ID, true); Ran(m); });
        yield return new("IRETD to ring 3", P32, c => { c.push(0x43); c.push(0x900); c.push(0x202); c.push(0x33); c.push((int)Ended); c.iretd(); }, Arrange: m => Put(m, 3),
            Check: m => { Ran(m); Assert.That((m.Frame(3), m.Frame(2) & 0x202), Is.EqualTo((0x900u, 0x202u))); Assert.That(m.State.Segments[SegmentIndex.Ds].Attributes, Is.Zero); })
        { Ends = 3 };
        yield return new("IRETD to ring 3 with a null SS", P32, c => { c.push(0); c.push(0x900); c.push(2); c.push(0x33); c.push((int)Ended); c.iretd(); }, Expected.Gp());
        yield return new("IRETD to ring 3 with an SS of ring 0", P32, c => { c.push(0x28); c.push(0x900); c.push(2); c.push(0x33); c.push((int)Ended); c.iretd(); }, Expected.Gp(0x28));
        yield return new("IRETD to virtual-8086 mode", P32, c =>
        {
            foreach (int word in (int[])[0x4444, 0x5555, 0x4000, 0x6666, 0x7000, 0x900, 0x2_3002, 0x1000, (int)Ended])
            {
                c.push(word);
            }

            c.iretd();
        }, Arrange: m => Put(m, 3), Check: m =>
        {
            Ran(m);
            Assert.That(Enumerable.Range(1, 8).Select(m.Frame), Is.EqualTo((uint[])[0x1000, 0x2_3002, 0x900, 0x7000, 0x6666, 0x4000, 0x5555, 0x4444]));
        })
        { Ends = 3 };
        yield return new("IRET from virtual-8086 mode", V86, c => { c.push(0x0202); c.push(0x2000); c.push(0x10); c.iret(); }, Arrange: m => m.Write(0x2_0010, [0xCD, 0x80]),
            Check: m => Assert.That((m.Frame(1), m.Frame(2)), Is.EqualTo((0x2000u, 0x2_3202u)), "IOPL stays"));
        yield return new("IRET without IOPL", V86, c => c.iret(), Expected.Gp(), Arrange: m => m.SetIopl(2));
        yield return new("IRET in real-address mode", Real, c => { c.mov(ax, 0x7202); c.push(ax); c.mov(ax, 0x2000); c.push(ax); c.mov(ax, 0x10); c.push(ax); c.iret(); }, Arrange: m => m.Write(0x2_0010, [0xF4]),
            Check: m => { Assert.That(m.State.Segments[SegmentIndex.Cs].Base, Is.EqualTo(0x2_0000)); Flags(m, 0x7200, true); });
        yield return new("IRETD in real-address mode keeps VM and VIP", Real, c => { c.mov(eax, 0x001A_0002); c.push(eax); c.mov(eax, 0x2000); c.push(eax); c.mov(eax, 0x10); c.push(eax); c.iretd(); },
            Arrange: m => m.Write(0x2_0010, [0xF4]), Check: m => Flags(m, Rflags.VM | Rflags.VIP | Rflags.VIF, false));
        yield return new("NT in IA-32e mode", LegacyMode.Compatibility32, c => c.iretd(), Expected.Gp(), Arrange: m => m.Cpu.Rflags |= Rflags.NT);
    }

    internal static IEnumerable<LegacyCase> Privilege()
    {
        foreach ((string name, byte code) in ((string, byte)[])[("CLI", 0xFA), ("STI", 0xFB)])
        {
            foreach (int iopl in (int[])[0, 2, 3])
            {
                yield return new($"{name}, IOPL {iopl}", P32, c => c.db(code), iopl == 3 ? null : Expected.Gp(), 3, m => m.SetIopl(iopl));
                yield return new($"{name}, IOPL {iopl}", V86, c => c.db(code), iopl == 3 ? null : Expected.Gp(), 3, m => m.SetIopl(iopl));
                yield return new($"{name}, IOPL {iopl}", P32, c => c.db(code), Arrange: m => m.SetIopl(iopl));
                yield return new($"{name}, IOPL {iopl}", Real, c => c.db(code), Arrange: m => m.SetIopl(iopl));
            }
        }

        foreach (int iopl in (int[])[0, 3])
        {
            yield return new($"PUSHF, IOPL {iopl}", V86, c => c.pushf(), iopl == 3 ? null : Expected.Gp(), Arrange: m => m.SetIopl(iopl));
            yield return new($"POPF, IOPL {iopl}", V86, c => c.popf(), iopl == 3 ? null : Expected.Gp(), Arrange: m => m.SetIopl(iopl));
            yield return new($"POPFD, IOPL {iopl}", P32, c => { c.push(0x3202); c.popfd(); c.nop(); }, Cpl: 3, Arrange: m => m.SetIopl(iopl), Check: m => Assert.That(m.Frame(2) & 0x3200, Is.EqualTo(iopl == 3 ? 0x3200u : 0)));
            yield return new($"POPFD, IOPL {iopl}", P32, c => { c.push(0x3202); c.popfd(); c.nop(); }, Arrange: m => m.SetIopl(iopl), Check: m => Flags(m, 0x3200, true));
        }

        yield return new("PUSHFD hides VM", V86, c => { c.pushfd(); c.pop(eax); }, Check: m => Assert.That(m.State.Gpr[0] & Rflags.VM, Is.Zero));
        yield return new("POPFD leaves VM and clears VIP", P32, c => { c.push(0x1A_0002); c.popfd(); c.nop(); }, Arrange: m => m.Cpu.Rflags |= Rflags.VIP, Check: m => Flags(m, Rflags.VM | Rflags.VIP | Rflags.VIF, false));
    }

    [TestCaseSource(nameof(Gates))]
    [TestCaseSource(nameof(OldModes))]
    [TestCaseSource(nameof(Returns))]
    [TestCaseSource(nameof(Privilege))]
    public void InterruptsAreAsTheSdmSays(object row) => ((LegacyCase)row).Run();

    [Test]
    public void ExceptionsWithoutAnyHandlerShutTheProcessorDown([Values(Real, V86, P16, P32)] LegacyMode mode)
    {
        using LegacyMachine machine = new(mode);
        machine.State.Idtr.Limit = 0;
        Assert.That(machine.Run(c => c.ud2()).Reason, Is.EqualTo(StopReason.TripleFault));
    }

    private static ulong Segment(int access) => LegacyDescriptor.Segment(LegacyMachine.HandlerBase, 0xFFFF, access, Big);

    private static ulong Gate(int access, int selector = LegacyMachine.HandlerCs, int vector = Vector) => LegacyDescriptor.Gate((ushort)selector, LegacyMachine.Handler(vector), access);

    private static LegacyCase Int(string name, LegacyMode mode, ulong gate, Expected expected, int cpl = 0, bool trap = true) =>
        new($"INT: {name}", mode, c => c.@int(Vector), expected, cpl, m => m.SetGate(Vector, gate)) { IsTrap = trap };

    /// <summary>INT from ring 3 to ring 1.</summary>
    private static LegacyCase Inner(string name, Action<LegacyMachine> spoil, Expected? expected) => new($"INT to ring 1: {name}", P32, c => c.@int(Vector), expected, 3, m =>
    {
        m.SetGate(Vector, Gate(Interrupt32 | Ring3, Free));
        m.SetDescriptor(Free, Segment(Code | Ring1));
        m.SetDescriptor(InnerStack, LegacyDescriptor.Segment(0x5_0000, 0xFFFF, Data | Ring1, Big));
        m.SetDword(LegacyMachine.Tss + 12, 0x800);
        m.SetWord(LegacyMachine.Tss + 16, InnerStack | 1);
        m.Write(LegacyMachine.HandlerBase + LegacyMachine.Handler(Vector), [0xB3, 0x42, 0xCD, 0x80]);
        spoil(m);
    });

    private static LegacyCase Iret(string name, LegacyMode mode, int flags, int selector, Expected? fault = null, int cpl = 0) => new(
        $"IRETD: {name}", mode, c => { c.push(flags); c.push(selector); c.push((int)Ended); c.iretd(); }, fault, cpl, m => Put(m), fault is null ? Ran : null);

    private static void Put(LegacyMachine machine, int ends = 0)
    {
        machine.SetDescriptor(Free, Segment(Code & ~Absent));
        machine.Write(LegacyMachine.CodeBase + Ended, ends == 3 || machine.Cpl == 3 ? [0xB3, 0x42, 0xCD, 0x80] : [0xB3, 0x42, 0xF4]);
    }

    private static void Ran(LegacyMachine machine) => Assert.That((byte)machine.State.Gpr[3], Is.EqualTo(0x42));

    private static void Flags(LegacyMachine machine, ulong flags, bool set) => Assert.That(machine.Cpu.Rflags & flags, Is.EqualTo(set ? flags : 0));
}
