using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>LAR, LSL, VERR, VERW, and the tables of LLDT and LTR (SDM Vol. 2).</summary>
[TestFixture]
internal sealed class DescriptorQueryTests
{
    private const ushort Free = TestMachine.FreeSelector;
    private const ulong Untouched = 0x1111_2222_3333_4444;
    private const int NP = (int)ExceptionVector.SegmentNotPresent;
    private const int GP = (int)ExceptionVector.GeneralProtection;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine(TestMachine.Linear48);

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    // Which of LAR, LSL, VERR and VERW set ZF, in this order.
    [TestCase(0x93, 0, 0, "LAR LSL VERR VERW")]
    [TestCase(0x13, 0, 0, "LAR LSL VERR VERW", Description = "presence does not matter")]
    [TestCase(0x91, 0, 0, "LAR LSL VERR")]
    [TestCase(0x97, 0, 0, "LAR LSL VERR VERW")]
    [TestCase(0x93, 0, 3, "", Description = "RPL above DPL")]
    [TestCase(0xF3, 0, 3, "LAR LSL VERR VERW")]
    [TestCase(0x99, 0, 0, "LAR LSL", Description = "execute-only")]
    [TestCase(0x9B, 0, 0, "LAR LSL VERR")]
    [TestCase(0x9B, 0, 3, "")]
    [TestCase(0x9F, 0, 3, "LAR LSL VERR", Description = "conforming")]
    [TestCase(0x9D, 0, 3, "LAR LSL", Description = "conforming, execute-only")]
    [TestCase(0x93, 3, 0, "", Description = "CPL above DPL")]
    [TestCase(0xF3, 3, 0, "LAR LSL VERR VERW")]
    [TestCase(0x9F, 3, 3, "LAR LSL VERR")]
    [TestCase(0x80, 0, 0, "")]
    [TestCase(0x81, 0, 0, "", Description = "16-bit TSS")]
    [TestCase(0x82, 0, 0, "LAR LSL", Description = "LDT")]
    [TestCase(0x82, 0, 3, "")]
    [TestCase(0xE2, 3, 3, "LAR LSL")]
    [TestCase(0x83, 0, 0, "")]
    [TestCase(0x84, 0, 0, "", Description = "16-bit call gate")]
    [TestCase(0x85, 0, 0, "", Description = "task gate")]
    [TestCase(0x86, 0, 0, "")]
    [TestCase(0x87, 0, 0, "")]
    [TestCase(0x88, 0, 0, "")]
    [TestCase(0x89, 0, 0, "LAR LSL", Description = "TSS")]
    [TestCase(0x8A, 0, 0, "")]
    [TestCase(0x8B, 0, 0, "LAR LSL", Description = "busy TSS")]
    [TestCase(0x8C, 0, 0, "LAR", Description = "call gate")]
    [TestCase(0x8D, 0, 0, "")]
    [TestCase(0x8E, 0, 0, "", Description = "interrupt gate")]
    [TestCase(0x8F, 0, 0, "", Description = "trap gate")]
    public void ZFSaysWhetherThereIsAnAnswer(int access, int cpl, int rpl, string answered)
    {
        machine.SetDescriptor(Free, SegmentDescriptors.Of(access, SegmentDescriptors.Default32 | 1));
        Ask((ushort)(Free | rpl), cpl);

        uint rights = 0x00D0_0000 | ((uint)access << 8);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Answers(), Is.EqualTo(answered));
            Assert.That(machine.State.Gpr[GeneralRegister.R8], Is.EqualTo(answered.Contains("LAR") ? rights : Untouched));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsi], Is.EqualTo(answered.Contains("LSL") ? 0xFFFF_FFFF : Untouched));
            Assert.That(machine[TestMachine.Gdt + Free] >> 40 & 0xFF, Is.EqualTo((ulong)access), "A stays");
        }
    }

    [TestCase((ushort)0)]
    [TestCase((ushort)3)]
    [TestCase((ushort)0x80)]
    [TestCase((ushort)0x44)]
    [TestCase((ushort)0xFFFF)]
    public void NoDescriptorIsNoFault(ushort selector)
    {
        Ask(selector, cpl: 0);
        Assert.That(Answers(), Is.Empty);
    }

    [Test]
    public void OperandSizesTruncate()
    {
        machine.SetDescriptor(Free, SegmentDescriptors.Of(0x93, SegmentDescriptors.Default32));
        machine.State.Gpr[GeneralRegister.R8] = Untouched;
        machine.State.Gpr[GeneralRegister.Rsi] = Untouched;
        machine.State.Gpr[GeneralRegister.R11] = Untouched;
        machine[TestMachine.Data] = 0x5555_0000 | Free;
        machine.Kernel(c =>
        {
            c.lar(r8w, __word_ptr[TestMachine.Data]);
            c.lsl(si, __word_ptr[TestMachine.Data]);
            c.lsl(r11d, __dword_ptr[TestMachine.Data]);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.R8], Is.EqualTo((Untouched & ~0xFFFFul) | 0x9300));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsi], Is.EqualTo(Untouched | 0xFFFF));
            Assert.That(machine.State.Gpr[GeneralRegister.R11], Is.EqualTo(0xFFFF_FFFF));
        }
    }

    [TestCase(0xF_FFFFul, 0, 0xF_FFFFul)]
    [TestCase(0ul, 8, 0xFFFul)]
    [TestCase(0x1_2345ul, 8, 0x1234_5FFFul)]
    public void LslCountsPagesInBytes(ulong limit, int flags, ulong bytes)
    {
        machine.SetDescriptor(Free, 0x0000_9300_0000_0000 | (limit & 0xFFFF) | (limit >> 16 << 48) | ((ulong)flags << 52));
        machine.Kernel(c =>
        {
            c.mov(eax, (int)Free);
            c.lsl(rsi, rax);
        });
        Assert.That(machine.State.Gpr[GeneralRegister.Rsi], Is.EqualTo(bytes));
    }

    [TestCase(false, 0x82, 0x40, 0)]
    [TestCase(false, 0x02, 0x40, NP)]
    [TestCase(false, 0x89, 0x40, GP)]
    [TestCase(false, 0x93, 0x40, GP)]
    [TestCase(false, 0x09, 0x40, GP, Description = "type before presence")]
    [TestCase(false, 0x82, 0x44, GP, Description = "not in the GDT")]
    [TestCase(false, 0x82, 0x78, GP, Description = "the upper half is beyond the GDT")]
    [TestCase(true, 0x89, 0x40, 0)]
    [TestCase(true, 0x09, 0x40, NP)]
    [TestCase(true, 0x8B, 0x40, GP, Description = "busy")]
    [TestCase(true, 0x81, 0x40, GP, Description = "16-bit TSS")]
    [TestCase(true, 0x82, 0x40, GP)]
    [TestCase(true, 0x93, 0x40, GP)]
    [TestCase(true, 0x0B, 0x40, GP, Description = "type before presence")]
    [TestCase(true, 0x89, 0x44, GP, Description = "not in the GDT")]
    [TestCase(true, 0x89, 0x78, GP, Description = "the upper half is beyond the GDT")]
    [TestCase(true, 0x89, 0x80, GP)]
    public void LldtAndLtrAskTheDescriptor(bool task, int access, int selector, int vector)
    {
        const ulong start = 0xFFFF_8000_1234_5678;
        ulong at = (ulong)selector & 0xFFF8;
        if (at < 0x80)
        {
            machine.SetDescriptor((ushort)at, ((ulong)access << 40) | 0x1234 | ((start & 0xFF_FFFF) << 16) | ((start >> 24 & 0xFF) << 56));
            machine[TestMachine.Gdt + at + 8] = start >> 32;
        }

        SegmentRegister before = task ? machine.State.Tr : machine.State.Ldtr;
        Load(task, (ushort)selector);

        SegmentRegister after = task ? machine.State.Tr : machine.State.Ldtr;
        using (Assert.EnterMultipleScope())
        {
            if (vector == 0)
            {
                Assert.That(machine.Handled, Is.Null);
                Assert.That(after.Selector, Is.EqualTo(selector));
                Assert.That(after.Base, Is.EqualTo(start));
                Assert.That(after.Limit, Is.EqualTo(0x1234));
            }
            else
            {
                Assert.That(machine.Handled, Is.EqualTo(vector));
                Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo((ulong)(selector & 0xFFFC)));
                Assert.That(after, Is.EqualTo(before));
            }

            if (at < 0x80)
            {
                int written = task && vector == 0 ? access | 2 : access;
                Assert.That(machine[TestMachine.Gdt + at] >> 40 & 0xFF, Is.EqualTo((ulong)written), "only LTR marks, and only what it loads");
            }
        }
    }

    [TestCase(false, 0x82)]
    [TestCase(true, 0x89)]
    public void ABaseThatIsNotCanonicalIsRefused(bool task, int access)
    {
        machine.SetDescriptor(Free, ((ulong)access << 40) | 0x67);
        machine[TestMachine.Gdt + Free + 8] = TestMachine.NonCanonical >> 32;
        Load(task, Free);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(GP));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo((ulong)Free));
            Assert.That(machine[TestMachine.Gdt + Free] >> 40, Is.EqualTo((ulong)access));
        }
    }

    [TestCase(false, 0, true)]
    [TestCase(false, 3, true)]
    [TestCase(true, 0, false)]
    [TestCase(true, 2, false)]
    public void ANullSelectorLeavesNoLdtButIsNoTask(bool task, int selector, bool allowed)
    {
        machine.State.Ldtr = new SegmentRegister { Selector = 0x40, Base = TestMachine.Data, Limit = 0xFF, Attributes = 0x8200 };
        Load(task, (ushort)selector);
        machine.State.Rip = TestMachine.KernelCode;

        if (allowed)
        {
            Ask(0x0C, cpl: 0);
            Assert.That(Answers(), Is.Empty, "no descriptor is in a table that is not there");
            return;
        }

        Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.Zero);
    }

    [Test]
    public void TheLdtIsSearchedWhereTIIs1()
    {
        machine.State.Ldtr = new SegmentRegister { Selector = 0x40, Base = TestMachine.Data, Limit = 0xF, Attributes = 0x8200 };
        machine[TestMachine.Data + 8] = SegmentDescriptors.Of(0x93, SegmentDescriptors.Default32);
        Ask(0x0C, cpl: 0);
        string inside = Answers();
        machine.State.Ldtr.Limit = 0xE;
        Ask(0x0C, cpl: 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(inside, Is.EqualTo("LAR LSL VERR VERW"));
            Assert.That(Answers(), Is.Empty, "the last byte is beyond the limit");
        }
    }

    private void Ask(ushort selector, int cpl)
    {
        machine.State.Gpr[GeneralRegister.R8] = Untouched;
        machine.State.Gpr[GeneralRegister.Rsi] = Untouched;
        machine.State.Gpr[GeneralRegister.R11] = 0;
        Action<Assembler> code = c =>
        {
            c.mov(ebx, 0x6666_0000 | selector);
            c.lar(r8, rbx);
            c.setz(r11b);
            c.lsl(rsi, rbx);
            c.setz(al);
            c.shl(eax, 8);
            c.movzx(eax, ax);
            c.or(r11, rax);
            c.verr(bx);
            c.setz(al);
            c.movzx(eax, al);
            c.shl(eax, 16);
            c.or(r11, rax);
            c.verw(bx);
            c.setz(al);
            c.movzx(eax, al);
            c.shl(eax, 24);
            c.or(r11, rax);
            c.ud2();
        };
        if (cpl == 3)
        {
            machine.User(code);
        }
        else
        {
            machine.Kernel(code);
        }

        Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode), "they do not fault");
    }

    private string Answers()
    {
        ulong zf = machine.State.Gpr[GeneralRegister.R11];
        string[] names = ["LAR", "LSL", "VERR", "VERW"];
        return string.Join(' ', names.Where((_, i) => (zf >> (i * 8) & 1) != 0));
    }

    private void Load(bool task, ushort selector) => machine.Kernel(c =>
    {
        c.mov(eax, (int)selector);
        if (task)
        {
            c.ltr(ax);
        }
        else
        {
            c.lldt(ax);
        }
    });
}
