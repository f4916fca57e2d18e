using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>The stack with SP and with ESP, by operands of either size (SDM Vol. 1, 6.2; Vol. 2, the instructions' pages).</summary>
[TestFixture]
public sealed class LegacyStackTests
{
    private const LegacyMode P16 = LegacyMode.Protected16, P32 = LegacyMode.Protected32;
    private const uint Stack = LegacyMachine.StackBase;
    private const uint High = 0xABCD_1000;

    internal static IEnumerable<LegacyCase> Rows()
    {
        yield return Narrow("PUSH of 32 bits", c => c.push(eax), 0xABCD_0FFC, m => Assert.That(m.Dword(Stack + 0xFFC), Is.EqualTo(0x1111_2222)));
        yield return Narrow("PUSH of 16 bits", c => c.push(ax), 0xABCD_0FFE, m => Assert.That(m.Word(Stack + 0xFFE), Is.EqualTo(0x2222)));
        yield return Narrow("PUSH of ESP", c => c.push(esp), 0xABCD_0FFC, m => Assert.That(m.Dword(Stack + 0xFFC), Is.EqualTo(High)));
        yield return Narrow("POP of ESP", c => { c.push(eax); c.pop(esp); }, 0x1111_2222);
        yield return Narrow("POP of SP", c => { c.push(ax); c.pop(sp); }, 0xABCD_2222);
        yield return Narrow("PUSH and POP", c => { c.push(eax); c.pop(edx); }, High, m => Assert.That(m.State.Gpr[2], Is.EqualTo(0x1111_2222)));
        yield return Narrow("SP wraps down", c => { c.mov(esp, 0xABCD_0000); c.push(ax); }, 0xABCD_FFFE, m => Assert.That(m.Word(Stack + 0xFFFE), Is.EqualTo(0x2222)));
        yield return Narrow("SP wraps up", c => { c.mov(esp, 0xABCD_FFFE); c.pop(ax); }, 0xABCD_0000);
        yield return Narrow("CALL and RET", c => { Iced.Intel.Label over = c.CreateLabel(), to = c.CreateLabel(); c.call(to); c.jmp(over); c.Label(ref to); c.ret(); c.Label(ref over); c.nop(); }, High);
        yield return Narrow("RET with an immediate", c => { Iced.Intel.Label to = c.CreateLabel(); c.call(to); c.db(0x90, 0xF4); c.Label(ref to); c.ret(8); }, 0xABCD_1008);
        yield return Narrow("PUSHAD keeps the whole of ESP", c => c.pushad(), 0xABCD_0FE0, m => Assert.That(m.Dword(Stack + 0xFE0 + 12), Is.EqualTo(High)));
        yield return Narrow("PUSHAD and POPAD", c => { c.pushad(); c.mov(eax, 1); c.mov(edi, 2); c.popad(); }, High, m => Assert.That(m.State.Gpr[0], Is.EqualTo(0x1111_2222)));
        yield return Narrow("ENTER", c => c.enter(0x10, 0), 0xABCD_0FEC, m => Assert.That(m.State.Gpr[5], Is.EqualTo(0xABCD_0FFC)));
        yield return Narrow("LEAVE", c => { c.mov(ebp, 0x1234_0800); c.leave(); }, 0xABCD_0804, m => Assert.That(m.State.Gpr[5], Is.EqualTo(0x5566_7788)));
        yield return Narrow("PUSHFD", c => c.pushfd(), 0xABCD_0FFC);
        yield return Narrow("POP to memory by ESP", c => { c.push(eax); c.pop(__dword_ptr.ds[0x40]); }, High, m => Assert.That(m.Dword(LegacyMachine.DataBase + 0x40), Is.EqualTo(0x1111_2222)));

        yield return new("PUSH of 16 bits by ESP", P16, c => c.push(ax), Arrange: m => m.SetStack(true, 0x8000), Check: m => Assert.That(m.State.Gpr[4], Is.EqualTo(0x7FFE)));
        yield return new("PUSH of 32 bits by ESP", P16, c => c.push(eax), Arrange: m => m.SetStack(true, 0x8000), Check: m => Assert.That(m.State.Gpr[4], Is.EqualTo(0x7FFC)));
        yield return new("ENTER of 16 bits by ESP leaves the high half of EBP", P16, c => { c.mov(ebp, 0x7777_8888); c.enter(4, 0); }, Arrange: m => m.SetStack(true, 0x8000),
            Check: m => { Assert.That(m.State.Gpr[5], Is.EqualTo(0x7777_7FFE)); Assert.That(m.State.Gpr[4], Is.EqualTo(0x7FFA)); });
        yield return new("POP to memory takes an ESP that has moved", P32, c => { c.push(0x1234); c.pop(__dword_ptr[esp]); }, Check: m => Assert.That(m.Dword(Stack + 0x1000), Is.EqualTo(0x1234)));

        yield return new("ENTER with frames nested", LegacyMode.Real, c => { c.mov(bp, 0x2000); c.enter(6, 3); },
            Arrange: m => { m.SetWord(Stack + 0x1FFE, 0xAAAA); m.SetWord(Stack + 0x1FFC, 0xBBBB); },
            Check: m =>
            {
                Assert.That(m.State.Gpr[5], Is.EqualTo(0xFFE));
                Assert.That(m.State.Gpr[4], Is.EqualTo(0xFF2));
                Assert.That((m.Word(Stack + 0xFFE), m.Word(Stack + 0xFFC), m.Word(Stack + 0xFFA), m.Word(Stack + 0xFF8)), Is.EqualTo(((ushort)0x2000, (ushort)0xAAAA, (ushort)0xBBBB, (ushort)0xFFE)));
            });
        yield return new("PUSHA in its order", LegacyMode.Real, c => { c.mov(cx, 1); c.mov(dx, 2); c.mov(bx, 3); c.mov(bp, 5); c.mov(si, 6); c.mov(di, 7); c.pusha(); },
            Check: m => Assert.That(Enumerable.Range(0, 8).Select(i => m.Word(Stack + 0xFFE - (2 * (uint)i))), Is.EqualTo((ushort[])[0, 1, 2, 3, 0x1000, 5, 6, 7])));
        yield return new("PUSHA without room", P16, c => { c.mov(sp, 7); c.pusha(); }, Expected.Ss(), 3);
        yield return new("POPA without room", P16, c => { c.mov(sp, 0xFFF3); c.popa(); }, Expected.Ss(), 3);
        yield return new("POP beyond the end", P16, c => { c.mov(sp, 0xFFFF); c.pop(ax); }, Expected.Ss(), 3);
        yield return new("CALL without room", P16, c => { Iced.Intel.Label to = c.CreateLabel(); c.Label(ref to); c.mov(sp, 1); c.call(to); }, Expected.Ss(), 3);
        yield return new("RET beyond the limit of CS", P32, c => { c.push(0x1_0000); c.ret(); }, Expected.Gp(), Check: m => Assert.That(m.Frame(4), Is.EqualTo(0x1_0000), "not popped"));
        yield return new("CALL beyond the limit of CS", P32, c => { c.mov(eax, 0x1_0000); c.call(eax); }, Expected.Gp());
        yield return new("JMP beyond the limit of CS", P32, c => { c.mov(eax, 0x1_0000); c.jmp(eax); }, Expected.Gp());
        yield return new("JMP by a displacement beyond the limit of CS", P32, c => c.db(0xE9, 0, 0, 2, 0), Expected.Gp());
        yield return new("Jcc beyond the limit of CS", P32, c => { c.xor(eax, eax); c.db(0x0F, 0x84, 0, 0, 2, 0); }, Expected.Gp());
        yield return new("Jcc after CMP beyond the limit of CS", P32, c => { c.cmp(eax, eax); c.db(0x0F, 0x84, 0, 0, 2, 0); }, Expected.Gp());
        yield return new("LOOP beyond the limit of CS leaves ECX", P32, c => { c.mov(ecx, 2); c.db(0xE2, 0x7F); }, Expected.Gp(), Arrange: m => m.State.Segments[SegmentIndex.Cs].Limit = 0x110,
            Check: m => Assert.That(m.State.Gpr[1], Is.EqualTo(2)));
        yield return new("a 16-bit branch drops the high half of EIP", P32, c => { c.db(0x66, 0xE9, 0xFC, 0x06); },
            Arrange: m => m.Place(LegacyMachine.CodeBase + 0x800, 0x800, 32, c => { c.mov(bl, 0x42); c.hlt(); }), Check: m => Assert.That((byte)m.State.Gpr[3], Is.EqualTo(0x42)));
        yield return new("a near return of 16 bits in 32-bit code", P32, c => { c.push(0x9999_0800); c.db(0x66, 0xC3); },
            Arrange: m => m.Place(LegacyMachine.CodeBase + 0x800, 0x800, 32, c => { c.mov(bl, 0x42); c.hlt(); }),
            Check: m => { Assert.That((byte)m.State.Gpr[3], Is.EqualTo(0x42)); Assert.That(m.State.Gpr[4], Is.EqualTo(LegacyMachine.StackTop - 2)); });
        yield return new("JCXZ looks at CX", P32, c => { c.mov(ecx, 0x1_0000); c.db(0x67, 0xE3, 0x01); c.hlt(); c.mov(bl, 0x42); }, Check: m => Assert.That((byte)m.State.Gpr[3], Is.EqualTo(0x42)));
        yield return new("LOOP with CX leaves the high half of ECX", P32, c => { c.mov(ecx, 0x5_0001); c.db(0x67, 0xE2, 0x00); }, Check: m => Assert.That(m.State.Gpr[1], Is.EqualTo(0x5_0000)));
        yield return new("LOOP with ECX in 16-bit code", P16, c => { c.mov(ecx, 0x1_0000); c.db(0x67, 0xE2, 0x01); c.hlt(); c.mov(bl, 0x42); }, Check: m => { Assert.That((byte)m.State.Gpr[3], Is.EqualTo(0x42)); Assert.That(m.State.Gpr[1], Is.EqualTo(0xFFFF)); });
        yield return new("code runs on to the limit of CS", P32, c => { c.mov(eax, 1); c.nop(); }, Expected.Gp(), Arrange: m => m.State.Segments[SegmentIndex.Cs].Limit = 0x104);
        yield return new("an instruction crosses the limit of CS", P32, c => { c.nop(); c.mov(eax, 1); }, Expected.Gp(), Arrange: m => m.State.Segments[SegmentIndex.Cs].Limit = 0x104);
    }

    [TestCaseSource(nameof(Rows))]
    public void TheStackIsAsTheSdmSays(object row) => ((LegacyCase)row).Run();

    /// <summary>32-bit code on a stack whose B is 0, with EAX = 11112222H and 55667788H at SS:800H.</summary>
    private static LegacyCase Narrow(string name, Action<Iced.Intel.Assembler> code, uint pointer, Action<LegacyMachine>? check = null) => new(
        $"SP: {name}", P32, code, Arrange: m =>
        {
            m.SetStack(false, High);
            m.State.Gpr[0] = 0x1111_2222;
            m.SetDword(Stack + 0x800, 0x5566_7788);
        }, Check: m =>
        {
            Assert.That(m.State.Gpr[4], Is.EqualTo(pointer), "ESP");
            check?.Invoke(m);
        });
}
