using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Changes of control registers and IA32_EFER in every mode (SDM Vol. 2B, "MOV - Move to/from Control Registers"; Vol. 3A, 5.1.2, 5.4.1, 11.8.5).
/// </summary>
[TestFixture]
internal sealed unsafe class ControlRegisterTests
{
    private const ulong PE = Cr0.PE | Cr0.ET, Paged = PE | Cr0.PG;
    private const ulong Pointers = 0x5_0020, Directory = 0x5_1000, Table = 0x5_2000;
    private const uint Code32 = 0x00CF_9B00, Code64 = 0x0020_9B00, Tss64 = 0x8B00, Tss16 = 0x8300;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine(With(CpuFeature.Pcid));

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    // In the first column the state before: r real, p protected, 3 32-bit paging, a PAE paging, c compatibility mode, l 64-bit mode.
    [TestCase("r", PE, true, TestName = "CR0: protection on")]
    [TestCase("p", Cr0.ET, true, TestName = "CR0: protection off")]
    [TestCase("p", 0ul, true, TestName = "CR0: ET stays")]
    [TestCase("p", PE | 0xFFC0ul, true, TestName = "CR0: unknown bits are dropped")]
    [TestCase("r", Cr0.PG, false, TestName = "CR0: paging without protection")]
    [TestCase("3", Cr0.PG, false, TestName = "CR0: protection off under paging")]
    [TestCase("p", PE | Cr0.NW, false, TestName = "CR0: NW without CD")]
    [TestCase("p", PE | Cr0.NW | Cr0.CD, true, TestName = "CR0: NW and CD")]
    [TestCase("l", Paged | (1UL << 32), false, TestName = "CR0: bit 32")]
    [TestCase("p", Paged, true, TestName = "CR0: 32-bit paging on")]
    [TestCase("3", PE, true, TestName = "CR0: 32-bit paging off")]
    [TestCase("3", Cr0.ET, true, TestName = "CR0: paging and protection off at once")]
    [TestCase("l", PE, false, TestName = "CR0: paging off in 64-bit mode")]
    [TestCase("c", PE, true, TestName = "CR0: paging off in compatibility mode")]
    [TestCase("l", Paged | Cr0.WP | Cr0.TS, true, TestName = "CR0: other bits in 64-bit mode")]
    public void Cr0Takes(string before, ulong value, bool allowed)
    {
        Enter(before);
        CpuState old = machine.State;
        bool taken = ControlRegisterRules.SetCr0(ref machine.State, machine.Cpu, value);
        Expect(taken, allowed, old.Cr0, (value & Cr0.Known) | Cr0.ET, machine.State.Cr0);
        ulong active = allowed && (value & Cr0.PG) == 0 ? 0 : old.Msr.Efer & Efer.LMA;
        Assert.That(machine.State.Msr.Efer & Efer.LMA, Is.EqualTo(active));
    }

    // Activating IA-32e mode: LME = 1 and CR0.PG from 0 to 1.
    [TestCase(Efer.LME, Cr4.PAE, Code32, Tss64, true, PagingMode.FourLevel)]
    [TestCase(Efer.LME, Cr4.PAE, 0u, 0u, true, PagingMode.FourLevel)]
    [TestCase(Efer.LME, Cr4.PAE, Code32, 0x8900u, true, PagingMode.FourLevel)]
    [TestCase(Efer.LME, 0ul, Code32, Tss64, false, PagingMode.None)]
    [TestCase(Efer.LME, Cr4.PAE, Code64, Tss64, false, PagingMode.None)]
    [TestCase(Efer.LME, Cr4.PAE, Code32, Tss16, false, PagingMode.None)]
    [TestCase(Efer.LME, Cr4.PAE, Code32, 0x8100u, false, PagingMode.None)]
    [TestCase(0ul, Cr4.PAE, Code64, Tss16, true, PagingMode.Pae)]
    [TestCase(0ul, 0ul, Code32, Tss16, true, PagingMode.Bits32)]
    public void PagingIsEnabled(ulong efer, ulong cr4, uint cs, uint tr, bool allowed, PagingMode mode)
    {
        Enter("p");
        machine.State.Msr.Efer = efer | Efer.NXE;
        machine.State.Cr4 = cr4;
        machine.State.Segments[SegmentIndex.Cs].Attributes = cs;
        machine.State.Tr.Attributes = tr;
        ulong before = machine.Cpu.Tlb.Epoch;
        bool taken = ControlRegisterRules.SetCr0(ref machine.State, machine.Cpu, Paged);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken, Is.EqualTo(allowed));
            Assert.That(machine.Cpu.Paging.Mode, Is.EqualTo(mode));
            Assert.That(machine.State.Msr.Efer, Is.EqualTo(efer | Efer.NXE | (mode == PagingMode.FourLevel ? Efer.LMA : 0)));
            Assert.That(machine.Cpu.Tlb.Epoch > before, Is.EqualTo(allowed), "a change of mode flushes");
            Assert.That(taken || machine.Cpu.PendingFault.Cause.Rule == FaultRule.LongModeTransition);
        }
    }

    [TestCase("l", 0x1000ul | (1UL << 46), false, TestName = "CR3: beyond MAXPHYADDR")]
    [TestCase("l", 0x1000ul | (1UL << 63), false, TestName = "CR3: bit 63 without PCIDs")]
    [TestCase("l", 0x3FFF_FFFF_FFFFul, true, TestName = "CR3: every bit below MAXPHYADDR")]
    [TestCase("3", 0xFFFF_FFFFul, true, TestName = "CR3: 32 bits of 32-bit paging")]
    [TestCase("p", 0xFFFF_FFFFul, true, TestName = "CR3: without paging nothing is loaded")]
    [TestCase("a", Pointers | 0x1F, true, TestName = "CR3: PAE paging")]
    public void Cr3Takes(string before, ulong value, bool allowed)
    {
        Enter(before);
        ulong old = machine.State.Cr3;
        Expect(ControlRegisterRules.SetCr3(ref machine.State, machine.Cpu, value), allowed, old, value, machine.State.Cr3);
    }

    [TestCase("p", Cr4.PAE | Cr4.PSE, true, TestName = "CR4: PAE in protected mode")]
    [TestCase("p", 1UL << 23, false, TestName = "CR4: a bit this processor lacks")]
    [TestCase("p", Cr4.PCIDE, false, TestName = "CR4: PCIDE in protected mode")]
    [TestCase("a", Cr4.PCIDE | Cr4.PAE, false, TestName = "CR4: PCIDE in PAE paging")]
    [TestCase("l", Cr4.PAE | Cr4.PCIDE, true, TestName = "CR4: PCIDE in 64-bit mode")]
    [TestCase("c", Cr4.PAE | Cr4.PCIDE, true, TestName = "CR4: PCIDE in compatibility mode")]
    [TestCase("l", Cr4.PGE, false, TestName = "CR4: PAE off in 64-bit mode")]
    [TestCase("c", Cr4.PGE, false, TestName = "CR4: PAE off in compatibility mode")]
    [TestCase("p", Cr4.LA57, true, TestName = "CR4: LA57 in protected mode")]
    [TestCase("3", Cr4.LA57 | Cr4.PSE, true, TestName = "CR4: LA57 in 32-bit paging")]
    [TestCase("a", Cr4.LA57 | Cr4.PAE, true, TestName = "CR4: LA57 in PAE paging")]
    [TestCase("c", Cr4.LA57 | Cr4.PAE, false, TestName = "CR4: LA57 in compatibility mode")]
    [TestCase("l", Cr4.LA57 | Cr4.PAE, false, TestName = "CR4: LA57 in 64-bit mode")]
    [TestCase("l", Cr4.PKS | Cr4.PAE, true, TestName = "CR4: PKS in 64-bit mode")]
    [TestCase("p", Cr4.PKS | Cr4.LAM_SUP, true, TestName = "CR4: PKS and LAM_SUP in protected mode")]
    [TestCase("l", Cr4.LAM_SUP | Cr4.PAE, true, TestName = "CR4: LAM_SUP in 64-bit mode")]
    [TestCase("a", Cr4.PGE, true, TestName = "CR4: from PAE to 32-bit paging")]
    [TestCase("3", Cr4.PAE, true, TestName = "CR4: from 32-bit to PAE paging")]
    public void Cr4Takes(string before, ulong value, bool allowed)
    {
        Enter(before);
        ulong old = machine.State.Cr4;
        Expect(ControlRegisterRules.SetCr4(ref machine.State, machine.Cpu, value), allowed, old, value, machine.State.Cr4);
    }

    [Test]
    public void PcidesRules()
    {
        ref CpuState cpu = ref machine.State;
        ulong root = cpu.Cr3;
        cpu.Cr3 |= 0x800;
        Assert.That(ControlRegisterRules.SetCr4(ref cpu, machine.Cpu, cpu.Cr4 | Cr4.PCIDE), Is.False, "CR3[11:0] is not 0");
        cpu.Cr3 = root;
        Assert.That(ControlRegisterRules.SetCr4(ref cpu, machine.Cpu, cpu.Cr4 | Cr4.PCIDE), Is.True);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(ControlRegisterRules.SetCr3(ref cpu, machine.Cpu, root | 0x123 | (1UL << 63)), Is.True);
            Assert.That(cpu.Cr3, Is.EqualTo(root | 0x123), "bit 63 is not kept");
            Assert.That(ControlRegisterRules.SetCr3(ref cpu, machine.Cpu, root | (1UL << 60)), Is.False);
            Assert.That(ControlRegisterRules.SetCr4(ref cpu, machine.Cpu, cpu.Cr4), Is.True, "PCIDE stays, whatever CR3 is");
        }

        cpu.Segments[SegmentIndex.Cs].Attributes = Code32;
        machine.Cpu.ContextChanged();
        Assert.That(ControlRegisterRules.SetCr0(ref cpu, machine.Cpu, PE), Is.False, "paging is not left with PCIDE");
        Assert.That(ControlRegisterRules.SetCr4(ref cpu, machine.Cpu, cpu.Cr4 & ~Cr4.PCIDE), Is.True);
        Assert.That(ControlRegisterRules.SetCr0(ref cpu, machine.Cpu, PE), Is.True);
    }

    [TestCase("p", Efer.LME | Efer.NXE | Efer.SCE, true, TestName = "EFER: LME without paging")]
    [TestCase("p", Efer.LME | Efer.LMA, true, TestName = "EFER: LMA is not written")]
    [TestCase("3", Efer.LME, false, TestName = "EFER: LME in 32-bit paging")]
    [TestCase("a", Efer.LME, false, TestName = "EFER: LME in PAE paging")]
    [TestCase("a", Efer.NXE, true, TestName = "EFER: NXE in PAE paging")]
    [TestCase("l", Efer.NXE, false, TestName = "EFER: LME off in 64-bit mode")]
    [TestCase("l", Efer.LME, true, TestName = "EFER: LMA stays in 64-bit mode")]
    [TestCase("p", 1UL << 9, false, TestName = "EFER: a reserved bit")]
    public void EferTakes(string before, ulong value, bool allowed)
    {
        Enter(before);
        ulong old = machine.State.Msr.Efer;
        Expect(
            ControlRegisterRules.SetEfer(ref machine.State, machine.Cpu, value), allowed, old, (value & ~Efer.LMA) | (old & Efer.LMA), machine.State.Msr.Efer);
    }

    // Section 5.4.1: the bits whose change loads the PDPTEs.
    [TestCase(0, Cr0.CD, true)]
    [TestCase(0, Cr0.CD | Cr0.NW, true)]
    [TestCase(0, Cr0.WP, false)]
    [TestCase(0, Cr0.TS, false)]
    [TestCase(4, Cr4.PGE, true)]
    [TestCase(4, Cr4.PSE, true)]
    [TestCase(4, Cr4.SMEP, true)]
    [TestCase(4, Cr4.SMAP, false)]
    [TestCase(4, Cr4.TSD, false)]
    [TestCase(4, Cr4.OSFXSR, false)]
    [TestCase(3, 0ul, true)]
    public void TheseChangesLoadThePdptesOfPaePaging(int register, ulong bit, bool loads)
    {
        Enter("a");
        PdpteRegisters before = machine.State.Pdpte;
        PdpteRegisters memory = new(Directory | 0x19, 0xFFFF_FFFF_FFFF_FFFE, 0x3FFF_FFFF_FE19, 0);
        PutPointers(memory);
        Assert.That(Change(register, bit), Is.True);
        Assert.That(machine.State.Pdpte, Is.EqualTo(loads ? memory : before));
    }

    [TestCase("p", 0, Cr0.PG, Cr4.PAE)]
    [TestCase("3", 4, Cr4.PAE, 0ul)]
    public void EnteringPaePagingLoadsThePdptes(string before, int register, ulong bit, ulong cr4)
    {
        Enter(before);
        machine.State.Cr4 = cr4;
        machine.State.Cr3 = Pointers;
        PutPointers(new(Directory | 1, 0, 0, 0));
        Assert.That(Change(register, bit), Is.True);
        Assert.That(machine.State.Pdpte, Is.EqualTo(new PdpteRegisters(Directory | 1, 0, 0, 0)));
    }

    [TestCase("p")]
    [TestCase("3")]
    [TestCase("c")]
    [TestCase("l")]
    public void OtherModesDoNotLookAtThePdptes(string mode)
    {
        Enter(mode);
        PutPointers(new(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue, ulong.MaxValue));
        Assert.That(ControlRegisterRules.SetCr3(ref machine.State, machine.Cpu, Pointers), Is.True);
        Assert.That(Change(0, Cr0.CD), Is.True);
        Assert.That(machine.State.Pdpte, Is.EqualTo(default(PdpteRegisters)));
    }

    // SDM Vol. 3A, table 5-8: bits 2:1, 8:5 and 63:MAXPHYADDR, which is 46 here.
    [Test]
    public void EachReservedBitOfEachPdpteRaisesGP([Values(0, 3, 4)] int register, [Range(0, 3)] int index)
    {
        for (int bit = 1; bit < 64; bit++)
        {
            foreach (ulong present in (ulong[])[0, 1])
            {
                Enter("a");
                ulong[] entries = [0, 0, 0, 0];
                entries[index] = present | (1UL << bit);
                PutPointers(new(entries[0], entries[1], entries[2], entries[3]));
                CpuState before = machine.State;
                ulong epoch = machine.Cpu.Tlb.Epoch;
                bool taken = Change(register, register == 0 ? Cr0.CD : register == 4 ? Cr4.PGE : 0x8);
                bool reserved = bit is 1 or 2 or (>= 5 and <= 8) or >= 46;
                Assert.That(taken, Is.EqualTo(present == 0 || !reserved), $"bit {bit}, P {present}");
                if (!taken)
                {
                    using (Assert.EnterMultipleScope())
                    {
                        Assert.That(machine.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.GeneralProtection));
                        Assert.That(machine.Cpu.PendingFault.ErrorCode, Is.Zero);
                        Assert.That(machine.Cpu.PendingFault.Cause.Rule, Is.EqualTo(FaultRule.PdpteReservedBits));
                        Assert.That(machine.State.Pdpte, Is.EqualTo(before.Pdpte));
                        Assert.That((machine.State.Cr0, machine.State.Cr3, machine.State.Cr4), Is.EqualTo((before.Cr0, before.Cr3, before.Cr4)));
                        Assert.That(machine.Cpu.Tlb.Epoch, Is.EqualTo(epoch));
                    }
                }
            }
        }
    }

    [Test]
    public void PdptesInNoMemoryReadAsOnesAndRaiseGP()
    {
        Enter("a");
        Assert.That(ControlRegisterRules.SetCr3(ref machine.State, machine.Cpu, 0xF000_0000), Is.False);
        Assert.That(machine.State.Cr3, Is.EqualTo(Pointers));
    }

    // The operand is 32 bits wide everywhere but in 64-bit mode, whatever the upper half of the register holds.
    [TestCase("r", false)]
    [TestCase("p", false)]
    [TestCase("a", false)]
    [TestCase("c", false)]
    [TestCase("l", true)]
    public void OperandsHave64BitsOnlyIn64BitMode(string mode, bool wide)
    {
        const ulong upper = 0xABC_0000_0000;
        Enter(mode);
        ref CpuState cpu = ref machine.State;
        Op op = default;
        cpu.Gpr[GeneralRegister.Rax] = upper | Pointers;
        bool wrote = WriteCr3.Execute<ProcessorPort>(ref cpu, ref op, machine.Cpu) && WriteCr2.Execute<ProcessorPort>(ref cpu, ref op, machine.Cpu);
        ulong expected = wide ? upper | Pointers : Pointers;
        cpu.Gpr[GeneralRegister.Rax] = upper | machine.State.Cr0;
        bool wroteCr0 = WriteCr0.Execute<ProcessorPort>(ref cpu, ref op, machine.Cpu);
        (ulong cr2, ulong cr3) = (cpu.Cr2, cpu.Cr3);
        cpu.Cr3 = upper | Pointers;
        op.Src = 3;
        bool read = ReadControlRegister.Execute<ProcessorPort>(ref cpu, ref op, machine.Cpu);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((wrote, read), Is.EqualTo((true, true)));
            Assert.That((cr2, cr3), Is.EqualTo((expected, expected)));
            Assert.That(wroteCr0, Is.EqualTo(!wide), "bits 63:32 of CR0 are refused where the operand has them");
            Assert.That(cpu.Gpr[GeneralRegister.Rax], Is.EqualTo(expected));
        }
    }

    [Test]
    public void LmswTurnsProtectionOnAndNotOff()
    {
        Enter("r");
        ref CpuState cpu = ref machine.State;
        Op op = default;
        cpu.Gpr[GeneralRegister.Rax] = 0xFFF1;
        Assert.That(LoadStatusWord<WordFromRegister>.Execute<ProcessorPort>(ref cpu, ref op, machine.Cpu), Is.True);
        Assert.That(cpu.Cr0, Is.EqualTo(PE));
        cpu.Gpr[GeneralRegister.Rax] = 0;
        Assert.That(LoadStatusWord<WordFromRegister>.Execute<ProcessorPort>(ref cpu, ref op, machine.Cpu), Is.True);
        Assert.That(cpu.Cr0, Is.EqualTo(PE));
    }

    [TestCase("3", false)]
    [TestCase("3", true)]
    [TestCase("a", false)]
    [TestCase("a", true)]
    public void TheTlbKeepsATranslationUntilItsInvalidation(string mode, bool global)
    {
        const ulong address = 0x3456;
        Enter(mode);
        machine.State.Cr4 |= Cr4.PGE;
        MapFirstPage(mode, TestMachine.Data | (global ? PageTableEntry.GBit : 0));
        machine.Cpu.FlushTlb();
        machine[TestMachine.Data + 0x456] = 1;
        machine[TestMachine.UserData + 0x456] = 2;
        Assert.That(ReadAt(address), Is.EqualTo(1));
        MapFirstPage(mode, TestMachine.UserData);
        Assert.That(ReadAt(address), Is.EqualTo(1), "no invalidation yet");
        Assert.That(ControlRegisterRules.SetCr3(ref machine.State, machine.Cpu, machine.State.Cr3), Is.True);
        Assert.That(ReadAt(address), Is.EqualTo(global ? 1 : 2));
        Assert.That(Change(4, Cr4.PGE), Is.True);
        Assert.That(ReadAt(address), Is.EqualTo(2));
        Assert.That(Change(0, Cr0.PG), Is.True);
        machine[address] = 3;
        Assert.That(ReadAt(address), Is.EqualTo(3), "without paging the address is the physical one");
    }

    [Test]
    public void ALargePageOfPse36IsReadAboveFourGiBAndDroppedWhole()
    {
        Enter("3");
        machine[Directory] = (0x1UL << 13) | PageTableEntry.PSBit | 3;
        machine.Cpu.FlushTlb();
        Assert.That(machine.Cpu.Memory.Walk(0x12_3456, new WalkAccess(AccessKind.Read, false)).Gpa, Is.EqualTo(new Gpa(0x1_0012_3456)));
        machine[Directory] = PageTableEntry.PSBit | 3;
        machine.Cpu.FlushTlb();
        machine[TestMachine.Data] = 7;
        Assert.That(ReadAt(TestMachine.Data), Is.EqualTo(7));
        machine[Directory] = 0;
        Assert.That(ReadAt(TestMachine.Data), Is.EqualTo(7));
        machine.Cpu.FlushTlbPage(new Gva(0x3F_FFFF));
        Assert.That(ReadAt(TestMachine.Data), Is.Null);
    }

    [Test]
    public void ThePdpteRegistersRatherThanMemoryAreWalked()
    {
        Enter("a");
        MapFirstPage("a", TestMachine.Data);
        machine[TestMachine.Data + 8] = 5;
        PutPointers(default);
        machine.Cpu.FlushTlb();
        Assert.That(ReadAt(0x3008), Is.EqualTo(5));
        Assert.That(ControlRegisterRules.SetCr3(ref machine.State, machine.Cpu, Pointers), Is.True);
        Assert.That(ReadAt(0x3008), Is.Null);
        Assert.That(machine.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.PageFault));
    }

    // The bits of CR4 and IA32_EFER that are there for a feature (SDM Vol. 3A, 2.5 and 2.2.1).
    [TestCase(CpuFeature.Tsc, 4, 1ul << 2)]
    [TestCase(CpuFeature.De, 4, 1ul << 3)]
    [TestCase(CpuFeature.Pse, 4, 1ul << 4)]
    [TestCase(CpuFeature.Pge, 4, 1ul << 7)]
    [TestCase(CpuFeature.Fxsr, 4, 1ul << 9)]
    [TestCase(CpuFeature.Sse, 4, 1ul << 10)]
    [TestCase(CpuFeature.Pcid, 4, 1ul << 17)]
    [TestCase(CpuFeature.Smep, 4, 1ul << 20)]
    [TestCase(CpuFeature.Smap, 4, 1ul << 21)]
    [TestCase(CpuFeature.Pks, 4, 1ul << 24)]
    [TestCase(CpuFeature.Lam, 4, 1ul << 28)]
    [TestCase(CpuFeature.Syscall, 0, 1ul << 0)]
    [TestCase(CpuFeature.Nx, 0, 1ul << 11)]
    public void ABitIsThereWithItsFeature(CpuFeature feature, int register, ulong bit)
    {
        using TestMachine without = new(Without(feature));
        using TestMachine with = new(With(feature));
        foreach (TestMachine tried in (TestMachine[])[without, with])
        {
            ref CpuState cpu = ref tried.State;
            cpu.Cr4 = Cr4.PAE;
            cpu.Msr.Efer = Efer.LME | Efer.LMA;
            bool taken = register == 4
                ? ControlRegisterRules.SetCr4(ref cpu, tried.Cpu, cpu.Cr4 | bit)
                : ControlRegisterRules.SetEfer(ref cpu, tried.Cpu, cpu.Msr.Efer | bit);
            Assert.That(taken, Is.EqualTo(tried == with));
        }
    }

    [Test]
    public void LA57IsThereWithItsFeatureAndStaysInIa32eMode()
    {
        foreach (bool has in (bool[])[false, true])
        {
            using TestMachine tried = new(has ? With(CpuFeature.La57) : Without(CpuFeature.La57));
            tried.State.Cr0 = PE;
            tried.State.Msr.Efer = Efer.LME;
            Assert.That(ControlRegisterRules.SetCr4(ref tried.State, tried.Cpu, Cr4.PAE | Cr4.LA57), Is.EqualTo(has));
            tried.State.Segments[SegmentIndex.Cs].Attributes = Code32;
            Assert.That(ControlRegisterRules.SetCr0(ref tried.State, tried.Cpu, Paged));
            Assert.That(tried.Cpu.Paging.Mode, Is.EqualTo(has ? PagingMode.FiveLevel : PagingMode.FourLevel));
            Assert.That(ControlRegisterRules.SetCr4(ref tried.State, tried.Cpu, Cr4.PAE), Is.EqualTo(!has));
        }
    }

    /// <summary>A register that is written from outside, as a debugger does, shows in the paging state at once, without a call to anything.</summary>
    [Test]
    public void ThePagingStateIsNeverStale()
    {
        Vcpu cpu = machine.Cpu;
        _ = cpu.Paging.Mode;
        machine.State.Cr0 ^= Cr0.WP;
        Assert.That(cpu.Paging.Cr0, Is.EqualTo(machine.State.Cr0));
        machine.State.Cr3 = 0x7000;
        Assert.That(cpu.Paging.Cr3, Is.EqualTo(0x7000));
        machine.State.Cr4 |= Cr4.SMAP;
        Assert.That(cpu.Paging.SMAP);
        machine.State.Msr.Efer ^= Efer.NXE;
        Assert.That(cpu.Paging.Efer, Is.EqualTo(machine.State.Msr.Efer));
        machine.State.SystemFlags |= Rflags.AC;
        Assert.That(cpu.Paging.AlignmentCheck);
        machine.State.SystemFlags &= ~Rflags.AC;
        Assert.That(cpu.Paging.AlignmentCheck, Is.False);
        machine.State.Pkru = 0x55;
        machine.State.Msr.Pkrs = 0xAA;
        Assert.That((cpu.Paging.Pkru, cpu.Paging.Pkrs), Is.EqualTo((0x55u, 0xAAu)));
        machine.State.Msr.Efer = 0;
        _ = cpu.Paging.Mode;
        machine.State.Pdpte = new PdpteRegisters(1, 0x2001, 0, 0);
        Assert.That((cpu.Paging.Mode, cpu.Paging.Pdptes), Is.EqualTo((PagingMode.Pae, new PdpteRegisters(1, 0x2001, 0, 0))));
        machine.State.Pdpte = default;
        machine.State.Msr.Efer = Efer.LMA;
        _ = cpu.Paging.Mode;
        machine.State.Pdpte = new PdpteRegisters(1, 2, 3, 5);
        machine.State.Msr.Efer = 0;
        Assert.That(cpu.Paging.Pdptes, Is.EqualTo(new PdpteRegisters(1, 2, 3, 5)));
    }

    /// <summary>Reserved bits of PDPTEs, for each width: bits 2:1, 8:5 and those from MAXPHYADDR up raise #GP where P is 1.</summary>
    [Test]
    public void EachBitOfAPdpteIsReservedWhereTheTableSays([Range(36, 52)] int width)
    {
        machine.Dispose();
        machine = new TestMachine(CpuFeatures.Parse($"max,phys-bits={width}"));
        for (int bit = 1; bit < 64; bit++)
        {
            foreach (bool present in (bool[])[false, true])
            {
                Enter("a");
                PutPointers(new(Directory | 1, 0, (1UL << bit) | (present ? 1UL : 0), 0));
                bool reserved = present && (bit is 1 or 2 or (>= 5 and <= 8) || bit >= width);
                bool taken = ControlRegisterRules.SetCr3(ref machine.State, machine.Cpu, Pointers);
                Assert.That(taken, Is.EqualTo(!reserved), $"bit {bit}, P {present}");
                Assert.That(taken || machine.Cpu.PendingFault is { Vector: ExceptionVector.GeneralProtection, Cause.Rule: FaultRule.PdpteReservedBits });
            }
        }
    }

    [Test]
    public void WithoutPse36ALargePageStaysBelowFourGiB()
    {
        using TestMachine without = new(Without(CpuFeature.Pse36));
        without.State.Cr4 = Cr4.PSE;
        without.State.Msr.Efer = 0;
        without.State.Cr3 = Directory;
        without[Directory] = (1UL << 13) | PageTableEntry.PSBit | 3;
        without.Cpu.FlushTlb();
        Assert.That(without.Cpu.Memory.Walk(0, new WalkAccess(AccessKind.Read, false)).ReservedMask, Is.EqualTo(1UL << 13));
    }

    private static CpuFeatures With(CpuFeature feature) => new() { Claimed = new HashSet<CpuFeature>(new CpuFeatures().Claimed) { feature } };

    private static CpuFeatures Without(CpuFeature feature) => new() { Claimed = new CpuFeatures().Claimed.Where(claimed => claimed != feature).ToHashSet() };

    private static void Expect(bool taken, bool allowed, ulong before, ulong wanted, ulong after)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken, Is.EqualTo(allowed));
            Assert.That(after, Is.EqualTo(allowed ? wanted : before));
        }
    }

    private void Enter(string mode)
    {
        ref CpuState cpu = ref machine.State;
        cpu.Cr0 = mode switch { "r" => Cr0.ET, "p" => PE, _ => Paged };
        cpu.Cr3 = mode is "c" or "l" ? machine.PageTables.Cr3 : mode == "a" ? Pointers : Directory;
        cpu.Cr4 = mode switch { "r" or "p" => 0, "3" => Cr4.PSE, _ => Cr4.PAE };
        cpu.Msr.Efer = mode is "c" or "l" ? Efer.LME | Efer.LMA | Efer.NXE : 0;
        cpu.Segments[SegmentIndex.Cs].Attributes = mode == "l" ? Code64 : Code32;
        PutPointers(new(Directory | 1, 0, 0, 0));
        cpu.Pdpte = mode == "a" ? new(Directory | 1, 0, 0, 0) : default;
        machine.Cpu.FlushTlb();
    }

    /// <summary>Maps linear 0x3000.</summary>
    private void MapFirstPage(string mode, ulong entry)
    {
        machine[Directory] = Table | 3;
        if (mode == "a")
        {
            machine[Table + (3 * 8)] = entry | 3;
        }
        else
        {
            machine[Table + (2 * 4)] = (entry | 3) << 32;
        }
    }

    private void PutPointers(PdpteRegisters pdptes)
    {
        for (int i = 0; i < PdpteRegisters.Count; i++)
        {
            machine[Pointers + (8 * (ulong)i)] = pdptes[i];
        }
    }

    private bool Change(int register, ulong bit) => register switch
    {
        0 => ControlRegisterRules.SetCr0(ref machine.State, machine.Cpu, machine.State.Cr0 ^ bit),
        3 => ControlRegisterRules.SetCr3(ref machine.State, machine.Cpu, machine.State.Cr3 ^ bit),
        _ => ControlRegisterRules.SetCr4(ref machine.State, machine.Cpu, machine.State.Cr4 ^ bit),
    };

    /// <summary>What a supervisor reads, by the TLB or a walk; null for a fault.</summary>
    private ulong? ReadAt(ulong address)
    {
        byte* host = machine.Cpu.Memory.Translate(address, AccessKind.Read);
        return host == null ? null : *(ulong*)host;
    }
}
