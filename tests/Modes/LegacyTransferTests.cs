using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;
using static Quadwalk.Tests.LegacyDescriptor;
using Assembler = Iced.Intel.Assembler;

namespace Quadwalk.Tests;

/// <summary>Far JMP, CALL and RET, and call gates (SDM Vol. 3A, 6.8; Vol. 2, "CALL", "JMP", "RET").</summary>
[TestFixture]
public sealed class LegacyTransferTests
{
    private const int Free = LegacyMachine.Free, Target = Free + 8, InnerStack = Free + 16;
    private const LegacyMode P16 = LegacyMode.Protected16, P32 = LegacyMode.Protected32, C32 = LegacyMode.Compatibility32;
    private const uint Far = 0x1_8000;

    internal static IEnumerable<LegacyCase> Direct()
    {
        foreach (LegacyMode mode in (LegacyMode[])[P16, P32, C32])
        {
            foreach (bool call in (bool[])[false, true])
            {
                yield return To("code of the same ring", mode, call, Segment(Code), Free);
                yield return To("conforming code of the same ring", mode, call, Segment(ConformingCode), Free);
                yield return To("execute-only code", mode, call, Segment(ExecuteOnly), Free);
                yield return To("A is set", mode, call, Segment(Code & ~1), Free) with { Check = m => Assert.That(m.Access(Free), Is.EqualTo(Code)) };
                yield return To("code of the outer ring", mode, call, Segment(Code | Ring3), Free, Expected.Gp(Free));
                yield return To("conforming code of the outer ring", mode, call, Segment(ConformingCode | Ring3), Free, Expected.Gp(Free));
                yield return To("RPL above CPL", mode, call, Segment(Code), Free | 1, Expected.Gp(Free));
                yield return To("RPL above CPL, conforming", mode, call, Segment(ConformingCode), Free | 1);
                yield return To("data", mode, call, Segment(Data), Free, Expected.Gp(Free));
                yield return To("absent", mode, call, Segment(Code & ~Absent), Free, Expected.Np(Free));
                yield return To("absent and of another ring", mode, call, Segment((Code | Ring3) & ~Absent), Free, Expected.Gp(Free));
                yield return To("null", mode, call, 0, 0, Expected.Gp());
                yield return To("null with an RPL", mode, call, 0, 2, Expected.Gp());
                yield return To("beyond the GDT", mode, call, 0, 0x200, Expected.Gp(0x200));
                yield return To("an LDT", mode, call, Segment(Ldt), Free, Expected.Gp(Free));
                yield return To("an offset beyond the limit", mode, call, LegacyDescriptor.Segment(Far, 7, Code, Big), Free, Expected.Gp());
                yield return To("inner code", mode, call, Segment(Code), Free | 3, Expected.Gp(Free), 3);
                yield return To("inner conforming code", mode, call, Segment(ConformingCode), Free, null, 3) with
                {
                    Check = m => { if (!m.IsIa32e) { Assert.That(m.Frame(1), Is.EqualTo(Free | 3), "CS with the CPL as its RPL"); } },
                };
            }
        }

        yield return new("CALL pushes CS and EIP", P32, c => c.call((ushort)Free, 0x10u), Arrange: m => PutTarget(m, Segment(Code)),
            Check: m =>
            {
                Assert.That(m.Dword(LegacyMachine.StackBase + 0xFF8), Is.EqualTo(LegacyMachine.Entry + 7));
                Assert.That(m.Dword(LegacyMachine.StackBase + 0xFFC), Is.EqualTo(0x18));
            });
        yield return new("CALL of 16 bits pushes CS and IP", P16, c => c.call((ushort)Free, (ushort)0x10), Arrange: m => PutTarget(m, Segment(Code)),
            Check: m => Assert.That(m.Dword(LegacyMachine.StackBase + 0xFFC), Is.EqualTo((0x18u << 16) | (LegacyMachine.Entry + 5))));
        yield return new("CALL without room", P32, c => { c.mov(esp, 4); c.call((ushort)(Free | 3), 0x10u); }, Expected.Ss(), 3, m => PutTarget(m, Segment(Code | Ring3)));
        yield return new("JMP by memory", P32, c => c.jmp(__fword_ptr[0x40]), Arrange: m => { PutTarget(m, Segment(Code)); m.SetDword(LegacyMachine.DataBase + 0x40, 0x10); m.SetWord(LegacyMachine.DataBase + 0x44, Free); },
            Check: m => Assert.That(m.State.Segments[SegmentIndex.Cs].Selector, Is.EqualTo(Free)));
        yield return new("JMP in real-address mode", LegacyMode.Real, c => c.jmp(0x2000, (ushort)0x10), Arrange: m => m.Write(0x2_0010, [0xF4]),
            Check: m => Assert.That((m.State.Segments[SegmentIndex.Cs].Selector, m.State.Segments[SegmentIndex.Cs].Base, m.State.Rip), Is.EqualTo(((ushort)0x2000, 0x2_0000ul, 0x11ul))));
        yield return new("JMP of 32 bits beyond 64 KiB", LegacyMode.Real, c => c.db(0x66, 0xEA, 0, 0, 1, 0, 0, 0x20), Expected.Gp());
        yield return new("CALL and RETF in virtual-8086 mode", LegacyMode.Virtual8086, c => c.call(0x2000, (ushort)0x10), Arrange: m => m.Write(0x2_0010, [0xB3, 0x42, 0xCB]),
            Check: m => Assert.That(((byte)m.State.Gpr[3], m.Frame(3)), Is.EqualTo(((byte)0x42, LegacyMachine.StackTop))));
    }

    internal static IEnumerable<LegacyCase> Returns()
    {
        foreach (LegacyMode mode in (LegacyMode[])[P16, P32, C32])
        {
            yield return Return("the same ring", mode, Segment(Code), Free);
            yield return Return("conforming code", mode, Segment(ConformingCode), Free);
            yield return Return("null", mode, 0, 0, Expected.Gp());
            yield return Return("beyond the GDT", mode, 0, 0x200, Expected.Gp(0x200));
            yield return Return("data", mode, Segment(Data), Free, Expected.Gp(Free));
            yield return Return("DPL is not RPL", mode, Segment(Code | Ring3), Free, Expected.Gp(Free));
            yield return Return("conforming, DPL above RPL", mode, Segment(ConformingCode | Ring3), Free, Expected.Gp(Free));
            yield return Return("absent", mode, Segment(Code & ~Absent), Free, Expected.Np(Free));
            yield return Return("an inner ring", mode, Segment(Code), Free, Expected.Gp(Free), 3);
            yield return Return("an offset beyond the limit", mode, LegacyDescriptor.Segment(Far, 7, Code, Big), Free, Expected.Gp());
            yield return Outer("code and stack", mode, 0x43) with
            {
                Check = m =>
                {
                    Assert.That((byte)m.State.Gpr[3], Is.EqualTo(0x42));
                    Assert.That((m.State.Segments[SegmentIndex.Ds].Selector, m.State.Segments[SegmentIndex.Ds].Attributes), Is.EqualTo(((ushort)0, 0u)), "DS of ring 0 is dropped");
                    Assert.That(m.State.Segments[SegmentIndex.Es].Selector, Is.EqualTo(0x3B), "ES of ring 3 stays");
                    Assert.That(m.Frame(3), Is.EqualTo(0x900), "ESP");
                },
                Arrange = m => { PutTarget(m, Segment(Code | Ring3), user: true); m.State.Segments[SegmentIndex.Es] = LegacyMachine.Register(0x3B, m.Qword(LegacyMachine.Gdt + 0x38)); },
            };
            yield return Outer("SS is null", mode, 0, Expected.Gp());
            yield return Outer("SS of another RPL", mode, 0x40, Expected.Gp(0x40));
            yield return Outer("SS of another DPL", mode, 0x2B, Expected.Gp(0x28));
            yield return Outer("SS is code", mode, 0x33, Expected.Gp(0x30));
            yield return Outer("SS absent", mode, Target | 3, Expected.Ss(Target));
        }

        yield return new("the operands are on two stacks", P32, c => { c.push(0x43); c.push(0x900); c.sub(esp, 8); c.push(Free | 3); c.push(0x10); c.retf(8); },
            Arrange: m => PutTarget(m, Segment(Code | Ring3), user: true), Check: m => Assert.That(m.Frame(3), Is.EqualTo(0x908)))
        { Ends = 3 };
    }

    internal static IEnumerable<LegacyCase> Gates()
    {
        foreach (bool call in (bool[])[false, true])
        {
            yield return Gate("the same ring", call, Code, Gate(Target, CallGate32));
            yield return Gate("16 bits", call, Code, LegacyDescriptor.Gate(Target, 0x10, CallGate16));
            yield return Gate("absent", call, Code, Gate(Target, CallGate32 & ~Absent), Expected.Np(Free));
            yield return Gate("null target", call, Code, Gate(0, CallGate32), Expected.Gp());
            yield return Gate("target beyond the GDT", call, Code, Gate(0x200, CallGate32), Expected.Gp(0x200));
            yield return Gate("data as its target", call, Data, Gate(Target, CallGate32), Expected.Gp(Target));
            yield return Gate("an outer target", call, Code | Ring3, Gate(Target, CallGate32), Expected.Gp(Target));
            yield return Gate("target absent", call, Code & ~Absent, Gate(Target, CallGate32), Expected.Np(Target));
            yield return Gate("an offset beyond the limit", call, Code, LegacyDescriptor.Gate(Target, 0x2_0000, CallGate32), Expected.Gp());
            yield return Gate("DPL below CPL", call, Code, Gate(Target, CallGate32), Expected.Gp(Free), 3);
            yield return Gate("DPL below RPL", call, Code, Gate(Target, CallGate32), Expected.Gp(Free)) with { Code = c => Go(c, call, Free | 1) };
            yield return Gate("DPL below CPL and absent", call, Code, Gate(Target, CallGate32 & ~Absent), Expected.Gp(Free), 3);
            yield return Gate("inner conforming code keeps CPL", call, ConformingCode, Gate(Target, CallGate32 | Ring3), null, 3);
        }

        yield return Gate("inner code takes a CALL", false, Code, Gate(Target, CallGate32 | Ring3), Expected.Gp(Target), 3);
        yield return Inner("SS is null", m => m.SetWord(LegacyMachine.Tss + 16, 1), Expected.Ts(0));
        yield return Inner("SS beyond the GDT", m => m.SetWord(LegacyMachine.Tss + 16, 0x201), Expected.Ts(0x200));
        yield return Inner("SS of another RPL", m => m.SetWord(LegacyMachine.Tss + 16, InnerStack), Expected.Ts(InnerStack));
        yield return Inner("SS of another DPL", m => m.SetDescriptor(InnerStack, Segment(Data)), Expected.Ts(InnerStack));
        yield return Inner("SS is read-only", m => m.SetDescriptor(InnerStack, Segment(ReadOnly | Ring1)), Expected.Ts(InnerStack));
        yield return Inner("SS absent", m => m.SetDescriptor(InnerStack, Segment((Data | Ring1) & ~Absent)), Expected.Ss(InnerStack));
        yield return Inner("no room", m => m.SetDword(LegacyMachine.Tss + 12, 8), Expected.Ss(InnerStack));
        yield return Inner("the TSS is too short", m => m.State.Tr.Limit = 16, Expected.Ts(LegacyMachine.TssSelector));
        yield return Inner("no room comes before the offset", m => { m.SetDword(LegacyMachine.Tss + 12, 8); m.SetDescriptor(Free, LegacyDescriptor.Gate(Target, 0x2_0000, CallGate32 | Ring3)); }, Expected.Ss(InnerStack));
        yield return Inner("a parameter beyond the stack's end", m => m.State.Gpr[4] = 0xFFFF, Expected.Ss());

        yield return new("parameters", P32, c => { c.push(0x1111); c.push(0x2222); c.call((ushort)Free, 0u); }, Cpl: 3,
            Arrange: m => { m.SetDescriptor(Free, LegacyDescriptor.Gate(0x18, 0x800, CallGate32 | Ring3, 2)); m.Place(LegacyMachine.CodeBase + 0x800, 0x800, 32, TakeParameters32); },
            Check: m => Took(m, 0x1111, 0x2222, LegacyMachine.StackTop - 8, 0x18));
        yield return new("parameters of 16 bits", P16, c => { c.push(0x1111); c.push(0x2222); c.call((ushort)Free, (ushort)0); }, Cpl: 3,
            Arrange: m => { m.SetDescriptor(Free, LegacyDescriptor.Gate(0x18, 0x800, CallGate16 | Ring3, 2)); m.Place(LegacyMachine.CodeBase + 0x800, 0x800, 16, TakeParameters16); },
            Check: m => Took(m, 0x1111, 0x2222, LegacyMachine.StackTop - 4, 0x18));
        yield return new("a stack of a 16-bit TSS", P32, c => c.call((ushort)Free, 0u), Cpl: 3,
            Arrange: m =>
            {
                m.State.Tr = LegacyMachine.Register(LegacyMachine.TssSelector, LegacyDescriptor.Segment(LegacyMachine.OtherTss, 43, Tss16 | Busy));
                m.SetDword(LegacyMachine.OtherTss + 2, (LegacyMachine.FlatData << 16) | 0x5000u);
                m.SetDescriptor(Free, LegacyDescriptor.Gate(0x18, 0x800, CallGate32 | Ring3));
                m.Place(LegacyMachine.CodeBase + 0x800, 0x800, 32, c => { c.mov(ebx, esp); c.retf(); });
            },
            Check: m => Assert.That(m.State.Gpr[3], Is.EqualTo(0x5000 - 16)));

        yield return new("to 64-bit code and back", C32, c => c.call((ushort)Free, 0u), Cpl: 3,
            Arrange: m =>
            {
                m.SetDescriptor(Free, LegacyDescriptor.Gate(LegacyMachine.HandlerCs, 0x9_0000, CallGate32 | Ring3));
                m.SetQword(LegacyMachine.Gdt + Free + 8, 0);
                m.Place(0x9_0000, 0, 64, c => { c.mov(rbx, 0x1_0000_0042); c.mov(rsi, __qword_ptr[rsp + 24]); c.db(0x48, 0xCB); });
            },
            Check: m => { Assert.That(m.State.Gpr[3] & 0xFF, Is.EqualTo(0x42)); Assert.That(m.State.Gpr[6], Is.EqualTo(0x43)); Assert.That(m.Frame(1), Is.EqualTo(0x33)); });
        yield return new("a 64-bit gate to 32-bit code", C32, c => c.call((ushort)Free, 0u), Expected.Gp(0x18), Arrange: m => { m.SetDescriptor(Free, Gate(0x18, CallGate32)); m.SetQword(LegacyMachine.Gdt + Free + 8, 0); });
        yield return new("a 64-bit gate with a type in its upper half", C32, c => c.call((ushort)Free, 0u), Expected.Gp(Free), Arrange: m => { m.SetDescriptor(Free, Gate(8, CallGate32)); m.SetQword(LegacyMachine.Gdt + Free + 8, 1ul << 40); });
        foreach (int type in (int[])[CallGate16, TaskGate, Tss16, Tss32, Tss32 | Busy])
        {
            yield return new($"system type {type & 15} in IA-32e mode", C32, c => c.call((ushort)Free, 0u), Expected.Gp(Free), Arrange: m => m.SetDescriptor(Free, Gate(0x18, type)));
        }
    }

    [TestCaseSource(nameof(Direct))]
    [TestCaseSource(nameof(Returns))]
    [TestCaseSource(nameof(Gates))]
    public void TransfersAreAsTheSdmSays(object row) => ((LegacyCase)row).Run();

    private static ulong Segment(int access, uint limit = 0xFFFF) => LegacyDescriptor.Segment(Far, limit, access, Big);

    private static ulong Gate(int selector, int access) => LegacyDescriptor.Gate((ushort)selector, 0x10, access);

    private static void PutTarget(LegacyMachine machine, ulong descriptor, bool user = false)
    {
        if (descriptor != 0)
        {
            machine.SetDescriptor(Free, descriptor);
        }

        machine.SetDescriptor(Target, Segment((Data | Ring3) & ~Absent));
        machine.Write(Far + 0x10, machine.Cpl == 3 || user ? [0xB3, 0x42, 0xCD, 0x80] : [0xB3, 0x42, 0xF4]);
    }

    private static void Go(Assembler c, bool call, int selector)
    {
        if (call)
        {
            c.call((ushort)selector, 0x10u);
        }
        else
        {
            c.jmp((ushort)selector, 0x10u);
        }
    }

    private static LegacyCase To(string name, LegacyMode mode, bool call, ulong descriptor, int selector, Expected? fault = null, int cpl = 0) => new(
        $"{(call ? "CALL" : "JMP")}: {name}", mode, c => Go(c, call, selector), fault, cpl, m => PutTarget(m, descriptor),
        m => Assert.That((byte)m.State.Gpr[3], Is.EqualTo(fault is null ? 0x42 : 0)));

    private static LegacyCase Return(string name, LegacyMode mode, ulong descriptor, int selector, Expected? fault = null, int cpl = 0) => new(
        $"RETF: {name}", mode, c => { Push(c, mode, selector); Push(c, mode, 0x10); c.retf(); }, fault, cpl, m => PutTarget(m, descriptor),
        m => Assert.That((byte)m.State.Gpr[3], Is.EqualTo(fault is null ? 0x42 : 0)));

    private static LegacyCase Outer(string name, LegacyMode mode, int stack, Expected? fault = null) => new(
        $"RETF to ring 3: {name}", mode, c => { Push(c, mode, stack); Push(c, mode, 0x900); Push(c, mode, Free | 3); Push(c, mode, 0x10); c.retf(); }, fault, 0,
        m => PutTarget(m, Segment(Code | Ring3), user: true))
    { Ends = 3 };

    private static void Push(Assembler c, LegacyMode mode, int value)
    {
        if (mode is P16)
        {
            c.mov(ax, (short)value);
            c.push(ax);
        }
        else
        {
            c.push(value);
        }
    }

    private static LegacyCase Gate(string name, bool call, int target, ulong gate, Expected? fault = null, int cpl = 0) => new(
        $"{(call ? "CALL" : "JMP")} through a gate: {name}", P32, c => Go(c, call, Free | (cpl == 3 ? 3 : 0)), fault, cpl,
        m => { PutTarget(m, gate); m.SetDescriptor(Target, Segment(target)); },
        m => Assert.That((byte)m.State.Gpr[3], Is.EqualTo(fault is null ? 0x42 : 0)));

    /// <summary>A CALL from ring 3 to ring 1, which does not happen; the handlers use the stack of ring 0.</summary>
    private static LegacyCase Inner(string name, Action<LegacyMachine> spoil, Expected fault) => new(
        $"CALL to ring 1: {name}", P32, c => c.call((ushort)Free, 0u), fault, 3, m =>
        {
            m.SetDescriptor(Free, LegacyDescriptor.Gate(Target, 0x10, CallGate32 | Ring3, 2));
            m.SetDescriptor(Target, Segment(Code | Ring1));
            m.SetDescriptor(InnerStack, Segment(Data | Ring1));
            m.SetDword(LegacyMachine.Tss + 12, 0x800);
            m.SetWord(LegacyMachine.Tss + 16, InnerStack | 1);
            spoil(m);
        });

    private static void TakeParameters32(Assembler c)
    {
        c.mov(ebx, __dword_ptr.ss[esp + 12]);
        c.mov(esi, __dword_ptr.ss[esp + 8]);
        c.mov(edi, __dword_ptr.ss[esp + 16]);
        c.mov(edx, cs);
        c.retf(8);
    }

    private static void TakeParameters16(Assembler c)
    {
        c.movzx(ebx, __word_ptr.ss[esp + 6]);
        c.movzx(esi, __word_ptr.ss[esp + 4]);
        c.movzx(edi, __word_ptr.ss[esp + 8]);
        c.mov(edx, cs);
        c.retf(4);
    }

    private static void Took(LegacyMachine m, uint first, uint second, uint pointer, int code)
    {
        Assert.That(((uint)m.State.Gpr[3], (uint)m.State.Gpr[6], (uint)m.State.Gpr[7], (int)m.State.Gpr[2]), Is.EqualTo((first, second, pointer, code)));
        Assert.That((m.Frame(1), m.Frame(3) & ushort.MaxValue, m.Frame(4)), Is.EqualTo((0x33u, LegacyMachine.StackTop, 0x43u)), "CS, SP and SS afterwards");
    }
}
