using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>SDM Vol. 2A, "LOCK": the instructions that take the prefix with a memory destination. Every other one raises #UD.</summary>
[TestFixture]
internal sealed class LockTests
{
    private const int UD = 6;

    // The opcode bytes, a ModRM byte for [RBX], and immediates; without the LOCK prefix.
    [TestCase("add", new byte[] { 0x00, 0x03 })]
    [TestCase("add", new byte[] { 0x01, 0x03 })]
    [TestCase("add imm", new byte[] { 0x80, 0x03, 1 })]
    [TestCase("add imm", new byte[] { 0x83, 0x03, 1 })]
    [TestCase("or", new byte[] { 0x09, 0x03 })]
    [TestCase("or imm", new byte[] { 0x83, 0x0B, 1 })]
    [TestCase("adc", new byte[] { 0x11, 0x03 })]
    [TestCase("adc imm", new byte[] { 0x83, 0x13, 1 })]
    [TestCase("sbb", new byte[] { 0x19, 0x03 })]
    [TestCase("sbb imm", new byte[] { 0x83, 0x1B, 1 })]
    [TestCase("and", new byte[] { 0x21, 0x03 })]
    [TestCase("and imm", new byte[] { 0x83, 0x23, 1 })]
    [TestCase("sub", new byte[] { 0x29, 0x03 })]
    [TestCase("sub imm", new byte[] { 0x83, 0x2B, 1 })]
    [TestCase("xor", new byte[] { 0x31, 0x03 })]
    [TestCase("xor imm", new byte[] { 0x83, 0x33, 1 })]
    [TestCase("inc", new byte[] { 0xFF, 0x03 })]
    [TestCase("dec", new byte[] { 0xFF, 0x0B })]
    [TestCase("not", new byte[] { 0xF7, 0x13 })]
    [TestCase("neg", new byte[] { 0xF7, 0x1B })]
    [TestCase("xchg", new byte[] { 0x87, 0x03 })]
    [TestCase("xadd", new byte[] { 0x0F, 0xC1, 0x03 })]
    [TestCase("cmpxchg", new byte[] { 0x0F, 0xB1, 0x03 })]
    [TestCase("cmpxchg8b", new byte[] { 0x0F, 0xC7, 0x0B })]
    [TestCase("cmpxchg16b", new byte[] { 0x48, 0x0F, 0xC7, 0x0B })]
    [TestCase("bts", new byte[] { 0x0F, 0xAB, 0x03 })]
    [TestCase("btr", new byte[] { 0x0F, 0xB3, 0x03 })]
    [TestCase("btc", new byte[] { 0x0F, 0xBB, 0x03 })]
    [TestCase("bts imm", new byte[] { 0x0F, 0xBA, 0x2B, 1 })]
    [TestCase("btr imm", new byte[] { 0x0F, 0xBA, 0x33, 1 })]
    [TestCase("btc imm", new byte[] { 0x0F, 0xBA, 0x3B, 1 })]
    public void TheseTakeItWithAMemoryDestinationOnly(string name, byte[] bytes)
    {
        byte[] register = [.. bytes];
        int modrm = name.EndsWith("imm", StringComparison.Ordinal) ? bytes.Length - 2 : bytes.Length - 1;
        register[modrm] |= 0xC0;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Run(bytes), Is.Null, "memory");
            Assert.That(Run(register), Is.EqualTo(UD), "register");
        }
    }

    [TestCase("mov", new byte[] { 0x89, 0x03 })]
    [TestCase("add from memory", new byte[] { 0x03, 0x03 })]
    [TestCase("cmp", new byte[] { 0x39, 0x03 })]
    [TestCase("cmp imm", new byte[] { 0x83, 0x3B, 1 })]
    [TestCase("test", new byte[] { 0x85, 0x03 })]
    [TestCase("bt", new byte[] { 0x0F, 0xA3, 0x03 })]
    [TestCase("bt imm", new byte[] { 0x0F, 0xBA, 0x23, 1 })]
    [TestCase("shl", new byte[] { 0xD3, 0x23 })]
    [TestCase("mul", new byte[] { 0xF7, 0x23 })]
    [TestCase("push", new byte[] { 0xFF, 0x33 })]
    [TestCase("call", new byte[] { 0xFF, 0x13 })]
    [TestCase("setcc", new byte[] { 0x0F, 0x94, 0x03 })]
    [TestCase("movs", new byte[] { 0xA5 })]
    [TestCase("stos", new byte[] { 0xAB })]
    [TestCase("movups", new byte[] { 0x0F, 0x11, 0x03 })]
    [TestCase("fst", new byte[] { 0xD9, 0x13 })]
    [TestCase("nop", new byte[] { 0x90 })]
    [TestCase("hlt", new byte[] { 0xF4 })]
    [TestCase("in", new byte[] { 0xEC })]
    [TestCase("mov from cr0", new byte[] { 0x0F, 0x20, 0xC0 })]
    [TestCase("cpuid", new byte[] { 0x0F, 0xA2 })]
    [TestCase("popcnt", new byte[] { 0xF3, 0x0F, 0xB8, 0x03 })]
    public void OthersDoNot(string name, byte[] bytes) => Assert.That(Run(bytes), Is.EqualTo(UD), name);

    private static int? Run(byte[] instruction)
    {
        using TestMachine machine = new();
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.Data;
        machine.State.Gpr[GeneralRegister.Rsi] = TestMachine.Data;
        machine.State.Gpr[GeneralRegister.Rdi] = TestMachine.Data;
        machine.Kernel(c => c.db([0xF0, .. instruction]));
        return machine.Handled;
    }
}
