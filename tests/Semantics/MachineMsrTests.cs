using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>The registers of <see cref="MachineMsrs"/> against the SDM (Vol. 4, table 2-2, and Vol. 3A, 13.11 on memory types).</summary>
[TestFixture]
internal sealed class MachineMsrTests
{
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const ulong Canonical = 0xFFFF_8000_0000_1234;
    private const ulong Beyond = 1UL << 46;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine(TestMachine.Linear48);

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    [TestCase(0x174u, 0x1234ul, true, TestName = "SYSENTER_CS")]
    [TestCase(0x175u, Canonical, true, TestName = "SYSENTER_ESP")]
    [TestCase(0x175u, TestMachine.NonCanonical, false, TestName = "SYSENTER_ESP: not canonical")]
    [TestCase(0x176u, Canonical, true, TestName = "SYSENTER_EIP")]
    [TestCase(0x176u, TestMachine.NonCanonical, false, TestName = "SYSENTER_EIP: not canonical")]
    [TestCase(0x6E1u, 0xFFFF_FFFFul, true, TestName = "PKRS")]
    [TestCase(0x6E1u, 1ul << 32, false, TestName = "PKRS: a reserved bit")]
    [TestCase(0x17Au, 7ul, true, TestName = "MCG_STATUS")]
    [TestCase(0x17Au, 8ul, false, TestName = "MCG_STATUS: a reserved bit")]
    [TestCase(0x1A0u, 0x4_00C5_1889ul, true, TestName = "MISC_ENABLE: everything but what is fixed")]
    [TestCase(0x1A0u, 2ul, false, TestName = "MISC_ENABLE: a reserved bit")]
    [TestCase(0x1D9u, 3ul, true, TestName = "DEBUGCTL: LBR and BTF")]
    [TestCase(0x1D9u, 1ul << 5, false, TestName = "DEBUGCTL: a reserved bit")]
    [TestCase(0x200u, 0x1234_5000ul | 6, true, TestName = "MTRR_PHYSBASE0: WB")]
    [TestCase(0x200u, 2ul, false, TestName = "MTRR_PHYSBASE0: type 2")]
    [TestCase(0x20Eu, 0x100ul, false, TestName = "MTRR_PHYSBASE7: bit 8")]
    [TestCase(0x20Eu, Beyond, false, TestName = "MTRR_PHYSBASE7: beyond MAXPHYADDR")]
    [TestCase(0x20Fu, 0xFFF_F800ul, true, TestName = "MTRR_PHYSMASK7: valid")]
    [TestCase(0x20Fu, 1ul << 10, false, TestName = "MTRR_PHYSMASK7: bit 10")]
    [TestCase(0x201u, Beyond, false, TestName = "MTRR_PHYSMASK0: beyond MAXPHYADDR")]
    [TestCase(0x250u, 0x0605_0401_0006_0606ul, true, TestName = "MTRR_FIX64K_00000")]
    [TestCase(0x259u, 0x0606_0606_0606_0606ul, true, TestName = "MTRR_FIX16K_A0000")]
    [TestCase(0x26Fu, 0x0600_0000_0000_0000ul, true, TestName = "MTRR_FIX4K_F8000")]
    [TestCase(0x268u, 0x0700_0000_0000_0000ul, false, TestName = "MTRR_FIX4K_C0000: type 7")]
    [TestCase(0x2FFu, 0xC06ul, true, TestName = "MTRR_DEF_TYPE: enabled, WB")]
    [TestCase(0x2FFu, 0xC03ul, false, TestName = "MTRR_DEF_TYPE: type 3")]
    [TestCase(0x2FFu, 0x1006ul, false, TestName = "MTRR_DEF_TYPE: bit 12")]
    [TestCase(0xDA0u, 0ul, true, TestName = "XSS: nothing")]
    [TestCase(0xDA0u, 1ul << 8, false, TestName = "XSS: a component that is not there")]
    [TestCase(0x3Au, 0ul, false, TestName = "FEATURE_CONTROL is locked")]
    [TestCase(0x17u, 0ul, false, TestName = "PLATFORM_ID is read only")]
    [TestCase(0xFEu, 0ul, false, TestName = "MTRRCAP is read only")]
    [TestCase(0x179u, 0ul, false, TestName = "MCG_CAP is read only")]
    public void ItIsReadAsWritten(uint number, ulong value, bool allowed)
    {
        ulong before = Read(number);
        Write(number, value);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, allowed ? Is.Null : Is.EqualTo(GP));
            Assert.That(Read(number), Is.EqualTo(allowed ? value : before));
        }
    }

    [TestCase(0x17u, 0ul)]
    [TestCase(0x3Au, 1ul, TestName = "FEATURE_CONTROL: locked")]
    [TestCase(0x8Bu, 1ul << 32, TestName = "BIOS_SIGN_ID: a revision in the upper half")]
    [TestCase(0xFEu, 0x508ul, TestName = "MTRRCAP: eight ranges, fixed ones, WC")]
    [TestCase(0x179u, 0ul, TestName = "MCG_CAP: no banks")]
    [TestCase(0x1A0u, 0x4_1801ul, TestName = "MISC_ENABLE: fast strings, MONITOR, no BTS, no PEBS")]
    [TestCase(0x277u, 0x0007_0406_0007_0406ul, TestName = "PAT after reset")]
    [TestCase(0x2FFu, 0ul, TestName = "MTRR_DEF_TYPE after reset")]
    public void AtFirstItReads(uint number, ulong value)
    {
        ulong read = Read(number);
        Assert.That((read, machine.Handled), Is.EqualTo((value, (int?)null)));
    }

    [TestCase(0x186u)]
    [TestCase(0x210u)]
    [TestCase(0x251u)]
    [TestCase(0x25Au)]
    [TestCase(0x267u)]
    [TestCase(0x270u)]
    [TestCase(0x400u)]
    [TestCase(0xC000_0104u)]
    public void ItIsNotThere(uint number)
    {
        Read(number);
        int? read = machine.Handled;
        Write(number, 0);
        Assert.That((read, machine.Handled), Is.EqualTo(((int?)GP, (int?)GP)));
    }

    [TestCase("max,-mtrr", 0x200u)]
    [TestCase("max,-mtrr", 0xFEu)]
    [TestCase("max,-mtrr", 0x26Fu)]
    [TestCase("max,-sep", 0x174u)]
    [TestCase("max,-tsc_adjust", 0x3Bu)]
    [TestCase("max,-xsaves", 0xDA0u)]
    [TestCase("max,-pks", 0x6E1u)]
    [TestCase("max,-mca", 0x179u)]
    public void WithoutTheFeatureItIsNotThere(string model, uint number)
    {
        machine.Dispose();
        machine = new TestMachine(CpuFeatures.Parse(model));
        Read(number);
        Assert.That(machine.Handled, Is.EqualTo(GP));
    }

    /// <summary>A translation that was cached under other rights is not used any more.</summary>
    [TestCase(0u, null)]
    [TestCase(1u << 6, 14)]
    [TestCase(2u << 6, 14)]
    [TestCase(3u << 8, null)]
    public void PkrsForbidsSupervisorAccessesAtOnce(uint rights, int? vector)
    {
        RamTables tables = machine.Cpu.Memory.Tables;
        NoWalkObserver nobody = default;
        ulong at = PageWalker.Walk(ref tables, machine.Cpu.Paging, new Gva(TestMachine.Data), new WalkAccess(AccessKind.Read, false), ref nobody).EntryAddress.Value;
        machine[at] |= 3UL << 59;
        machine.State.Cr4 |= Cr4.PKS;
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            c.mov(__qword_ptr[TestMachine.Data], 1);
            c.mov(rbx, __qword_ptr[TestMachine.Data]);
            c.mov(ecx, 0x6E1u);
            c.mov(eax, rights);
            c.mov(edx, 0);
            c.wrmsr();
            c.mov(__qword_ptr[TestMachine.Data], 2);
        });
        Assert.That(machine.Handled, Is.EqualTo(vector));
        if (vector is not null)
        {
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo(0x23));
            Assert.That(machine[TestMachine.Data], Is.EqualTo(1));
        }
    }

    /// <summary>SDM Vol. 3B, 18.17.3: what moves the counter moves IA32_TSC_ADJUST as far, and the other way round.</summary>
    [Test]
    public void TheCounterAndItsAdjustmentMoveTogether()
    {
        Write(0x3B, 1000);
        ulong after = Read(0x10);
        Write(0x10, 1_000_000);
        ulong adjusted = Read(0x3B), counter = Read(0x10);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(after, Is.InRange(1000ul, 1100ul));
            Assert.That(counter, Is.InRange(1_000_000ul, 1_000_100ul));
            Assert.That(adjusted, Is.InRange(1_000_000ul - 200, 1_000_000ul));
        }
    }

    private ulong Read(uint number)
    {
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack;
        machine.Kernel(c =>
        {
            c.mov(ecx, number);
            c.rdmsr();
        });
        return (machine.State.Gpr[GeneralRegister.Rdx] << 32) | (uint)machine.State.Gpr[GeneralRegister.Rax];
    }

    private void Write(uint number, ulong value)
    {
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack;
        machine.Kernel(c =>
        {
            c.mov(ecx, number);
            c.mov(eax, (uint)value);
            c.mov(edx, (uint)(value >> 32));
            c.wrmsr();
        });
    }
}
