using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>MSRs, the machine status word, table registers, SWAPGS, SYSCALL and SYSRET (SDM Vol. 2 and 4).</summary>
[TestFixture]
internal sealed class SystemRegisterTests
{
    private const int UD = (int)ExceptionVector.InvalidOpcode;
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const ulong High = 0xFFFF_8000_0000_0000;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine(TestMachine.Linear48);

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    [TestCase(0x277u, 0x0706_0504_0100_0406ul, true, TestName = "PAT: every type")]
    [TestCase(0x277u, 0x0706_0504_0100_0403ul, false, TestName = "PAT: type 3")]
    [TestCase(0x277u, 0x0806_0504_0100_0406ul, false, TestName = "PAT: type 8 in the last byte")]
    [TestCase(0xC000_0081u, ulong.MaxValue, true, TestName = "STAR: anything")]
    [TestCase(0xC000_0082u, High, true, TestName = "LSTAR: the lowest upper address")]
    [TestCase(0xC000_0082u, High - 1, false, TestName = "LSTAR: below it")]
    [TestCase(0xC000_0083u, 0x7FFF_FFFF_FFFFul, true, TestName = "CSTAR: the highest lower address")]
    [TestCase(0xC000_0083u, TestMachine.NonCanonical, false, TestName = "CSTAR: above it")]
    [TestCase(0xC000_0084u, 0xFFFF_FFFFul, true, TestName = "FMASK: 32 bits")]
    [TestCase(0xC000_0084u, 1UL << 32, false, TestName = "FMASK: bit 32")]
    [TestCase(0xC000_0100u, High, true, TestName = "FS_BASE: canonical")]
    [TestCase(0xC000_0100u, TestMachine.NonCanonical, false, TestName = "FS_BASE: not canonical")]
    [TestCase(0xC000_0101u, High, true, TestName = "GS_BASE: canonical")]
    [TestCase(0xC000_0102u, High, true, TestName = "KERNEL_GS_BASE: canonical")]
    [TestCase(0xC000_0102u, TestMachine.NonCanonical, false, TestName = "KERNEL_GS_BASE: not canonical")]
    [TestCase(0xC000_0103u, 0xFFFF_FFFFul, true, TestName = "TSC_AUX: 32 bits")]
    [TestCase(0xC000_0080u, Efer.SCE | Efer.LME | Efer.LMA, true, TestName = "EFER: NXE off")]
    [TestCase(0x1Bu, 0xFEE0_0900ul, true, TestName = "APIC_BASE: as at reset")]
    [TestCase(0x1Bu, 0xFEE0_0901ul, false, TestName = "APIC_BASE: bit 0")]
    [TestCase(0x1Bu, 1UL << 52, false, TestName = "APIC_BASE: beyond MAXPHYADDR")]
    public void AnMsrIsReadAsWritten(uint number, ulong value, bool allowed)
    {
        machine.Kernel(c => ReadMsr(c, number));
        ulong before = EdxEax();
        machine.Kernel(c =>
        {
            c.mov(ecx, number);
            c.mov(eax, (uint)value);
            c.mov(edx, (uint)(value >> 32));
            c.wrmsr();
        });
        int? handled = machine.Handled;
        machine.Kernel(c => ReadMsr(c, number));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(handled, allowed ? Is.Null : Is.EqualTo(GP));
            Assert.That(EdxEax(), Is.EqualTo(allowed ? value : before));
        }
    }

    [TestCase(false, 0x1234u)]
    [TestCase(true, 0x1234u)]
    [TestCase(false, 0xC000_0104u)]
    public void AnMsrThatIsNotThereRaisesGP(bool write, uint number)
    {
        machine.Kernel(c =>
        {
            c.mov(ecx, number);
            c.xor(eax, eax);
            c.xor(edx, edx);
            if (write)
            {
                c.wrmsr();
            }
            else
            {
                c.rdmsr();
            }
        });

        Assert.That(machine.Handled, Is.EqualTo(GP));
        Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.Zero);
    }

    [Test]
    public void MsrNumbersAndValuesAreThe32BitHalves()
    {
        machine.State.Msr.KernelGsBase = 0xFFFF_8000_8765_4321;
        machine.Kernel(c =>
        {
            c.mov(rcx, 0x7777_7777_C000_0102);
            c.mov(rax, ulong.MaxValue);
            c.mov(rdx, ulong.MaxValue);
            c.rdmsr();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(0x8765_4321));
            Assert.That(machine.State.Gpr[GeneralRegister.Rdx], Is.EqualTo(0xFFFF_8000));
        }
    }

    [Test]
    public void SwapgsExchangesTheBases()
    {
        machine.State.Segments[SegmentIndex.Gs].Base = TestMachine.Data;
        machine.State.Msr.KernelGsBase = TestMachine.Data + 0x100;
        machine[TestMachine.Data] = 1;
        machine[TestMachine.Data + 0x100] = 2;
        machine.Kernel(c =>
        {
            c.db(0x65, 0x48, 0x8B, 0x04, 0x25, 0, 0, 0, 0);
            c.swapgs();
            c.db(0x65, 0x48, 0x8B, 0x1C, 0x25, 0, 0, 0, 0);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(1));
            Assert.That(machine.State.Gpr[GeneralRegister.Rbx], Is.EqualTo(2));
            Assert.That(machine.State.Msr.KernelGsBase, Is.EqualTo(TestMachine.Data));
        }
    }

    [TestCase(0x0000ul, Cr0.PE)]
    [TestCase(0x000Ful, Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS)]
    [TestCase(0xFFF1ul, Cr0.PE)]
    public void LmswLoadsFourBitsAndKeepsPE(ulong word, ulong low)
    {
        ulong before = machine.State.Cr0;
        machine.State.Gpr[GeneralRegister.Rax] = word;
        machine.Kernel(c => c.lmsw(ax));

        Assert.That(machine.State.Cr0, Is.EqualTo((before & ~0xFul) | low));
    }

    [Test]
    public void SmswStoresItsOperandSizeAndOnly16BitsInMemory()
    {
        machine[TestMachine.UserData] = ulong.MaxValue;
        machine.State.Gpr[GeneralRegister.Rbx] = ulong.MaxValue;
        machine.State.Gpr[GeneralRegister.Rsi] = ulong.MaxValue;
        machine.State.Gpr[GeneralRegister.Rdi] = ulong.MaxValue;
        machine.User(c =>
        {
            c.smsw(bx);
            c.smsw(esi);
            c.smsw(rdi);
            c.smsw(__word_ptr[TestMachine.UserData]);
            c.ud2();
        });

        ulong cr0 = machine.State.Cr0;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(UD), "any ring may");
            Assert.That(machine.State.Gpr[GeneralRegister.Rbx], Is.EqualTo(0xFFFF_FFFF_FFFF_0000 | (cr0 & 0xFFFF)));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsi], Is.EqualTo((uint)cr0));
            Assert.That(machine.State.Gpr[GeneralRegister.Rdi], Is.EqualTo(cr0));
            Assert.That(machine[TestMachine.UserData], Is.EqualTo(0xFFFF_FFFF_FFFF_0000 | (cr0 & 0xFFFF)));
        }
    }

    [Test]
    public void StrAndSldtAreForAnyRing()
    {
        machine.State.Ldtr.Selector = 0x48;
        machine[TestMachine.UserData] = ulong.MaxValue;
        machine.State.Gpr[GeneralRegister.Rsi] = ulong.MaxValue;
        machine.State.Gpr[GeneralRegister.Rbx] = ulong.MaxValue;
        machine.User(c =>
        {
            c.str(rsi);
            c.sldt(bx);
            c.sldt(__word_ptr[TestMachine.UserData]);
            c.ud2();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(UD));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsi], Is.EqualTo(TestMachine.TssSelector));
            Assert.That(machine.State.Gpr[GeneralRegister.Rbx], Is.EqualTo(0xFFFF_FFFF_FFFF_0048));
            Assert.That(machine[TestMachine.UserData], Is.EqualTo(0xFFFF_FFFF_FFFF_0048));
        }
    }

    [Test]
    public void SgdtAndSidtStoreTenBytesInAnyRing()
    {
        machine[TestMachine.UserData + 8] = ulong.MaxValue;
        machine[TestMachine.UserData + 24] = ulong.MaxValue;
        machine.User(c =>
        {
            c.sgdt(__[TestMachine.UserData]);
            c.sidt(__[TestMachine.UserData + 16]);
            c.ud2();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(UD));
            Assert.That(machine[TestMachine.UserData], Is.EqualTo(0x7F | (TestMachine.Gdt << 16)));
            Assert.That(machine[TestMachine.UserData + 8], Is.EqualTo(0xFFFF_FFFF_FFFF_0000), "the eleventh byte stays");
            Assert.That(machine[TestMachine.UserData + 16], Is.EqualTo(0xFFF | (TestMachine.Idt << 16)));
            Assert.That(machine[TestMachine.UserData + 24], Is.EqualTo(0xFFFF_FFFF_FFFF_0000));
        }
    }

    [TestCase(false, 0x7FFF_FFFF_FFFFul, true)]
    [TestCase(false, TestMachine.NonCanonical, false)]
    [TestCase(true, High, true)]
    [TestCase(true, High - 1, false)]
    public void ATableLiesAtACanonicalAddress(bool interrupts, ulong start, bool allowed)
    {
        machine[TestMachine.Data] = 0x1234 | (start << 16);
        machine[TestMachine.Data + 8] = start >> 48;
        machine.Kernel(c =>
        {
            if (interrupts)
            {
                c.lidt(__[TestMachine.Data]);
            }
            else
            {
                c.lgdt(__[TestMachine.Data]);
            }
        });

        DescriptorTableRegister register = interrupts ? machine.State.Idtr : machine.State.Gdtr;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, allowed ? Is.Null : Is.EqualTo(GP));
            Assert.That(register.Base, allowed ? Is.EqualTo(start) : Is.EqualTo(interrupts ? TestMachine.Idt : TestMachine.Gdt));
        }
    }

    [TestCase(0ul, 3, true)]
    [TestCase(Cr4.TSD, 0, true)]
    [TestCase(Cr4.TSD, 3, false)]
    public void TsdKeepsTheTimeFromRing3(ulong tsd, int cpl, bool allowed)
    {
        foreach (bool withAux in (bool[])[false, true])
        {
            machine.State.Cr4 |= tsd;
            machine.State.Msr.TscAux = 0x55;
            machine.State.Gpr[GeneralRegister.Rcx] = ulong.MaxValue;
            Action<Assembler> code = c =>
            {
                if (withAux)
                {
                    c.rdtscp();
                }
                else
                {
                    c.rdtsc();
                }

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

            Assert.That(machine.Handled, Is.EqualTo(allowed ? UD : GP));
            Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.EqualTo(allowed && withAux ? 0x55 : ulong.MaxValue));
        }
    }

    [TestCase(new byte[] { 0x0F, 0x22, 0xC8 }, 0, UD, TestName = "MOV to CR1")]
    [TestCase(new byte[] { 0x0F, 0x20, 0xE8 }, 0, UD, TestName = "MOV from CR5")]
    [TestCase(new byte[] { 0x0F, 0x22, 0xF8 }, 3, UD, TestName = "MOV to CR7 in ring 3")]
    [TestCase(new byte[] { 0x44, 0x0F, 0x23, 0xC0 }, 0, UD, TestName = "MOV to DR8")]
    [TestCase(new byte[] { 0x0F, 0x01, 0xD0 }, 0, UD, TestName = "XGETBV")]
    [TestCase(new byte[] { 0x0F, 0x08 }, 3, GP, TestName = "INVD in ring 3")]
    [TestCase(new byte[] { 0x0F, 0x22, 0xC0 }, 3, GP, TestName = "MOV to CR0 in ring 3")]
    [TestCase(new byte[] { 0x44, 0x0F, 0x20, 0xC0 }, 3, GP, TestName = "MOV from CR8 in ring 3")]
    [TestCase(new byte[] { 0x0F, 0x23, 0xC0 }, 3, GP, TestName = "MOV to DR0 in ring 3")]
    [TestCase(new byte[] { 0x0F, 0x01, 0xCA }, 3, UD, TestName = "CLAC in ring 3")]
    [TestCase(new byte[] { 0x0F, 0x01, 0xF8 }, 3, GP, TestName = "SWAPGS in ring 3")]
    [TestCase(new byte[] { 0x0F, 0x00, 0xD8 }, 3, GP, TestName = "LTR in ring 3, before the selector is looked at")]
    public void PrivilegeAndExistence(byte[] code, int cpl, int vector)
    {
        if (cpl == 3)
        {
            machine.User(c => c.db(code));
        }
        else
        {
            machine.Kernel(c => c.db(code));
        }

        Assert.That(machine.Handled, Is.EqualTo(vector));
    }

    [TestCase(4, 0, UD)]
    [TestCase(5, 3, UD, Description = "that it does not exist comes before privilege")]
    [TestCase(6, 3, GP)]
    public void WithDESetDR4AndDR5DoNotExist(int number, int cpl, int vector)
    {
        machine.State.Cr4 |= Cr4.DE;
        Action<Assembler> code = c => c.db(0x0F, 0x21, (byte)(0xC0 | (number << 3)));
        if (cpl == 3)
        {
            machine.User(code);
        }
        else
        {
            machine.Kernel(code);
        }

        Assert.That(machine.Handled, Is.EqualTo(vector));
    }

    // STAR[47:32], the selectors that SYSCALL makes of it: the RPL of CS is cleared, SS is 8 above the field as it stands.
    [TestCase((ushort)0x08, 0x08, 0x10)]
    [TestCase((ushort)0x0B, 0x08, 0x13)]
    [TestCase((ushort)0xFFFC, 0xFFFC, 0x04)]
    public void SyscallMakesFlatSegmentsOfStar(ushort field, int cs, int ss)
    {
        machine.State.Msr.Star = (ulong)field << 32;
        machine.State.Msr.Lstar = TestMachine.KernelCode;
        machine.Place(TestMachine.KernelCode, c => c.hlt());
        machine.User(c => c.syscall());

        SegmentRegister code = machine.State.Segments[SegmentIndex.Cs];
        SegmentRegister stack = machine.State.Segments[SegmentIndex.Ss];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Cpl, Is.Zero);
            Assert.That(code.Selector, Is.EqualTo(cs));
            Assert.That(stack.Selector, Is.EqualTo(ss));
            Assert.That(code.Base | stack.Base, Is.Zero);
            Assert.That(code.Limit & stack.Limit, Is.EqualTo(uint.MaxValue));
            Assert.That(code.Attributes, Is.EqualTo(0x00A0_9B00));
            Assert.That(stack.Attributes, Is.EqualTo(0x00C0_9300));
        }
    }

    [TestCase(0ul)]
    [TestCase(Rflags.CF | Rflags.IF | Rflags.DF)]
    [TestCase(0xFFFF_FFFFul)]
    public void SyscallSavesFlagsInR11AndClearsThoseOfFmask(ulong mask)
    {
        const ulong flags = Rflags.Fixed | Rflags.CF | Rflags.ZF | Rflags.IF | Rflags.DF | Rflags.AC | Rflags.ID | Rflags.NT | Rflags.Iopl;
        machine.State.Msr.Star = 8UL << 32;
        machine.State.Msr.Lstar = TestMachine.KernelCode;
        machine.State.Msr.Fmask = mask;
        machine.Place(TestMachine.KernelCode, c => c.hlt());
        machine.Cpu.Rflags = flags;
        machine.User(c => c.syscall());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.R11], Is.EqualTo(flags));
            Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.EqualTo(TestMachine.UserCode + 2));
            Assert.That(machine.Cpu.Rflags, Is.EqualTo((flags & ~mask) | Rflags.Fixed));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.UserStack), "RSP is the kernel's business");
        }
    }

    [TestCase((ushort)0x18, 0x2B, 0x23)]
    [TestCase((ushort)0x1B, 0x2B, 0x23)]
    [TestCase((ushort)0xFFF8, 0x0B, 0x03)]
    public void SysretMakesRing3OfStar(ushort field, int cs, int ss)
    {
        machine.State.Msr.Star = (ulong)field << 48;
        machine.State.Gpr[GeneralRegister.Rcx] = TestMachine.UserCode;
        machine.State.Gpr[GeneralRegister.R11] = ulong.MaxValue & ~Rflags.TF;
        machine.Place(TestMachine.UserCode, c => c.ud2());
        machine.Kernel(c => c.sysretq());

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: false);
        const ulong all = Rflags.Fixed | Rflags.Status | Rflags.IF | Rflags.DF | Rflags.Iopl | Rflags.NT | Rflags.AC | Rflags.VIF | Rflags.VIP | Rflags.ID;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(UD));
            Assert.That(frame, Is.EqualTo(new ExceptionFrameWords(
                null, TestMachine.UserCode, (ulong)cs, all | Rflags.RF, TestMachine.KernelStack, (ulong)ss)));
        }
    }

    /// <summary>SYSRET with a 32-bit operand: CS is STAR[63:48] itself, RIP is ECX, and TF of R11 traps before the first instruction.</summary>
    [TestCase((ushort)0x18, 0x1B, 0x23, false)]
    [TestCase((ushort)0xFFFB, 0xFFFB, 0x03, false)]
    [TestCase((ushort)0x18, 0x1B, 0x23, true)]
    public void SysretMakesCompatibilityModeOfStar(ushort field, int cs, int ss, bool traps)
    {
        const int DB = (int)ExceptionVector.Debug;
        ulong flags = Rflags.Fixed | Rflags.CF | (traps ? Rflags.TF : 0);
        machine.State.Msr.Star = (ulong)field << 48;
        machine.State.Gpr[GeneralRegister.Rcx] = (0xDEADul << 32) | TestMachine.UserCode;
        machine.State.Gpr[GeneralRegister.R11] = flags;
        machine.Place(TestMachine.UserCode, c => c.ud2());
        machine.Kernel(c => c.sysret());

        ExceptionFrameWords frame = machine.Frame(hasErrorCode: false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(traps ? DB : UD));
            Assert.That(frame, Is.EqualTo(new ExceptionFrameWords(
                null, TestMachine.UserCode, (ulong)cs, flags | (traps ? 0 : Rflags.RF), TestMachine.KernelStack, (ulong)ss)));
        }
    }

    [TestCase(0, UD)]
    [TestCase(3, UD)]
    public void WithoutSceNeitherExists(int cpl, int vector)
    {
        machine.State.Msr.Efer &= ~Efer.SCE;
        foreach (Action<Assembler> code in (Action<Assembler>[])[c => c.syscall(), c => c.sysretq()])
        {
            if (cpl == 3)
            {
                machine.User(code);
            }
            else
            {
                machine.Kernel(code);
            }

            Assert.That(machine.Handled, Is.EqualTo(vector));
        }
    }

    [Test]
    public void ClearingTSEndsTheWait()
    {
        machine.State.Cr0 |= Cr0.TS;
        machine.Cpu.ContextChanged();
        machine.Kernel(c =>
        {
            c.clts();
            c.movaps(xmm0, xmm1);
        });

        Assert.That(machine.Handled, Is.Null);
        Assert.That(machine.State.Cr0 & Cr0.TS, Is.Zero);
    }

    private static void ReadMsr(Assembler c, uint number)
    {
        c.mov(ecx, number);
        c.rdmsr();
    }

    private ulong EdxEax() => (machine.State.Gpr[GeneralRegister.Rdx] << 32) | machine.State.Gpr[GeneralRegister.Rax];
}
