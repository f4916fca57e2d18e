using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;
using static Quadwalk.Tests.LegacyDescriptor;

namespace Quadwalk.Tests;

/// <summary>What instructions do, or refuse to do, because of the mode (SDM Vol. 2, the instructions' pages; Vol. 3B, 22.1 and 22.2).</summary>
[TestFixture]
public sealed class LegacyInstructionTests
{
    private const int Free = LegacyMachine.Free;
    private const LegacyMode Real = LegacyMode.Real, V86 = LegacyMode.Virtual8086, P16 = LegacyMode.Protected16, P32 = LegacyMode.Protected32, C32 = LegacyMode.Compatibility32;
    private const uint Data0 = LegacyMachine.DataBase;

    private static readonly (string Name, byte[] Bytes)[] OfProtectedMode =
    [
        ("SLDT", [0x0F, 0x00, 0xC0]), ("STR", [0x0F, 0x00, 0xC8]), ("LLDT", [0x0F, 0x00, 0xD0]), ("LTR", [0x0F, 0x00, 0xD8]), ("VERR", [0x0F, 0x00, 0xE0]),
        ("VERW", [0x0F, 0x00, 0xE8]), ("LAR", [0x0F, 0x02, 0xC0]), ("LSL", [0x0F, 0x03, 0xC0]), ("ARPL", [0x63, 0xC0]),
    ];

    private static readonly (string Name, byte[] Bytes)[] Privileged =
    [
        ("HLT", [0xF4]), ("LGDT", [0x0F, 0x01, 0x17]), ("LIDT", [0x0F, 0x01, 0x1F]), ("LMSW", [0x0F, 0x01, 0xF0]), ("CLTS", [0x0F, 0x06]), ("MOV to CR0", [0x0F, 0x22, 0xC0]),
        ("MOV from CR0", [0x0F, 0x20, 0xC0]), ("MOV to CR3", [0x0F, 0x22, 0xD8]), ("MOV to DR7", [0x0F, 0x23, 0xF8]), ("MOV from DR7", [0x0F, 0x21, 0xF8]), ("INVLPG", [0x0F, 0x01, 0x3F]),
        ("WRMSR", [0x0F, 0x30]), ("RDMSR", [0x0F, 0x32]), ("INVD", [0x0F, 0x08]), ("WBINVD", [0x0F, 0x09]),
    ];

    internal static IEnumerable<LegacyCase> Availability()
    {
        foreach ((string name, byte[] bytes) in OfProtectedMode)
        {
            yield return new(name, Real, c => c.db(bytes), Expected.Ud);
            yield return new(name, V86, c => c.db(bytes), Expected.Ud);
        }

        foreach ((string name, byte[] bytes) in Privileged)
        {
            yield return new(name, V86, c => c.db(bytes), Expected.Gp());
            yield return new(name, P16, c => c.db(bytes), Expected.Gp(), 3);
            yield return new(name, C32, c => c.db(bytes), Expected.Gp(), 3);
        }

        foreach (LegacyMode mode in (LegacyMode[])[Real, V86, P16, P32, C32])
        {
            yield return new("SYSCALL", mode, c => c.db(0x0F, 0x05), Expected.Ud);
            yield return new("SYSRET", mode, c => c.db(0x0F, 0x07), Expected.Ud);
            yield return new("SMSW", mode, c => c.db(0x0F, 0x01, 0xE0), Check: m => Assert.That((ushort)m.State.Gpr[0], Is.EqualTo((ushort)m.State.Cr0)));
            yield return new("a LOCK that is not allowed", mode, c => c.db(0xF0, 0x90), Expected.Ud);
            yield return new("UD2", mode, c => c.ud2(), Expected.Ud);
            yield return new("LEA of a register", mode, c => c.db(0x8D, 0xC0), Expected.Ud);
            yield return new("an instruction of 16 bytes", mode, c => c.db(0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x90), Expected.Gp()) { At = LegacyMachine.Entry };
            yield return new("40H is INC", mode, c => c.db(0x40), Check: m => Assert.That(m.State.Gpr[0], Is.EqualTo(1)));
            yield return new("4FH is DEC", mode, c => c.db(0x4F), Check: m => Assert.That(m.State.Gpr[7], Is.EqualTo(m.Is32Bit ? uint.MaxValue : ushort.MaxValue)));
            yield return new("SALC", mode, c => { c.stc(); c.db(0xD6); }, Check: m => Assert.That(m.State.Gpr[0], Is.EqualTo(0xFF)));
            yield return new("AAM by 0", mode, c => c.db(0xD4, 0), new(0));
            yield return new("BOUND in range", mode, c => { c.mov(ax, -5); c.bound(ax, __dword_ptr[0x40]); }, Arrange: m => m.SetDword(Data0 + 0x40, 0x0007_FFFB));
            yield return new("BOUND below", mode, c => { c.mov(ax, -6); c.bound(ax, __dword_ptr[0x40]); }, new(5), Arrange: m => m.SetDword(Data0 + 0x40, 0x0007_FFFB));
            yield return new("BOUND above", mode, c => { c.mov(ax, 8); c.bound(ax, __dword_ptr[0x40]); }, new(5), Arrange: m => m.SetDword(Data0 + 0x40, 0x0007_FFFB));
            yield return new("48H is no prefix but DEC", mode, c => c.db(0x48, 0x01, 0xC8), Check: m => Assert.That(m.State.Gpr[0], Is.EqualTo(m.Is32Bit ? uint.MaxValue : ushort.MaxValue)));
        }

        yield return new("63H is ARPL", P32, c => { c.mov(eax, 0x1230); c.mov(ecx, 3); c.db(0x63, 0xC8); }, Check: m => Assert.That((m.State.Gpr[0], m.Cpu.Rflags & Rflags.ZF), Is.EqualTo((0x1233ul, Rflags.ZF))));
        yield return new("ARPL that changes nothing", P32, c => { c.mov(eax, 0x1232); c.mov(ecx, 1); c.db(0x63, 0xC8); }, Check: m => Assert.That((m.State.Gpr[0], m.Cpu.Rflags & Rflags.ZF), Is.EqualTo((0x1232ul, 0ul))));
    }

    internal static IEnumerable<LegacyCase> Tables()
    {
        foreach (LegacyMode mode in (LegacyMode[])[Real, P16])
        {
            yield return new("LGDT of 16 bits takes 24", mode, c => c.db(0x0F, 0x01, 0x16, 0x40, 0x00), Arrange: Pointer, Check: m => Assert.That((m.State.Gdtr.Limit, m.State.Gdtr.Base), Is.EqualTo(((ushort)0x1234, 0xBB_CCDDul))));
            yield return new("LIDT of 32 bits takes all", mode, c => c.db(0x66, 0x0F, 0x01, 0x1E, 0x40, 0x00), Arrange: Pointer, Check: m => Assert.That((m.State.Idtr.Limit, m.State.Idtr.Base), Is.EqualTo(((ushort)0x1234, 0xAABB_CCDDul))));
        }

        yield return new("LIDT of 16 bits takes 24", P16, c => c.db(0x0F, 0x01, 0x1E, 0x40, 0x00), Arrange: Pointer, Check: m => Assert.That((m.State.Idtr.Limit, m.State.Idtr.Base), Is.EqualTo(((ushort)0x1234, 0xBB_CCDDul))));
        yield return new("SIDT of 16 bits", P16, c => c.db(0x0F, 0x01, 0x0E, 0x40, 0x00), Arrange: m => m.SetQword(Data0 + 0x40, ulong.MaxValue), Check: m => Assert.That(m.Qword(Data0 + 0x40), Is.EqualTo(0xFFFF_0000_2000_07FF)));
        yield return new("SGDT", P32, c => c.sgdt(__[0x40]), Arrange: m => m.SetQword(Data0 + 0x40, ulong.MaxValue), Check: m => Assert.That(m.Qword(Data0 + 0x40), Is.EqualTo(0xFFFF_0000_1000_00FF)));
        foreach (LegacyMode mode in (LegacyMode[])[Real, P16, P32, C32])
        {
            yield return new("MOV to DR1 and from it", mode, c => { c.mov(ecx, 0x8765_4321); c.db(0x0F, 0x23, 0xC9); c.db(0x0F, 0x21, 0xC8); }, Arrange: m => m.State.Gpr[0] = uint.MaxValue,
                Check: m => Assert.That((m.State.Dr[1], m.State.Gpr[0]), Is.EqualTo((0x8765_4321ul, 0x8765_4321ul))));
        }

        yield return new("LGDT", P32, c => c.lgdt(__[0x40]), Arrange: Pointer, Check: m => Assert.That((m.State.Gdtr.Limit, m.State.Gdtr.Base), Is.EqualTo(((ushort)0x1234, 0xAABB_CCDDul))));
        yield return new("SIDT", P32, c => c.sidt(__[0x40]), Arrange: m => m.SetQword(Data0 + 0x40, ulong.MaxValue), Check: m => Assert.That(m.Qword(Data0 + 0x40), Is.EqualTo(0xFFFF_0000_2000_07FF)));
        yield return new("SGDT of 16 bits", P16, c => c.db(0x0F, 0x01, 0x06, 0x40, 0x00), Arrange: m => m.State.Gdtr.Base = 0x1234_5678, Check: m => Assert.That(m.Qword(Data0 + 0x40) & 0xFFFF_FFFF_FFFF, Is.EqualTo(0x1234_5678_00FF)));
        yield return new("SGDT at the segment's end", P16, c => c.db(0x0F, 0x01, 0x06, 0xFB, 0xFF), Expected.Gp());
        yield return new("LLDT null", P32, c => { c.xor(eax, eax); c.lldt(ax); }, Arrange: m => m.UseLdt(), Check: m => Assert.That(m.State.Ldtr.Attributes & DescriptorBits.Present, Is.Zero));
        yield return new("LLDT", P32, c => { c.mov(eax, LegacyMachine.LdtSelector); c.lldt(ax); }, Check: m => Assert.That((m.State.Ldtr.Base, m.State.Ldtr.Limit), Is.EqualTo(((ulong)LegacyMachine.Ldt, 0x3Fu))));
        yield return new("LLDT of a TSS", P32, c => { c.mov(eax, LegacyMachine.TssSelector); c.lldt(ax); }, Expected.Gp(LegacyMachine.TssSelector));
        yield return new("LLDT absent", P32, c => { c.mov(eax, Free); c.lldt(ax); }, Expected.Np(Free), Arrange: m => m.SetDescriptor(Free, Segment(0, 0, Ldt & ~Absent)));
        yield return new("LLDT out of the LDT", P32, c => { c.mov(eax, 0xC); c.lldt(ax); }, Expected.Gp(0xC));
        yield return new("LTR null", P32, c => { c.xor(eax, eax); c.ltr(ax); }, Expected.Gp());
        foreach ((int type, bool lar, bool lsl) in ((int, bool, bool)[])
            [(0x80, false, false), (Tss16, true, true), (Ldt, true, true), (Tss16 | Busy, true, true), (CallGate16, true, false), (TaskGate, true, false), (Interrupt16, false, false), (Trap16, false, false),
             (0x88, false, false), (Tss32, true, true), (0x8A, false, false), (Tss32 | Busy, true, true), (CallGate32, true, false), (0x8D, false, false), (Interrupt32, false, false), (Trap32, false, false)])
        {
            ulong raw = Segment(0x12_3456, 0x789A, type);
            yield return new($"LAR of system type {type & 15}", P32, c => { c.mov(ecx, Free); c.lar(eax, ecx); }, Arrange: m => m.SetDescriptor(Free, raw), Check: m => Answers(m, lar, (uint)type << 8));
            yield return new($"LSL of system type {type & 15}", P32, c => { c.mov(ecx, Free); c.lsl(eax, ecx); }, Arrange: m => m.SetDescriptor(Free, raw), Check: m => Answers(m, lsl, 0x789A));
        }

        yield return new("LSL with G", P32, c => { c.mov(ecx, Free); c.lsl(eax, ecx); }, Arrange: m => m.SetDescriptor(Free, Segment(0, 0x1_2345, Data, Pages)), Check: m => Answers(m, true, 0x1234_5FFF));
        yield return new("LAR with flags", P32, c => { c.mov(ecx, Free); c.lar(eax, ecx); }, Arrange: m => m.SetDescriptor(Free, Segment(0, 0x1_2345, Data, Pages | Big)), Check: m => Answers(m, true, 0x00C0_9300));
        yield return new("VERR of execute-only code", P32, c => { c.mov(ecx, Free); c.verr(cx); }, Arrange: m => m.SetDescriptor(Free, Segment(0, 0, ExecuteOnly)), Check: m => Answers(m, false, 0));
        yield return new("VERW of data", P32, c => { c.mov(ecx, Free); c.verw(cx); }, Arrange: m => m.SetDescriptor(Free, Segment(0, 0, Data)), Check: m => Assert.That(m.Cpu.Rflags & Rflags.ZF, Is.Not.Zero));
    }

    internal static IEnumerable<LegacyCase> Ports()
    {
        foreach ((string name, int port, int width, bool allowed) in ((string, int, int, bool)[])
            [("a bit of 0", 0x10, 1, true), ("a bit of 1", 0x13, 1, false), ("a word over a bit of 1", 0x12, 2, false), ("a word before it", 0x11, 2, true), ("beyond the limit", 0x28, 1, false), ("over a byte's end", 0x17, 2, true)])
        {
            foreach ((LegacyMode mode, int iopl) in ((LegacyMode, int)[])[(V86, 3), (P32, 0)])
            {
                yield return new($"IN, IOPL {iopl}: {name}", mode, c => { c.mov(edx, port); c.db(width == 1 ? [0xEC] : mode == V86 ? [0xED] : [0x66, 0xED]); }, allowed ? null : Expected.Gp(), 3, m => { Bitmap(m); m.SetIopl(iopl); });
            }
        }

        yield return new("IN at IOPL 3", P32, c => { c.mov(edx, 0x13); c.@in(al, dx); }, Cpl: 3, Arrange: m => { Bitmap(m); m.SetIopl(3); });
        yield return new("IN with a 16-bit TSS", P32, c => { c.mov(edx, 0x10); c.@in(al, dx); }, Expected.Gp(), 3, m =>
        {
            m.State.Tr = LegacyMachine.Register(LegacyMachine.TssSelector, Segment(LegacyMachine.OtherTss, 0xFF, Tss16 | Busy));
            m.SetDword(LegacyMachine.OtherTss + 2, (LegacyMachine.FlatData << 16) | 0x5000u);
        });
    }

    internal static IEnumerable<LegacyCase> Vectors()
    {
        foreach (LegacyMode mode in (LegacyMode[])[P16, P32, C32])
        {
            foreach ((string name, uint start, bool allowed) in ((string, uint, bool)[])[("the linear address is aligned", 8, true), ("the offset is", 0, false)])
            {
                void Arrange(LegacyMachine m)
                {
                    m.State.Cr4 |= Cr4.OSFXSR;
                    m.State.Segments[SegmentIndex.Fs] = LegacyMachine.Register(Free, Segment(LegacyMachine.DataBase + 8, 0xFFFF, Data));
                    m.Cpu.FlushTlb();
                }

                yield return new($"MOVAPS load, {name}", mode, c => c.movaps(xmm0, __xmmword_ptr.fs[start]), allowed ? null : Expected.Gp(), Arrange: Arrange);
                yield return new($"MOVAPS store, {name}", mode, c => c.movaps(__xmmword_ptr.fs[start], xmm0), allowed ? null : Expected.Gp(), Arrange: Arrange);
                yield return new($"ADDPS, {name}", mode, c => c.addps(xmm0, __xmmword_ptr.fs[start]), allowed ? null : Expected.Gp(), Arrange: Arrange);
                yield return new($"FXSAVE, {name}", mode, c => c.fxsave(__.fs[start]), allowed ? null : Expected.Gp(), Arrange: Arrange);
            }
        }
    }

    internal static IEnumerable<LegacyCase> Devices()
    {
        foreach (LegacyMode mode in (LegacyMode[])[P16, P32])
        {
            void Arrange(LegacyMachine m) => m.State.Segments[SegmentIndex.Fs] = LegacyMachine.Register(Free, Segment((uint)PhysicalLayout.Scratch.Value - 0x20, 0xFFFF, Data));

            yield return new("a device through a segment", mode, c => { c.mov(__dword_ptr.fs[0x28], 0x1234_5678); c.add(__dword_ptr.fs[0x28], 1); c.mov(ebx, __dword_ptr.fs[0x28]); }, Arrange: Arrange,
                Check: m => Assert.That((m.State.Gpr[3], m.Cpu.Counters.MmioExits), Is.EqualTo((0x1234_5679ul, 3ul))));
            yield return new("a device by 16-bit addresses that wrap", mode, c => { c.mov(ebx, 0xABCD_FFF0); c.mov(esi, 0x38); c.mov(__byte_ptr.fs[bx + si], 0x5A); c.mov(cl, __byte_ptr.fs[0x28]); }, Arrange: Arrange,
                Check: m => Assert.That((byte)m.State.Gpr[1], Is.EqualTo(0x5A)));
            yield return new("a stack in a device", mode, c => { c.mov(eax, 0x1122_3344); c.push(eax); c.pop(ecx); },
                Arrange: m => { m.State.Segments[SegmentIndex.Ss].Base = PhysicalLayout.Scratch.Value - 0x800; m.SetStack(mode == P32, 0xABCD_0900 & (mode == P32 ? 0xFFFFu : uint.MaxValue)); },
                Check: m => Assert.That((m.State.Gpr[1], (ushort)m.State.Gpr[4]), Is.EqualTo((0x1122_3344ul, (ushort)0x900))));
            yield return new("MOVS from memory to a device", mode, c => { c.mov(esi, 0x40); c.mov(edi, 0x30); c.mov(ecx, 2); c.push(fs); c.pop(es); c.rep.movsw(); c.mov(ebx, __dword_ptr.fs[0x30]); },
                Arrange: m => { Arrange(m); m.SetDescriptor(Free, Segment((uint)PhysicalLayout.Scratch.Value - 0x20, 0xFFFF, Data)); m.SetDword(Data0 + 0x40, 0x5566_7788); },
                Check: m => Assert.That(m.State.Gpr[3], Is.EqualTo(0x5566_7788)));
        }
    }

    [TestCaseSource(nameof(Availability))]
    [TestCaseSource(nameof(Tables))]
    [TestCaseSource(nameof(Ports))]
    [TestCaseSource(nameof(Vectors))]
    [TestCaseSource(nameof(Devices))]
    public void InstructionsFollowTheMode(object row) => ((LegacyCase)row).Run();

    private static void Pointer(LegacyMachine machine)
    {
        machine.SetWord(Data0 + 0x40, 0x1234);
        machine.SetDword(Data0 + 0x42, 0xAABB_CCDD);
    }

    private static void Answers(LegacyMachine machine, bool answer, uint value) =>
        Assert.That((machine.Cpu.Rflags & Rflags.ZF, (uint)machine.State.Gpr[0]), Is.EqualTo((answer ? Rflags.ZF : 0, answer ? value : 0u)));

    /// <summary>Ports 0 to 27H, of which 13H alone is closed.</summary>
    private static void Bitmap(LegacyMachine machine)
    {
        machine.SetWord(LegacyMachine.Tss + 102, 0x68);
        machine.SetDword(LegacyMachine.Tss + 0x68, 0x0008_0000);
        machine.SetWord(LegacyMachine.Tss + 0x6C, 0);
        machine.State.Tr.Limit = 0x6D;
    }
}
