using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>What a guest sees of the TLB: the old translation until it invalidates as the SDM says, and never after.</summary>
[TestFixture]
internal sealed class TlbSemanticsTests
{
    private const ulong First = TestMachine.Data;
    private const ulong Second = TestMachine.Data + 0x1000;
    private const ulong UserPage = TestMachine.UserData + 0x1000;
    private const int PageFault = (int)ExceptionVector.PageFault;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine()
    {
        machine = new TestMachine();
        machine[First] = 1;
        machine[Second] = 2;
        machine[UserPage] = 3;
    }

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    public static IEnumerable<TestCaseData> Invalidations()
    {
        yield return Case("nothing", false, 1, c => c.nop());
        yield return Case("nothing, global", true, 1, c => c.nop());
        yield return Case("invlpg", false, 2, c => c.invlpg(__[First + 0xFFF]));
        yield return Case("invlpg, global", true, 2, c => c.invlpg(__[First + 0xFFF]));
        yield return Case("invlpg of the next page", false, 1, c => c.invlpg(__[First + 0x1000]));
        yield return Case("mov cr3", false, 2, ReloadCr3);
        yield return Case("mov cr3, global", true, 1, ReloadCr3);
        yield return Case("cr4.pge", false, 2, c => Toggle(c, Cr4.PGE));
        yield return Case("cr4.pge, global", true, 2, c => Toggle(c, Cr4.PGE));
        yield return Case("cr4.smep, global", true, 2, c => Toggle(c, Cr4.SMEP));
        yield return Case("cr4.osxmmexcpt", false, 1, c => Toggle(c, Cr4.OSXMMEXCPT));

        static TestCaseData Case(string name, bool global, int expected, Action<Assembler> invalidate) =>
            new TestCaseData(global, (ulong)expected, invalidate).SetArgDisplayNames(name);
    }

    /// <summary>The page is used again before it is invalidated, so that its entry is there to be dropped.</summary>
    [TestCaseSource(nameof(Invalidations))]
    public void ARemappedPageIsSeenAfterItsInvalidation(bool global, ulong expected, Action<Assembler> invalidate)
    {
        ulong entry = Entry(First);
        ulong flags = global ? PageTableEntry.GBit : 0;
        machine[entry] |= flags;
        machine.Kernel(c =>
        {
            c.mov(rbx, __qword_ptr[First]);
            c.mov(rdi, entry);
            c.mov(rax, (machine[entry] & ~PageTableEntry.AddressMask4K) | Second);
            c.mov(__qword_ptr[rdi], rax);
            c.mov(rcx, __qword_ptr[First]);
            invalidate(c);
            c.mov(rdx, __qword_ptr[First]);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.Null);
            Assert.That(Register(GeneralRegister.Rbx), Is.EqualTo(1));
            Assert.That(Register(GeneralRegister.Rcx), Is.EqualTo(1), "the TLB still holds it");
            Assert.That(Register(GeneralRegister.Rdx), Is.EqualTo(expected));
        }
    }

    [Test]
    public void InvlpgThroughAnyAddressDropsTheWholePage(
        [Values(12, 21, 30)] int shift, [Values] bool global, [Values(0.0, 0.5, 1.0)] double where)
    {
        const ulong Base = 0x40_0000_0000;
        ulong size = 1UL << shift;
        machine.PageTables.Map(new Gva(Base), new Gpa(0), size, PageRights.Write | (global ? PageRights.Global : 0), shift);
        ulong entry = Entry(Base);
        ulong used = Base + Math.Min(First, size - 0x1000);
        ulong other = Base + Math.Min(Second, size - 0x1000);
        ulong named = Base + (ulong)(where * (size - 1));
        Run(c => Use(c, used, other));
        Assert.That(machine.Handled, Is.Null);
        machine[entry] = 0;
        Run(c => Use(c, used, other));
        Assert.That(machine.Handled, Is.Null, "the TLB still holds it");
        foreach (ulong address in (ulong[])[used, other])
        {
            Run(c =>
            {
                c.mov(rdi, named);
                c.invlpg(__[rdi]);
                c.mov(rdi, address);
                c.mov(rax, __qword_ptr[rdi]);
            });
            using (Assert.EnterMultipleScope())
            {
                Assert.That(machine.Handled, Is.EqualTo(PageFault));
                Assert.That(machine.State.Cr2, Is.EqualTo(address));
            }
        }
    }

    [Test]
    public void ClearingAndSettingWPTakesEffectAtOnce()
    {
        ulong entry = Entry(First);
        machine[entry] &= ~PageTableEntry.RWBit;
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            c.mov(rbx, cr0);
            c.mov(rax, rbx);
            c.and(eax, ~0x1_0000);
            c.mov(cr0, rax);
            c.mov(__qword_ptr[First], 7);
            c.mov(__qword_ptr[First], 8);
            c.mov(cr0, rbx);
            c.mov(__qword_ptr[First], 9);
        });
        ExpectPageFault(First, PageFaultCode.Present | PageFaultCode.Write);
        Assert.That(machine[First], Is.EqualTo(8));
    }

    [TestCase(Cr4.SMEP, 0x11ul)]
    [TestCase(Cr4.SMAP, 0ul)]
    public void SettingSmepTakesEffectAtOnce(ulong bit, ulong code)
    {
        machine.Place(TestMachine.UserCode, c => c.ret());
        machine.Kernel(c =>
        {
            c.mov(rdi, TestMachine.UserCode);
            c.call(rdi);
            c.call(rdi);
            c.mov(rax, cr4);
            c.or(rax, (int)bit);
            c.mov(cr4, rax);
            c.call(rdi);
        });
        if (code == 0)
        {
            Assert.That(machine.Handled, Is.Null, "SMAP is not for fetches");
            return;
        }

        ExpectPageFault(TestMachine.UserCode, (PageFaultCode)code);
    }

    [Test]
    public void SettingSmapTakesEffectAtOnceAndStacAndClacSwitchIt()
    {
        machine.Kernel(c =>
        {
            c.mov(rbx, __qword_ptr[UserPage]);
            c.mov(__qword_ptr[UserPage], 4);
            c.mov(rax, cr4);
            c.or(rax, (int)Cr4.SMAP);
            c.mov(cr4, rax);
            c.stac();
            c.mov(rcx, __qword_ptr[UserPage]);
            c.mov(__qword_ptr[UserPage], 5);
            c.clac();
            c.mov(rdx, __qword_ptr[UserPage]);
        });
        ExpectPageFault(UserPage, PageFaultCode.Present);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Register(GeneralRegister.Rcx), Is.EqualTo(4));
            Assert.That(Register(GeneralRegister.Rdx), Is.Not.EqualTo(5));
            Assert.That(machine[UserPage], Is.EqualTo(5));
        }
    }

    [Test]
    public void PopfSwitchesSmapToo()
    {
        machine.State.Cr4 |= Cr4.SMAP;
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            c.push((int)Rflags.AC);
            c.popfq();
            c.mov(rbx, __qword_ptr[UserPage]);
            c.push(0);
            c.popfq();
            c.mov(rcx, __qword_ptr[UserPage]);
        });
        ExpectPageFault(UserPage, PageFaultCode.Present);
        Assert.That(Register(GeneralRegister.Rbx), Is.EqualTo(3));
    }

    [Test]
    public void ClearingNxeMakesBit63ReservedAtOnce()
    {
        ulong entry = Entry(First);
        machine[entry] |= PageTableEntry.NXBit;
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            c.mov(rbx, __qword_ptr[First]);
            c.mov(ecx, MsrNumber.Efer);
            c.rdmsr();
            c.and(eax, ~(int)Efer.NXE);
            c.wrmsr();
            c.mov(rcx, __qword_ptr[First]);
        });
        ExpectPageFault(First, PageFaultCode.Present | PageFaultCode.Reserved);
        Assert.That(Register(GeneralRegister.Rbx), Is.EqualTo(1));
    }

    [Test]
    public void WhatTheSupervisorCachedIsNotForTheUser()
    {
        machine.Kernel(c =>
        {
            c.mov(rbx, __qword_ptr[First]);
            c.mov(__qword_ptr[First], 6);
        });
        machine.User(c => c.mov(rcx, __qword_ptr[First]));
        ExpectPageFault(First, PageFaultCode.Present | PageFaultCode.User);
        machine.User(c => c.mov(__qword_ptr[First], rcx));
        ExpectPageFault(First, PageFaultCode.Present | PageFaultCode.User | PageFaultCode.Write);
        machine.Kernel(c => c.nop());
    }

    [Test]
    public void AWriteAfterAReadSetsD()
    {
        ulong entry = Entry(First);
        machine[entry] &= ~(PageTableEntry.ABit | PageTableEntry.DBit);
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            c.mov(rdi, entry);
            c.mov(rbx, __qword_ptr[First]);
            c.mov(rbx, __qword_ptr[First + 8]);
            c.mov(rbx, __qword_ptr[rdi]);
            c.mov(__qword_ptr[First], 1);
            c.mov(rcx, __qword_ptr[rdi]);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Register(GeneralRegister.Rbx) & (PageTableEntry.ABit | PageTableEntry.DBit), Is.EqualTo(PageTableEntry.ABit));
            Assert.That(Register(GeneralRegister.Rcx) & (PageTableEntry.ABit | PageTableEntry.DBit), Is.EqualTo(PageTableEntry.ABit | PageTableEntry.DBit));
        }
    }

    [Test]
    public void ARemappedPageRunsItsNewCodeAfterItsInvalidation([Values] bool global)
    {
        ulong entry = Entry(First);
        machine[entry] |= global ? PageTableEntry.GBit : 0;
        machine.Place(First, c => Return(c, 1));
        machine.Place(Second, c => Return(c, 2));
        machine.Kernel(c =>
        {
            c.mov(rdi, First);
            c.call(rdi);
            c.call(rdi);
            c.mov(ebx, eax);
            c.mov(rsi, entry);
            c.mov(rax, (machine[entry] & ~PageTableEntry.AddressMask4K) | Second);
            c.mov(__qword_ptr[rsi], rax);
            c.invlpg(__[rdi]);
            c.call(rdi);
            c.mov(ecx, eax);
            c.call(rdi);
            c.mov(edx, eax);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Register(GeneralRegister.Rbx), Is.EqualTo(1));
            Assert.That(Register(GeneralRegister.Rcx), Is.EqualTo(2));
            Assert.That(Register(GeneralRegister.Rdx), Is.EqualTo(2));
        }
    }

    /// <summary>Fetches go by their own walk: what the page became since does not keep an old one alive.</summary>
    [Test]
    public void AFetchCachedBeforeThePageBecameGlobalGoesWithMovToCr3()
    {
        ulong entry = Entry(First);
        machine.Place(First, c => c.ret());
        machine.Kernel(c =>
        {
            c.mov(rdi, First);
            c.mov(rsi, entry);
            c.call(rdi);
            c.mov(rax, machine[entry] | PageTableEntry.GBit | PageTableEntry.NXBit);
            c.mov(__qword_ptr[rsi], rax);
            c.mov(rbx, __qword_ptr[rdi]);
            ReloadCr3(c);
            c.call(rdi);
        });
        ExpectPageFault(First, PageFaultCode.Present | PageFaultCode.InstructionFetch);
    }

    private static void Use(Assembler c, ulong used, ulong other)
    {
        c.mov(rdi, used);
        c.mov(rax, __qword_ptr[rdi]);
        c.mov(rdi, other);
        c.mov(rax, __qword_ptr[rdi]);
    }

    private static void Return(Assembler c, int value)
    {
        c.mov(eax, value);
        c.ret();
    }

    private static void ReloadCr3(Assembler c)
    {
        c.mov(rax, cr3);
        c.mov(cr3, rax);
    }

    private static void Toggle(Assembler c, ulong bit)
    {
        c.mov(rax, cr4);
        c.xor(rax, (int)bit);
        c.mov(cr4, rax);
    }

    private void Run(Action<Assembler> write)
    {
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack;
        machine.Kernel(write);
    }

    private void ExpectPageFault(ulong address, PageFaultCode code)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(PageFault));
            Assert.That(machine.State.Cr2, Is.EqualTo(address));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo((ulong)code));
        }
    }

    private ulong Register(int index) => machine.State.Gpr[index];

    private ulong Entry(ulong gva)
    {
        WalkResult walk = machine.Cpu.Memory.Walk(gva, new WalkAccess(AccessKind.Read, User: false, Implicit: true));
        Assert.That(walk.Succeeded);
        return walk.EntryAddress.Value;
    }
}
