using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class SystemInstructionTests
{
    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine(TestMachine.Linear48);

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    public static IEnumerable<TestCaseData<Action<Assembler>>> PrivilegedInstructions()
    {
        yield return Case("mov rax, cr0", c => c.mov(rax, cr0));
        yield return Case("mov cr3, rax", c => c.mov(cr3, rax));
        yield return Case("mov rax, dr7", c => c.mov(rax, dr7));
        yield return Case("clts", c => c.clts());
        yield return Case("lmsw", c => c.lmsw(ax));
        yield return Case("rdmsr", c => c.rdmsr());
        yield return Case("wrmsr", c => c.wrmsr());
        yield return Case("lgdt", c => c.lgdt(__[rsp]));
        yield return Case("lidt", c => c.lidt(__[rsp]));
        yield return Case("lldt", c => c.lldt(ax));
        yield return Case("ltr", c => c.ltr(ax));
        yield return Case("invlpg", c => c.invlpg(__[rsp]));
        yield return Case("wbinvd", c => c.wbinvd());
        yield return Case("swapgs", c => c.swapgs());
        yield return Case("sysretq", c => c.sysretq());
        yield return Case("hlt", c => c.hlt());
        yield return Case("cli", c => c.cli());
        yield return Case("sti", c => c.sti());
        yield return Case("in", c => c.@in(al, 0x80));
        yield return Case("out", c => c.@out(dx, eax));

        static TestCaseData<Action<Assembler>> Case(string name, Action<Assembler> write) =>
            new TestCaseData<Action<Assembler>>(write).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(PrivilegedInstructions))]
    public void InRing3ItRaisesGP0(Action<Assembler> write)
    {
        machine.User(write);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.Zero);
        }
    }

    [TestCase(0, Cr0.PE | Cr0.PG | Cr0.NW, TestName = "CR0: NW without CD")]
    [TestCase(0, Cr0.PE, TestName = "CR0: paging off in 64-bit mode")]
    [TestCase(0, Cr0.PG, TestName = "CR0: PG without PE")]
    [TestCase(0, Cr0.PE | Cr0.PG | (1UL << 32), TestName = "CR0: bit 32")]
    [TestCase(3, 1UL << 46, TestName = "CR3: beyond MAXPHYADDR")]
    [TestCase(4, Cr4.PGE, TestName = "CR4: PAE clear")]
    [TestCase(4, Cr4.PAE | (1UL << 12), TestName = "CR4: a bit this processor lacks")]
    [TestCase(8, 16ul, TestName = "CR8: bit 4")]
    public void AControlRegisterRefuses(int register, ulong value)
    {
        ulong before = Read(register);
        machine.Kernel(c =>
        {
            c.mov(rax, value);
            c.mov(Cr(register), rax);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection));
            Assert.That(Read(register), Is.EqualTo(before));
        }
    }

    [Test]
    public void WritingCr3DropsWhatIsNotGlobal()
    {
        machine.Kernel(c =>
        {
            c.mov(al, __byte_ptr[TestMachine.Data]);
            c.mov(__qword_ptr[TestMachine.Data], rax);
            c.mov(rax, cr3);
            c.mov(cr3, rax);
            c.mov(al, __byte_ptr[TestMachine.Data]);
        });

        Assert.That(machine.Cpu.Counters.DataMisses, Is.EqualTo(3), "read, first write, and read after the flush");
    }

    [Test]
    public void ClearingWPLetsTheSupervisorWriteReadOnlyPages()
    {
        machine.PageTables.Map(new GuestMemory.Gva(0x4000_0000), new GuestMemory.Gpa(TestMachine.Data), 0x1000, Mmu.PageRights.None);
        machine.Kernel(c =>
        {
            c.mov(rbx, 0x4000_0000);
            c.mov(al, __byte_ptr[rbx]);
            c.mov(rax, cr0);
            c.btr(rax, 16);
            c.mov(cr0, rax);
            c.mov(__byte_ptr[rbx], 0x5A);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.Null);
            Assert.That((byte)machine[TestMachine.Data], Is.EqualTo(0x5A));
        }
    }

    [TestCase(MsrNumber.Efer, Efer.SCE | Efer.LMA | Efer.NXE, TestName = "EFER: LME off while paging")]
    [TestCase(MsrNumber.Efer, Efer.LME | (1UL << 12), TestName = "EFER: a reserved bit")]
    [TestCase(MsrNumber.Lstar, TestMachine.NonCanonical)]
    [TestCase(MsrNumber.GsBase, TestMachine.NonCanonical)]
    [TestCase(MsrNumber.Pat, 2ul)]
    [TestCase(MsrNumber.TscAux, 1UL << 32)]
    [TestCase(0x1234u, 0ul, TestName = "An MSR that is not there")]
    public void AnMsrRefuses(uint number, ulong value)
    {
        machine.Kernel(c => WriteMsr(c, number, value));
        Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection));
    }

    [Test]
    public void SyscallAndSysretGoToTheKernelAndBack()
    {
        machine.State.Msr.Star = (0x18UL << 48) | (0x08UL << 32);
        machine.State.Msr.Lstar = TestMachine.KernelCode;
        machine.State.Msr.Fmask = Rflags.IF;
        machine.Cpu.Rflags |= Rflags.IF;
        machine.Place(TestMachine.KernelCode, c =>
        {
            c.mov(rbx, rcx);
            c.pushfq();
            c.pop(rdx);
            c.mov(esi, cs);
            c.sysretq();
        });
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.UserStack;
        machine.User(c =>
        {
            c.syscall();
            c.mov(edi, cs);
            c.mov(r8d, ss);
            c.ud2();
        });

        ref Emulation.GeneralRegisters gpr = ref machine.State.Gpr;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
            Assert.That(gpr[GeneralRegister.Rbx], Is.EqualTo(TestMachine.UserCode + 2));
            Assert.That(gpr[GeneralRegister.Rdx] & Rflags.IF, Is.Zero, "FMASK");
            Assert.That(gpr[GeneralRegister.Rsi], Is.EqualTo(0x08));
            Assert.That(gpr[GeneralRegister.Rdi], Is.EqualTo(0x2B));
            Assert.That(gpr[GeneralRegister.R8], Is.EqualTo(0x23));
            Assert.That(machine.Frame(hasErrorCode: false).Rflags & Rflags.IF, Is.Not.Zero);
        }
    }

    [Test]
    public void SysretToANonCanonicalAddressFaultsInRing0()
    {
        machine.State.Gpr[GeneralRegister.Rcx] = TestMachine.NonCanonical;
        machine.Kernel(c => c.sysretq());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection));
            Assert.That(machine.Frame(hasErrorCode: true).Cs, Is.EqualTo((ulong)TestMachine.KernelCs));
        }
    }

    [Test]
    public void IretqReturnsFromAHandlerToRing3()
    {
        machine.Place(TestMachine.Handler(0x20), c => c.iretq());
        machine.SetGate(0x20, dpl: 3);
        machine.User(c =>
        {
            c.@int(0x20);
            c.ud2();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
            Assert.That(machine.Frame(hasErrorCode: false), Is.EqualTo(new ExceptionFrameWords(
                null, TestMachine.UserCode + 2, TestMachine.UserCs, Rflags.Fixed | Rflags.RF, TestMachine.UserStack, TestMachine.UserSs)));
        }
    }

    [TestCase(TestMachine.NonCanonical, TestMachine.KernelCs, TestMachine.KernelSs, 0, TestName = "RIP not canonical")]
    [TestCase(TestMachine.KernelCode, (ushort)0, TestMachine.KernelSs, 0, TestName = "CS null")]
    [TestCase(TestMachine.KernelCode, TestMachine.KernelSs, TestMachine.KernelSs, 0x10, TestName = "CS is data")]
    [TestCase(TestMachine.KernelCode, (ushort)0x2A, TestMachine.UserSs, 0x28, TestName = "CS with DPL other than RPL")]
    [TestCase(TestMachine.UserCode, TestMachine.UserCs, (ushort)0, 0, TestName = "SS null for ring 3")]
    [TestCase(TestMachine.UserCode, TestMachine.UserCs, TestMachine.KernelSs, 0x10, TestName = "SS with another RPL")]
    [TestCase(TestMachine.KernelCode, TestMachine.KernelCs, (ushort)0x80, 0x80, TestName = "SS beyond the GDT")]
    public void IretqRefuses(ulong rip, ushort cs, ushort ss, int errorCode)
    {
        machine.Kernel(c =>
        {
            Push(c, ss, TestMachine.KernelStack, Rflags.Fixed, cs);
            c.mov(rax, rip);
            c.push(rax);
            c.iretq();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo((ulong)errorCode));
            Assert.That(machine.Frame(hasErrorCode: true).Rsp, Is.EqualTo(TestMachine.KernelStack - 40), "nothing is popped");
        }
    }

    [Test]
    public void IretqWithNTRaisesGP()
    {
        machine.Cpu.Rflags |= Rflags.NT;
        machine.Kernel(c => c.iretq());
        Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection));
    }

    /// <summary>48H is REX.W in 64-bit mode, and DEC EAX in compatibility mode.</summary>
    [Test]
    public void ReturningToCompatibilityModeRuns32BitCode()
    {
        machine.Place(TestMachine.UserCode, c => c.db(0x48, 0x0F, 0x0B));
        machine.Kernel(c =>
        {
            c.mov(eax, 7);
            Push(c, TestMachine.UserSs, TestMachine.UserStack, Rflags.Fixed, 0x1B, TestMachine.UserCode);
            c.iretq();
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
            Assert.That(machine.Frame(hasErrorCode: false).Rip, Is.EqualTo(TestMachine.UserCode + 1));
            Assert.That(machine.Frame(hasErrorCode: false).Cs, Is.EqualTo(0x1B));
        }
    }

    [Test]
    public void RetfToRing3DropsSegmentsOfRing0()
    {
        machine.Place(TestMachine.UserCode, c => c.ud2());
        machine.Kernel(c =>
        {
            c.mov(eax, (int)TestMachine.KernelSs);
            c.mov(ds, eax);
            c.mov(eax, (int)TestMachine.UserSs);
            c.mov(es, eax);
            Push(c, TestMachine.UserSs, TestMachine.UserStack, TestMachine.UserCs, TestMachine.UserCode);
            c.db(0x48, 0xCB);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Frame(hasErrorCode: false).Cs, Is.EqualTo((ulong)TestMachine.UserCs));
            Assert.That(machine.State.Segments[SegmentIndex.Ds].Selector, Is.Zero);
            Assert.That(machine.State.Segments[SegmentIndex.Es].Selector, Is.EqualTo(TestMachine.UserSs));
        }
    }

    [TestCase((ushort)0x80, ExceptionVector.GeneralProtection, 0x80)]
    [TestCase(TestMachine.KernelCs, ExceptionVector.GeneralProtection, 0x08, TestName = "SS: code segment")]
    [TestCase((ushort)0x13, ExceptionVector.GeneralProtection, 0x10, TestName = "SS: RPL is not CPL")]
    [TestCase((ushort)0x40, ExceptionVector.StackFault, 0x40, TestName = "SS: not present")]
    public void LoadingSsRefuses(ushort selector, ExceptionVector vector, int errorCode)
    {
        machine.SetDescriptor(0x40, TestMachine.Data32 & ~(1UL << 47));
        machine.Kernel(c =>
        {
            c.mov(eax, (int)selector);
            c.mov(ss, eax);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)vector));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo((ulong)errorCode));
        }
    }

    [Test]
    public void TablesAreLoadedAndStored()
    {
        machine.Kernel(c =>
        {
            c.mov(rbx, TestMachine.Data);
            c.sgdt(__[rbx]);
            c.lidt(__[rbx]);
            c.sidt(__[rbx + 16]);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine[TestMachine.Data], Is.EqualTo(0x7F | (TestMachine.Gdt << 16)));
            Assert.That(machine[TestMachine.Data + 16], Is.EqualTo(machine[TestMachine.Data]));
            Assert.That(machine.State.Idtr, Is.EqualTo(machine.State.Gdtr));
        }
    }

    [Test]
    public void LtrMarksTheTssBusyAndRefusesABusyOne()
    {
        machine.Kernel(c =>
        {
            c.mov(eax, (int)TestMachine.TssSelector);
            c.ltr(ax);
            c.ltr(ax);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.GeneralProtection));
            Assert.That(machine.State.Tr.Base, Is.EqualTo(TestMachine.Tss));
            Assert.That((byte)(machine[TestMachine.Gdt + TestMachine.TssSelector] >> 40), Is.EqualTo(0x8B));
        }
    }

    [TestCase(0xE9, 0, true)]
    [TestCase(0xE9, 1 << 1, false)]
    public void TheIoBitmapDecidesInRing3(int port, int bits, bool allowed)
    {
        machine[TestMachine.Tss + 0x66] = 0x68;
        machine[TestMachine.Tss + 0x68 + ((ulong)port / 8)] = (ulong)bits;
        machine.State.Tr.Limit = 0x68 + 0x40;
        machine.User(c =>
        {
            c.@in(al, (byte)port);
            c.ud2();
        });

        Assert.That(machine.Handled, Is.EqualTo((int)(allowed ? ExceptionVector.InvalidOpcode : ExceptionVector.GeneralProtection)));
    }

    [Test]
    public void TimeIsRetiredInstructions()
    {
        machine.Kernel(c =>
        {
            c.rdtsc();
            c.mov(ebx, eax);
            c.nop();
            c.nop();
            c.rdtsc();
            c.sub(eax, ebx);
        });

        Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(4));
    }

    [Test]
    public void CpuidNamesTheProcessor()
    {
        machine.Kernel(c =>
        {
            c.xor(eax, eax);
            c.cpuid();
        });

        ref Emulation.GeneralRegisters gpr = ref machine.State.Gpr;
        byte[] name = [.. Word(gpr[GeneralRegister.Rbx]), .. Word(gpr[GeneralRegister.Rdx]), .. Word(gpr[GeneralRegister.Rcx])];
        Assert.That(System.Text.Encoding.ASCII.GetString(name), Is.EqualTo("QuadwalkEmu!"));

        static byte[] Word(ulong register) => BitConverter.GetBytes((uint)register);
    }

    [Test]
    public void StacOpensUserPagesToTheSupervisor()
    {
        machine.State.Cr4 |= Cr4.SMAP;
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            c.stac();
            c.mov(al, __byte_ptr[TestMachine.UserData]);
            c.mov(ebx, 1);
            c.clac();
            c.mov(al, __byte_ptr[TestMachine.UserData]);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.Rbx], Is.EqualTo(1));
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.PageFault));
        }
    }

    [Test]
    public void TheDebugRegisterGuardRaisesDBOnce()
    {
        machine.State.Dr[7] = 1 << 13;
        machine.Kernel(c => c.mov(rax, dr0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.Debug));
            Assert.That(machine.State.Dr[6] & (1 << 13), Is.Not.Zero, "BD");
            Assert.That(machine.State.Dr[7] & (1 << 13), Is.Zero, "the handler may use them");
        }
    }

    private static AssemblerRegisterCR Cr(int number) => number switch
    {
        0 => cr0,
        3 => cr3,
        4 => cr4,
        _ => cr8,
    };

    private static void Push(Assembler c, params ulong[] values)
    {
        foreach (ulong value in values)
        {
            c.mov(rax, value);
            c.push(rax);
        }
    }

    private static void WriteMsr(Assembler c, uint number, ulong value)
    {
        c.mov(ecx, number);
        c.mov(eax, (uint)value);
        c.mov(edx, (uint)(value >> 32));
        c.wrmsr();
    }

    private ulong Read(int register) => register switch
    {
        0 => machine.State.Cr0,
        3 => machine.State.Cr3,
        4 => machine.State.Cr4,
        _ => machine.State.Cr8,
    };
}
