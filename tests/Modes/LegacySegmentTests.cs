using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;
using static Quadwalk.Tests.LegacyDescriptor;

namespace Quadwalk.Tests;

/// <summary>Segment loads and the checks of segment limits and types outside 64-bit mode (SDM Vol. 2B, "MOV"; Vol. 3A, 6.2 to 6.6).</summary>
[TestFixture]
public sealed class LegacySegmentTests
{
    private const int Free = LegacyMachine.Free;
    private const LegacyMode P16 = LegacyMode.Protected16, P32 = LegacyMode.Protected32, C32 = LegacyMode.Compatibility32, V86 = LegacyMode.Virtual8086;

    internal static IEnumerable<LegacyCase> Loads()
    {
        foreach (LegacyMode mode in (LegacyMode[])[P16, P32, C32])
        {
            yield return Load("a data segment", mode, Segment(Data), Free) with { Check = m => Holds(m, SegmentIndex.Es, Free, 0x5_0000) };
            yield return Load("A is set in the descriptor", mode, Segment(Data & ~1), Free) with { Check = m => Assert.That(m.Access(Free), Is.EqualTo(Data)) };
            yield return Load("readable code", mode, Segment(Code), Free) with { Check = m => Holds(m, SegmentIndex.Es, Free, 0x5_0000) };
            yield return Load("execute-only code", mode, Segment(ExecuteOnly), Free, Expected.Gp(Free));
            yield return Load("a system descriptor", mode, Segment(Ldt), Free, Expected.Gp(Free));
            yield return Load("not present", mode, Segment(Data & ~Absent), Free, Expected.Np(Free));
            yield return Load("beyond the GDT", mode, 0, 0x100, Expected.Gp(0x100));
            yield return Load("null", mode, 0, 0) with { Check = m => Assert.That(m.State.Segments[SegmentIndex.Es].Attributes, Is.Zero) };
            yield return Load("null with an RPL", mode, 0, 3) with { Check = m => Assert.That(m.State.Segments[SegmentIndex.Es].Selector, Is.EqualTo(3)) };
            yield return Load("RPL above DPL", mode, Segment(Data), Free | 1, Expected.Gp(Free));
            yield return Load("CPL above DPL", mode, Segment(Data), Free, Expected.Gp(Free), 3);
            yield return Load("conforming code from an outer ring", mode, Segment(ConformingCode), Free | 3, null, 3);
            yield return Load("no LDT", mode, 0, Free | 4, Expected.Gp(Free | 4));
            yield return LoadSs("null", mode, 0, 0, Expected.Gp());
            yield return LoadSs("read-only", mode, Segment(ReadOnly), Free, Expected.Gp(Free));
            yield return LoadSs("readable code", mode, Segment(Code), Free, Expected.Gp(Free));
            yield return LoadSs("RPL is not CPL", mode, Segment(Data), Free | 1, Expected.Gp(Free));
            yield return LoadSs("DPL is not CPL", mode, Segment(Data | Ring3), Free, Expected.Gp(Free));
            yield return LoadSs("not present", mode, Segment(Data & ~Absent), Free, Expected.Ss(Free));
            yield return LoadSs("a data segment", mode, Segment(Data), Free) with { Check = m => Holds(m, SegmentIndex.Ss, Free, 0x5_0000) };
        }

        yield return new("from the LDT", P32, c => { c.mov(ax, 0xC); c.mov(ds, ax); }, Arrange: UseLdt, Check: m => Holds(m, SegmentIndex.Ds, 0xC, 0x6_0000));
        yield return new("beyond the LDT", P32, c => { c.mov(ax, 0x44); c.mov(ds, ax); }, Expected.Gp(0x44), Arrange: UseLdt);
        yield return new("POP of a 32-bit word uses its low half", P32, c => { c.push(0x1234_0000 | Free); c.pop(es); },
            Arrange: m => m.SetDescriptor(Free, Segment(Data)), Check: m => Holds(m, SegmentIndex.Es, Free, 0x5_0000));
        yield return new("PUSH moves a whole word", P32, c => { c.push(ds); c.pop(eax); }, Check: m => Assert.That(m.State.Gpr[0], Is.EqualTo(0x20)));
        yield return new("MOV to CS", P32, c => c.db(0x8E, 0xC8), Expected.Ud);
        yield return new("segment 6", P32, c => c.db(0x8E, 0xF0), Expected.Ud);
        yield return new("a selector in real-address mode is a base", LegacyMode.Real, c => { c.mov(ax, 0xFFFF); c.mov(es, ax); }, Check: m => Holds(m, SegmentIndex.Es, 0xFFFF, 0xF_FFF0));
        yield return new("real-address mode keeps the limit", LegacyMode.Real, c => { c.mov(ax, 0x1234); c.mov(es, ax); },
            Arrange: m => m.State.Segments[SegmentIndex.Es].Limit = uint.MaxValue,
            Check: m => Assert.That(m.State.Segments[SegmentIndex.Es].Limit, Is.EqualTo(uint.MaxValue)));
        yield return new("virtual-8086 mode sets the limit", V86, c => { c.mov(ax, 0x1234); c.mov(es, ax); c.mov(ebx, 0x1_0000); c.mov(al, __byte_ptr.es[ebx]); }, Expected.Gp(),
            Arrange: m => m.State.Segments[SegmentIndex.Es].Limit = uint.MaxValue);
    }

    internal static IEnumerable<LegacyCase> FarPointers()
    {
        foreach ((string name, int index, byte[] code) in ((string, int, byte[])[])
            [("LES", 0, [0xC4, 0x06]), ("LDS", 3, [0xC5, 0x06]), ("LFS", 4, [0x0F, 0xB4, 0x06]), ("LGS", 5, [0x0F, 0xB5, 0x06]), ("LSS", 2, [0x0F, 0xB2, 0x06])])
        {
            byte[] bytes = [.. code, 0x20, 0x00];
            yield return new(name, LegacyMode.Real, c => c.db(bytes), Arrange: m => m.SetDword(LegacyMachine.DataBase + 0x20, 0x2345_6789),
                Check: m => { Holds(m, index, 0x2345, 0x2_3450); Assert.That(m.State.Gpr[0], Is.EqualTo(0x6789)); });
            yield return new(name, P16, c => c.db(bytes), Arrange: m => { m.SetDescriptor(Free, Segment(Data)); m.SetDword(LegacyMachine.DataBase + 0x20, (Free << 16) | 0x6789); },
                Check: m => { Holds(m, index, Free, 0x5_0000); Assert.That(m.State.Gpr[0], Is.EqualTo(0x6789)); });
            yield return new($"{name} that is refused loads nothing", P16, c => c.db(bytes), Expected.Gp(0xF00), Arrange: m => m.SetDword(LegacyMachine.DataBase + 0x20, 0x0F00_6789),
                Check: m => Assert.That(m.State.Gpr[0], Is.Zero));
        }

        foreach ((string name, int index, byte opcode) in ((string, int, byte)[])[("LES", SegmentIndex.Es, 0xC4), ("LDS", SegmentIndex.Ds, 0xC5)])
        {
            yield return new($"{name} with a 32-bit offset", P32, c => c.db(opcode, 0x05, 0x20, 0, 0, 0),
                Arrange: m => { m.SetDescriptor(Free, Segment(Data)); m.SetDword(LegacyMachine.DataBase + 0x20, 0x1234_5678); m.SetWord(LegacyMachine.DataBase + 0x24, Free); },
                Check: m => { Holds(m, index, Free, 0x5_0000); Assert.That(m.State.Gpr[0], Is.EqualTo(0x1234_5678)); });
        }

        yield return new("LES at the end of the segment", P16, c => c.les(ax, __dword_ptr[0xFFFD]), Expected.Gp());
    }

    /// <summary>POP of either size into each segment register.</summary>
    internal static IEnumerable<LegacyCase> Pops()
    {
        foreach ((string name, int index, byte[] opcode) in ((string, int, byte[])[])
            [("ES", SegmentIndex.Es, [0x07]), ("SS", SegmentIndex.Ss, [0x17]), ("DS", SegmentIndex.Ds, [0x1F]), ("FS", SegmentIndex.Fs, [0x0F, 0xA1]), ("GS", SegmentIndex.Gs, [0x0F, 0xA9])])
        {
            foreach (LegacyMode mode in (LegacyMode[])[LegacyMode.Real, P16, P32, C32])
            {
                foreach (bool wide in (bool[])[false, true])
                {
                    byte[] bytes = wide == mode is P32 or C32 ? opcode : [0x66, .. opcode];
                    void Arrange(LegacyMachine m, int access)
                    {
                        m.SetDescriptor(Free, Segment(access));
                        m.SetDword(LegacyMachine.StackBase + LegacyMachine.StackTop, 0x1234_0000 | Free);
                    }

                    yield return new($"POP {name}, {(wide ? 32 : 16)} bits", mode, c => c.db(bytes), Arrange: m => Arrange(m, Data),
                        Check: m => { Holds(m, index, Free, mode == LegacyMode.Real ? Free << 4 : 0x5_0000u); Assert.That(m.State.Gpr[4], Is.EqualTo(LegacyMachine.StackTop + (wide ? 4 : 2))); });
                    if (mode is P16 or P32)
                    {
                        yield return new($"POP {name} that is refused, {(wide ? 32 : 16)} bits", mode, c => c.db(bytes), index == SegmentIndex.Ss ? Expected.Ss(Free) : Expected.Np(Free), Arrange: m => Arrange(m, Data & ~Absent),
                            Check: m => Assert.That(m.State.Gpr[4], Is.EqualTo(LegacyMachine.StackTop - 16), "a frame of four words below what was not popped"));
                    }
                }
            }
        }
    }

    internal static IEnumerable<LegacyCase> Limits()
    {
        foreach (LegacyMode mode in (LegacyMode[])[LegacyMode.Real, V86, P16, P32, C32])
        {
            yield return new("the last byte", mode, c => c.mov(al, __byte_ptr[0xFFFF]));
            yield return new("a word beyond the limit", mode, c => c.mov(ax, __word_ptr[0xFFFF]), Expected.Gp());
            yield return new("a word written beyond the limit", mode, c => c.mov(__word_ptr[0xFFFF], ax), Expected.Gp());
            yield return new("a word modified beyond the limit", mode, c => c.add(__word_ptr[0xFFFF], ax), Expected.Gp());
            yield return new("the stack segment", mode, c => c.mov(ax, __word_ptr.ss[0xFFFF]), Expected.Ss());
            yield return new("a push over the end", mode == LegacyMode.Real ? V86 : mode, c => { c.mov(esp, 1); c.push(ax); }, Expected.Ss(), 3);
            yield return new("CMPXCHG8B beyond the limit", mode, c => c.cmpxchg8b(__qword_ptr[0xFFFA]), Expected.Gp());
            yield return new("a string's source", mode, c => { c.mov(esi, 0xFFFF); c.db(0xA5); }, Expected.Gp());
            yield return new("an offset of 32 bits beyond the limit", mode, c => { c.mov(ebx, 0x1_0000); c.mov(al, __byte_ptr[ebx]); }, Expected.Gp());
            yield return new("an offset of 16 bits wraps", mode, c => { c.mov(ebx, 0xABCD_8000); c.mov(esi, 0x8004); c.mov(al, __byte_ptr[bx + si + 3]); },
                Arrange: m => m.SetWord(LegacyMachine.DataBase + 7, 0x5A), Check: m => Assert.That((byte)m.State.Gpr[0], Is.EqualTo(0x5A)));
        }

        foreach (LegacyMode mode in (LegacyMode[])[P16, P32, C32])
        {
            yield return Through("null", mode, default, read: false);
            yield return Through("read-only data", mode, Segment(ReadOnly), write: false);
            yield return Through("readable code", mode, Segment(Code), write: false);
            yield return Through("execute-only code, as CS may be", mode, Segment(ExecuteOnly), read: false, write: false);
            yield return new("a write to CS", mode, c => c.mov(__byte_ptr.cs[0x10], al), Expected.Gp());
            yield return new("a read of CS", mode, c => c.mov(al, __byte_ptr.cs[0x100]), Check: m => Assert.That((byte)m.State.Gpr[0], Is.EqualTo(0x2E)));
            foreach ((uint offset, bool big, bool allowed) in ((uint, bool, bool)[])
                [(0xFFF, false, false), (0x1000, false, true), (0xFFFE, false, true), (0xFFFF, false, false), (0x1_0000, false, false), (0x1_0000, true, true), (0xFFF, true, false)])
            {
                yield return new($"expand-down, limit FFFH, B = {big}, a word at {offset:X}H", mode, c => { c.mov(ebx, offset); c.mov(ax, __word_ptr.fs[ebx]); }, allowed ? null : Expected.Gp(),
                    Arrange: m => m.State.Segments[SegmentIndex.Fs] = LegacyMachine.Register(Free, Segment(ExpandDown, big ? Big : 0, 0xFFF)));
            }
        }

        yield return new("a write to CS", LegacyMode.Real, c => c.mov(__byte_ptr.cs[0x10], 0x77), Check: m => Assert.That((byte)m.Word(LegacyMachine.CodeBase + 0x10), Is.EqualTo(0x77)));
        yield return new("a write to CS", V86, c => c.mov(__byte_ptr.cs[0x10], 0x77), Check: m => Assert.That((byte)m.Word(LegacyMachine.CodeBase + 0x10), Is.EqualTo(0x77)));
        yield return new("unreal mode reaches beyond 64 KiB", LegacyMode.Real, c => { c.mov(ebx, 0x2_0000); c.mov(eax, __dword_ptr[ebx]); },
            Arrange: m => { m.State.Segments[SegmentIndex.Ds].Limit = uint.MaxValue; m.SetDword(LegacyMachine.DataBase + 0x2_0000, 0x1122_3344); },
            Check: m => Assert.That(m.State.Gpr[0], Is.EqualTo(0x1122_3344)));
        yield return new("FFFF0H and more reaches beyond 1 MiB", LegacyMode.Real, c => { c.mov(ax, 0xFFFF); c.mov(ds, ax); c.mov(ax, __word_ptr[0x10]); },
            Arrange: m => m.SetWord(0x10_0000, 0x1357), Check: m => Assert.That((ushort)m.State.Gpr[0], Is.EqualTo(0x1357)));
        yield return new("a linear address wraps at 4 GiB", P32, c => c.mov(eax, __dword_ptr.fs[2]),
            Arrange: m => { m.State.Segments[SegmentIndex.Fs] = LegacyMachine.Register(Free, LegacyDescriptor.Segment(0xFFFF_FFFE, 0xF_FFFF, Data, Big | Pages)); m.SetDword(0, 0x1234_5678); },
            Check: m => Assert.That(m.State.Gpr[0], Is.EqualTo(0x1234_5678)));
    }

    [TestCaseSource(nameof(Loads))]
    [TestCaseSource(nameof(FarPointers))]
    [TestCaseSource(nameof(Pops))]
    [TestCaseSource(nameof(Limits))]
    public void SegmentsAreAsTheSdmSays(object row) => ((LegacyCase)row).Run();

    private static ulong Segment(int access, int flags = 0, uint limit = 0xFFFF) => LegacyDescriptor.Segment(0x5_0000, limit, access, flags);

    private static LegacyCase Load(string name, LegacyMode mode, ulong descriptor, int selector, Expected? fault = null, int cpl = 0) =>
        new(name, mode, c => { c.mov(ax, (short)selector); c.mov(es, ax); }, fault, cpl, m => Put(m, descriptor));

    private static LegacyCase LoadSs(string name, LegacyMode mode, ulong descriptor, int selector, Expected? fault = null) =>
        new($"SS: {name}", mode, c => { c.mov(ax, (short)selector); c.mov(ss, ax); }, fault, 0, m => Put(m, descriptor));

    /// <summary>A read and a write through FS.</summary>
    private static LegacyCase Through(string name, LegacyMode mode, ulong raw, bool read = true, bool write = false) =>
        new($"{name}, {(read ? "write" : "read")}", mode, c =>
        {
            if (read)
            {
                c.mov(al, __byte_ptr.fs[0]);
                c.mov(__byte_ptr.fs[0], al);
            }
            else
            {
                c.mov(al, __byte_ptr.fs[0]);
            }
        }, write ? null : Expected.Gp(), Arrange: m => m.State.Segments[SegmentIndex.Fs] = LegacyMachine.Register(raw == 0 ? (ushort)0 : (ushort)Free, raw));

    private static void Put(LegacyMachine machine, ulong descriptor)
    {
        if (descriptor != 0)
        {
            machine.SetDescriptor(Free, descriptor);
        }
    }

    private static void UseLdt(LegacyMachine machine)
    {
        machine.UseLdt();
        machine.SetDescriptor(0xC, LegacyDescriptor.Segment(0x6_0000, 0xFFFF, Data));
    }

    private static void Holds(LegacyMachine machine, int index, int selector, uint start)
    {
        Assert.That(machine.State.Segments[index].Selector, Is.EqualTo(selector));
        Assert.That(machine.State.Segments[index].Base, Is.EqualTo(start));
    }
}
