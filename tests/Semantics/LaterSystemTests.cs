using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>System instructions that came after the first 64-bit processors, against the SDM's pages on them.</summary>
[TestFixture]
internal sealed class LaterSystemTests
{
    private const int UD = (int)ExceptionVector.InvalidOpcode;
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const int PF = (int)ExceptionVector.PageFault;
    private const ulong High = 0xFFFF_8000_0000_0000;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine(TestMachine.Linear48);

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    /// <summary>What each refuses: code, CPL, CR4 bits that are set beforehand, vector or null.</summary>
    public static IEnumerable<TestCaseData<Action<Assembler>, byte, ulong, int?>> Refusals()
    {
        yield return Case("RDFSBASE without CR4.FSGSBASE", c => c.rdfsbase(rax), 0, 0, UD);
        yield return Case("WRGSBASE without CR4.FSGSBASE", c => c.wrgsbase(rax), 3, 0, UD);
        yield return Case("RDGSBASE at CPL 3", c => c.rdgsbase(eax), 3, Cr4.FSGSBASE, null);
        yield return Case("WRFSBASE, not canonical", c => { c.mov(rax, TestMachine.NonCanonical); c.wrfsbase(rax); }, 0, Cr4.FSGSBASE, GP);
        yield return Case("WRFSBASE of 32 bits", c => { c.mov(rax, TestMachine.NonCanonical); c.wrfsbase(eax); }, 0, Cr4.FSGSBASE, null);
        yield return Case("MONITOR at CPL 3", c => c.monitor(), 3, 0, UD);
        yield return Case("MWAIT at CPL 3", c => c.mwait(), 3, 0, UD);
        yield return Case("MONITOR with an extension", c => { c.mov(eax, (int)TestMachine.Data); c.mov(ecx, 1); c.monitor(); }, 0, 0, GP);
        yield return Case("MONITOR of what is not mapped", c => { c.mov(rax, High); c.xor(ecx, ecx); c.monitor(); }, 0, 0, PF);
        yield return Case("MONITOR and MWAIT", c => { c.mov(eax, (int)TestMachine.Data); c.xor(ecx, ecx); c.monitor(); c.mov(ecx, 1); c.mwait(); }, 0, 0, null);
        yield return Case("MWAIT with an unknown extension", c => { c.mov(ecx, 2); c.mwait(); }, 0, 0, GP);
        yield return Case("RDPKRU without CR4.PKE", c => { c.xor(ecx, ecx); c.rdpkru(); }, 0, 0, UD);
        yield return Case("WRPKRU without CR4.PKE", c => { c.xor(ecx, ecx); c.wrpkru(); }, 0, 0, UD);
        yield return Case("RDPKRU with ECX", c => { c.mov(ecx, 1); c.rdpkru(); }, 0, Cr4.PKE, GP);
        yield return Case("WRPKRU with EDX", c => { c.xor(ecx, ecx); c.mov(edx, 1); c.wrpkru(); }, 0, Cr4.PKE, GP);
        yield return Case("XGETBV without CR4.OSXSAVE", c => { c.xor(ecx, ecx); c.xgetbv(); }, 0, 0, UD);
        yield return Case("XGETBV of register 2", c => { c.mov(ecx, 2); c.xgetbv(); }, 0, Cr4.OSXSAVE, GP);
        yield return Case("XSETBV without CR4.OSXSAVE", c => c.xsetbv(), 0, 0, UD);
        yield return Case("XSETBV at CPL 3", c => { SetPair(c, 1); c.xsetbv(); }, 3, Cr4.OSXSAVE, GP);
        yield return Case("XSETBV of register 1", c => { SetPair(c, 1); c.mov(ecx, 1); c.xsetbv(); }, 0, Cr4.OSXSAVE, GP);
        yield return Case("XSETBV without x87", c => { SetPair(c, 2); c.xsetbv(); }, 0, Cr4.OSXSAVE, GP);
        yield return Case("XSETBV with AVX and no SSE", c => { SetPair(c, 5); c.xsetbv(); }, 0, Cr4.OSXSAVE, GP);
        yield return Case("XSETBV of what there is not", c => { SetPair(c, 1UL << 17 | 3); c.xsetbv(); }, 0, Cr4.OSXSAVE, GP);
        yield return Case("XSETBV of x87, SSE and PKRU", c => { SetPair(c, 0x203); c.xsetbv(); }, 0, Cr4.OSXSAVE, null);
        yield return Case("RDPMC", c => { c.xor(ecx, ecx); c.rdpmc(); }, 0, 0, GP);
        yield return Case("INVPCID at CPL 3", c => Invpcid(c, 2, 0, 0), 3, 0, GP);
        yield return Case("INVPCID type 4", c => Invpcid(c, 4, 0, 0), 0, 0, GP);
        yield return Case("INVPCID with reserved bits", c => Invpcid(c, 2, 0x1000, 0), 0, 0, GP);
        yield return Case("INVPCID of a PCID without CR4.PCIDE", c => Invpcid(c, 1, 5, 0), 0, 0, GP);
        yield return Case("INVPCID of a PCID", c => Invpcid(c, 1, 5, 0), 0, Cr4.PCIDE, null);
        yield return Case("INVPCID of everything looks at no PCID", c => Invpcid(c, 2, 5, 0), 0, 0, null);
        yield return Case("INVPCID of an address that is not canonical", c => Invpcid(c, 0, 0, TestMachine.NonCanonical), 0, 0, GP);
        yield return Case("INVPCID of an address", c => Invpcid(c, 0, 0, High), 0, 0, null);
        yield return Case("MOVDIR64B, misaligned", c => { c.mov(eax, (int)TestMachine.Data + 32); c.movdir64b(rax, __[(long)TestMachine.Data]); }, 0, 0, GP);
        yield return Case("SYSENTER without a selector", c => c.sysenter(), 0, 0, GP);
        yield return Case("SYSEXIT at CPL 3", c => c.sysexitq(), 3, 0, GP);
        yield return Case("SERIALIZE at CPL 3", c => c.serialize(), 3, 0, null);
        yield return Case("XSAVES at CPL 3", c => { c.mov(ebx, (int)TestMachine.UserData); c.xsaves(__[rbx]); }, 3, Cr4.OSXSAVE, GP);
        yield return Case("XRSTORS at CPL 3", c => { c.mov(ebx, (int)TestMachine.UserData); c.xrstors(__[rbx]); }, 3, Cr4.OSXSAVE, GP);
        yield return Case("WBNOINVD at CPL 3", c => c.wbnoinvd(), 3, 0, GP);
        foreach ((string name, Action<Assembler> write) in ((string, Action<Assembler>)[])
        [
            ("SGDT", c => c.sgdt(__[(long)TestMachine.UserData])), ("SIDT", c => c.sidt(__[(long)TestMachine.UserData])),
            ("SLDT", c => c.sldt(eax)), ("STR", c => c.str(rax)), ("SMSW", c => c.smsw(ax)), ("SMSW to memory", c => c.smsw(__word_ptr[(long)TestMachine.UserData])),
        ])
        {
            yield return Case($"{name} at CPL 3 with CR4.UMIP", write, 3, Cr4.UMIP, GP);
            yield return Case($"{name} at CPL 0 with CR4.UMIP", write, 0, Cr4.UMIP, null);
            yield return Case($"{name} at CPL 3", write, 3, 0, null);
        }

        static TestCaseData<Action<Assembler>, byte, ulong, int?> Case(string name, Action<Assembler> write, byte cpl, ulong cr4, int? vector) =>
            new TestCaseData<Action<Assembler>, byte, ulong, int?>(write, cpl, cr4, vector).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Refusals))]
    public void ItRefusesWhatItMust(Action<Assembler> write, byte cpl, ulong cr4, int? vector)
    {
        // The HLT after the code raises #GP at CPL 3: R15 says whether the code came through.
        void Marked(Assembler c)
        {
            write(c);
            c.mov(r15d, 1);
        }

        SetCr4(cr4);
        machine.State.Gpr[15] = 0;
        if (cpl == 3)
        {
            machine.User(Marked);
        }
        else
        {
            machine.Kernel(Marked);
        }

        Assert.That(Gpr(15) == 1, Is.EqualTo(vector is null));
        if (vector is not null || cpl == 0)
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
        }
    }

    [Test]
    public void SegmentBasesAreReadAndWritten()
    {
        SetCr4(Cr4.FSGSBASE);
        machine.State.Segments[SegmentIndex.Gs].Base = High + 0x1234_5678_9ABC;
        machine.User(c =>
        {
            c.mov(rax, 0x7654_3210_FEDC);
            c.wrfsbase(rax);
            c.rdfsbase(rbx);
            c.rdfsbase(ecx);
            c.rdgsbase(rdx);
            c.mov(rsi, High);
            c.wrgsbase(esi);
            c.rdgsbase(rdi);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Segments[SegmentIndex.Fs].Base, Is.EqualTo(0x7654_3210_FEDC));
            Assert.That(Gpr(GeneralRegister.Rbx), Is.EqualTo(0x7654_3210_FEDC));
            Assert.That(Gpr(GeneralRegister.Rcx), Is.EqualTo(0x3210_FEDC));
            Assert.That(Gpr(GeneralRegister.Rdx), Is.EqualTo(High + 0x1234_5678_9ABC));
            Assert.That(Gpr(GeneralRegister.Rdi), Is.Zero, "a 32-bit write clears the upper half");
        }
    }

    [Test]
    public void RandomNumbersFollowFromTheSeed([Values] bool seeds)
    {
        ulong[] Draw(ulong seed)
        {
            using Machine other = new(new MachineOptions { RamBytes = 8 << 20, Seed = seed });
            machine.State.Random = other.Cpu.State.Random;
            machine.State.Gpr[GeneralRegister.Rcx] = ulong.MaxValue;
            machine.Cpu.Rflags |= Rflags.Status;
            machine.Kernel(c =>
            {
                c.mov(rcx, -1);
                c.cmp(ecx, 1);
                if (seeds)
                {
                    c.rdseed(rax);
                    c.rdseed(ebx);
                    c.rdseed(cx);
                }
                else
                {
                    c.rdrand(rax);
                    c.rdrand(ebx);
                    c.rdrand(cx);
                }
            });
            Assert.That(machine.Cpu.Rflags & Rflags.Status, Is.EqualTo(Rflags.CF));
            return [Gpr(GeneralRegister.Rax), Gpr(GeneralRegister.Rbx), Gpr(GeneralRegister.Rcx)];
        }

        ulong[] first = Draw(1), again = Draw(1), other = Draw(2);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(again, Is.EqualTo(first));
            Assert.That(other, Is.Not.EqualTo(first));
            Assert.That(first[0] >> 32, Is.Not.Zero);
            Assert.That(first[1] >> 32, Is.Zero);
            Assert.That(first[2] >> 16, Is.EqualTo(ulong.MaxValue >> 16));
            Assert.That(first.Distinct().Count(), Is.EqualTo(3));
        }
    }

    [Test]
    public void RdpidReadsTscAux()
    {
        machine.State.Msr.TscAux = 0x89AB_CDEF;
        machine.User(c =>
        {
            c.mov(rax, -1);
            c.rdpid(rax);
        });
        Assert.That(Gpr(GeneralRegister.Rax), Is.EqualTo(0x89AB_CDEF));
    }

    [Test]
    public void DirectStoresWriteMemory()
    {
        for (ulong i = 0; i < 64; i += 8)
        {
            machine[TestMachine.Data + 0x103 + i] = 0x0101_0101_0101_0101 * (i + 1);
        }

        machine.Kernel(c =>
        {
            c.mov(rbx, 0x1122_3344_5566_7788);
            c.movdiri(__qword_ptr[(long)TestMachine.Data + 0x11], rbx);
            c.movdiri(__dword_ptr[(long)TestMachine.Data + 0x21], ebx);
            c.mov(rax, (long)TestMachine.Data + 0x200 + (1L << 32));
            c.mov(esi, (int)TestMachine.Data + 0x103);
            c.movdir64b(eax, __[esi]);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.Null);
            Assert.That(machine[TestMachine.Data + 0x11], Is.EqualTo(0x1122_3344_5566_7788));
            Assert.That(machine[TestMachine.Data + 0x21], Is.EqualTo(0x5566_7788));
            for (ulong i = 0; i < 64; i += 8)
            {
                Assert.That(machine[TestMachine.Data + 0x200 + i], Is.EqualTo(0x0101_0101_0101_0101 * (i + 1)));
            }
        }
    }

    [Test]
    public void SysenterAndSysexitGoToTheKernelAndBack()
    {
        machine.State.Msr.SysenterCs = TestMachine.KernelCs;
        machine.State.Msr.SysenterEip = TestMachine.KernelCode;
        machine.State.Msr.SysenterEsp = TestMachine.KernelStack;
        machine.Cpu.Rflags |= Rflags.IF;
        machine.Place(TestMachine.KernelCode, c =>
        {
            c.mov(rsi, rsp);
            c.pushfq();
            c.pop(rbx);
            c.mov(edi, cs);
            c.mov(r8d, ss);
            c.mov(rdx, (long)TestMachine.UserCode + 2);
            c.mov(rcx, (long)TestMachine.UserStack - 64);
            c.sysexitq();
        });
        machine.User(c =>
        {
            c.sysenter();
            c.mov(r9d, cs);
            c.mov(r10d, ss);
            c.mov(r11, rsp);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Gpr(GeneralRegister.Rsi), Is.EqualTo(TestMachine.KernelStack));
            Assert.That(Gpr(GeneralRegister.Rbx) & Rflags.IF, Is.Zero);
            Assert.That(Gpr(GeneralRegister.Rdi), Is.EqualTo(TestMachine.KernelCs));
            Assert.That(Gpr(GeneralRegister.R8), Is.EqualTo(TestMachine.KernelCs + 8));
            Assert.That(Gpr(9), Is.EqualTo((TestMachine.KernelCs + 32) | 3));
            Assert.That(Gpr(10), Is.EqualTo((TestMachine.KernelCs + 40) | 3));
            Assert.That(Gpr(GeneralRegister.R11), Is.EqualTo(TestMachine.UserStack - 64));
        }
    }

    [Test]
    public void SysexitToCompatibilityMode()
    {
        machine.State.Msr.SysenterCs = TestMachine.KernelCs;
        machine.Machine.WriteMemory(new(TestMachine.UserCode), [0x8C, 0xC8, 0x89, 0xE3, 0x0F, 0x0B]);
        machine.Kernel(c =>
        {
            c.mov(rdx, (long)TestMachine.UserCode | (5L << 40));
            c.mov(rcx, 0x7_0000_1000);
            c.sysexit();
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Gpr(GeneralRegister.Rax) & 0xFFFF, Is.EqualTo(0x1B));
            Assert.That(Gpr(GeneralRegister.Rbx), Is.EqualTo(0x1000));
            Assert.That(machine.Handled, Is.EqualTo(UD));
        }
    }

    /// <summary>A changed PKRU shuts a page that the TLB holds, and opens it again.</summary>
    [Test]
    public void WrpkruTakesEffectAtOnce()
    {
        SetCr4(Cr4.PKE);
        machine.User(c =>
        {
            c.mov(bl, __byte_ptr[(long)TestMachine.UserData]);
            c.xor(ecx, ecx);
            c.xor(edx, edx);
            c.mov(eax, 2);
            c.wrpkru();
            c.mov(bl, __byte_ptr[(long)TestMachine.UserData]);
            c.rdpkru();
            c.mov(esi, eax);
            c.mov(__byte_ptr[(long)TestMachine.UserData], bl);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(PF));
            Assert.That(Gpr(GeneralRegister.Rsi), Is.EqualTo(2));
            Assert.That(machine.State.Cr2, Is.EqualTo(TestMachine.UserData));
        }
    }

    [Test]
    public void InvpcidDropsTranslations([Values(0, 1, 2, 3)] int type)
    {
        machine.Kernel(c =>
        {
            c.mov(al, __byte_ptr[(long)TestMachine.Data]);
            Invpcid(c, type, 0, TestMachine.Data);
            c.mov(al, __byte_ptr[(long)TestMachine.Data]);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.Null);
            Assert.That(machine.Cpu.Counters.DataMisses, Is.GreaterThanOrEqualTo(3));
        }
    }

    [Test]
    public void XsetbvMakesXgetbvAndCpuidAnswer()
    {
        SetCr4(Cr4.OSXSAVE);
        machine.Kernel(c =>
        {
            c.xor(ecx, ecx);
            SetPair(c, 0x203);
            c.xsetbv();
            c.xgetbv();
            c.mov(esi, eax);
            c.mov(eax, 0xD);
            c.cpuid();
            c.mov(edi, ebx);
            c.mov(eax, 1);
            c.cpuid();
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Gpr(GeneralRegister.Rsi), Is.EqualTo(0x203));
            Assert.That(Gpr(GeneralRegister.Rdi), Is.EqualTo(2696));
            Assert.That(Gpr(GeneralRegister.Rcx) >> 27 & 1, Is.EqualTo(1), "OSXSAVE");
        }
    }

    private static void SetPair(Assembler c, ulong value)
    {
        c.xor(ecx, ecx);
        c.mov(eax, (uint)value);
        c.mov(edx, (uint)(value >> 32));
    }

    private static void Invpcid(Assembler c, int type, ulong pcid, ulong address)
    {
        c.mov(rax, address);
        c.mov(__qword_ptr[rsp - 8], rax);
        c.mov(rax, pcid);
        c.mov(__qword_ptr[rsp - 16], rax);
        c.mov(eax, type);
        c.invpcid(rax, __[rsp - 16]);
    }

    private ulong Gpr(int register) => machine.State.Gpr[register];

    private void SetCr4(ulong bits)
    {
        machine.State.Cr4 |= bits;
        machine.Cpu.FlushTlb();
    }
}
