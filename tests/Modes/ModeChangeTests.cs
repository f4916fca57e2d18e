using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;
using static Quadwalk.Tests.LegacyDescriptor;

namespace Quadwalk.Tests;

/// <summary>The way from one mode to another as a guest goes it (SDM Vol. 3A, 11.8.5 and 11.9), and the state after RESET and INIT.</summary>
[TestFixture]
public sealed class ModeChangeTests
{
    private const ushort Code16 = LegacyMachine.Free, Data16 = Code16 + 8, Code32 = Code16 + 16, Flat = Code16 + 24, Code64 = Code16 + 32;
    private const uint Base = LegacyMachine.CodeBase;

    [Test]
    public void AGuestGoesThroughEveryModeAndBack()
    {
        using LegacyMachine machine = new(LegacyMode.Real);
        machine.SetDescriptor(Code16, Segment(Base, 0xFFFF, Code));
        machine.SetDescriptor(Data16, Segment(LegacyMachine.DataBase, 0xFFFF, Data));
        machine.SetDescriptor(Code32, Segment(0, 0xF_FFFF, Code, Big | Pages));
        machine.SetDescriptor(Flat, Segment(0, 0xF_FFFF, Data, Big | Pages));
        machine.SetDescriptor(Code64, Segment(0, 0, Code, Long));
        PageTableBuilder pages = new(machine.Machine.Access, new Gpa(0x10_0000), 0x8_0000);
        pages.Map(new Gva(0), new Gpa(0), 0x10_0000, PageRights.Write);

        machine.Place(Base + 0x1000, Base + 0x1000, 32, c =>
        {
            c.mov(eax, Flat);
            c.mov(ds, eax);
            c.mov(ss, eax);
            c.mov(esp, 0x7_8000);
            c.mov(ebp, __dword_ptr[LegacyMachine.DataBase + 0x10]);
            c.mov(eax, (uint)Cr4.PAE);
            c.mov(cr4, eax);
            c.mov(eax, (uint)pages.Cr3);
            c.mov(cr3, eax);
            c.mov(ecx, 0xC000_0080);
            c.rdmsr();
            c.or(eax, (uint)Efer.LME);
            c.wrmsr();
            c.mov(eax, cr0);
            c.or(eax, 0x8000_0000);
            c.mov(cr0, eax);
            c.mov(esi, cs);
            c.jmp(Code64, Base + 0x2000);
        });
        machine.Place(Base + 0x2000, Base + 0x2000, 64, c =>
        {
            c.mov(rdi, 0x1234_5678_9ABC_DEF0);
            c.mov(r15, rdi);
            c.push(Code32);
            c.push((int)Base + 0x3000);
            c.db(0x48, 0xCB);
        });
        machine.Place(Base + 0x3000, Base + 0x3000, 32, c =>
        {
            c.db(0x40);
            c.mov(eax, cr0);
            c.and(eax, 0x7FFF_FFFF);
            c.mov(cr0, eax);
            c.mov(ecx, 0xC000_0080);
            c.rdmsr();
            c.mov(edx, eax);
            c.jmp(Code16, 0x4000u);
        });
        machine.Place(Base + 0x4000, 0x4000, 16, c =>
        {
            c.mov(ax, Data16);
            c.mov(ds, ax);
            c.mov(ss, ax);
            c.mov(eax, cr0);
            c.and(al, 0xFE);
            c.mov(cr0, eax);
            c.db(0xEA, 0x00, 0x50, 0x00, 0x10);
        });
        machine.Place(Base + 0x5000, 0x5000, 16, c =>
        {
            c.mov(__word_ptr.cs[0x6000], 0x4321);
            c.mov(ax, 0x4000);
            c.mov(ds, ax);
            c.mov(bx, __word_ptr[0x10]);
            c.hlt();
        });
        machine.SetDword(LegacyMachine.DataBase + 0x10, 0x8765_4321);
        StopReport report = machine.Run(c =>
        {
            c.mov(eax, cr0);
            c.or(al, 1);
            c.mov(cr0, eax);
            c.db(0x66, 0xEA, 0x00, 0x10, 0x01, 0x00, (byte)Code32, 0x00);
        });

        ref CpuState cpu = ref machine.State;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.Halted), machine.Cpu.PendingFault.ToString());
            Assert.That((uint)cpu.Gpr[GeneralRegister.Rbp], Is.EqualTo(0x8765_4321), "read in 32-bit mode");
            Assert.That(cpu.Gpr[15], Is.EqualTo(0x1234_5678_9ABC_DEF0), "written in 64-bit mode");
            Assert.That((ushort)cpu.Gpr[GeneralRegister.Rbx], Is.EqualTo(0x4321), "read in real-address mode");
            Assert.That(machine.Word(Base + 0x6000), Is.EqualTo(0x4321), "CS can be written in real-address mode");
            Assert.That(cpu.Gpr[GeneralRegister.Rdx] & (Efer.LMA | Efer.LME), Is.EqualTo(Efer.LME), "LMA went with paging");
            Assert.That(cpu.Cr0 & (Cr0.PE | Cr0.PG), Is.Zero);
        }
    }

    [Test]
    public void ResetPutsTheProcessorWhereTheSdmSays()
    {
        using LegacyMachine machine = new(LegacyMode.Compatibility32, 3);
        machine.State.Dr[0] = 5;
        machine.State.Msr.Lstar = 6;
        machine.State.Vector[3] = System.Runtime.Intrinsics.Vector512<byte>.AllBitsSet;
        machine.Cpu.Reset();
        CheckInitial(machine, 0x6000_0010);
        Assert.That((machine.State.Msr.Lstar, machine.State.Vector[3], machine.State.Mxcsr, machine.State.X87.Control), Is.EqualTo((0ul, System.Runtime.Intrinsics.Vector512<byte>.Zero, 0x1F80u, (ushort)0x40)));
    }

    [Test]
    public void InitKeepsVectorsAndModelSpecificRegisters()
    {
        using LegacyMachine machine = new(LegacyMode.Compatibility32, 3);
        machine.State.Msr.Lstar = 6;
        machine.State.Cr0 |= Cr0.CD;
        machine.State.Vector[3] = System.Runtime.Intrinsics.Vector512<byte>.AllBitsSet;
        machine.Cpu.Init();
        CheckInitial(machine, 0x4000_0010);
        Assert.That((machine.State.Msr.Lstar, machine.State.Vector[3]), Is.EqualTo((6ul, System.Runtime.Intrinsics.Vector512<byte>.AllBitsSet)));
    }

    /// <summary>SDM Vol. 3A, table 11-1.</summary>
    private static void CheckInitial(LegacyMachine machine, ulong cr0)
    {
        ref CpuState cpu = ref machine.State;
        using (Assert.EnterMultipleScope())
        {
            Assert.That((machine.Cpu.Rflags, cpu.Rip, cpu.Cr0, cpu.Cr2, cpu.Cr3, cpu.Cr4, (int)cpu.Cpl), Is.EqualTo((2ul, 0xFFF0ul, cr0, 0ul, 0ul, 0ul, 0)));
            Assert.That((cpu.Segments[SegmentIndex.Cs].Selector, cpu.Segments[SegmentIndex.Cs].Base), Is.EqualTo(((ushort)0xF000, 0xFFFF_0000ul)));
            for (int i = 0; i < 6; i++)
            {
                Assert.That((cpu.Segments[i].Limit, cpu.Segments[i].Attributes), Is.EqualTo((0xFFFFu, 0x9300u)), $"segment {i}: present, read, write, accessed");
                Assert.That(i == SegmentIndex.Cs || (cpu.Segments[i].Selector == 0 && cpu.Segments[i].Base == 0), $"segment {i}");
            }

            Assert.That((cpu.Gdtr.Base, cpu.Gdtr.Limit, cpu.Idtr.Base, cpu.Idtr.Limit), Is.EqualTo((0ul, ushort.MaxValue, 0ul, ushort.MaxValue)));
            Assert.That((cpu.Ldtr.Selector, cpu.Ldtr.Base, cpu.Ldtr.Limit, cpu.Tr.Selector, cpu.Tr.Base, cpu.Tr.Limit), Is.EqualTo(((ushort)0, 0ul, 0xFFFFu, (ushort)0, 0ul, 0xFFFFu)));
            Assert.That((cpu.Dr[0], cpu.Dr[6], cpu.Dr[7], cpu.Msr.Efer), Is.EqualTo((0ul, 0xFFFF_0FF0ul, 0x400ul, 0ul)));
            for (int i = 0; i < 16; i++)
            {
                Assert.That(cpu.Gpr[i] == 0 || i == GeneralRegister.Rdx, $"general register {i}");
            }
        }
    }
}
