using System.Runtime.InteropServices;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>What MMX instructions refuse (SDM Vol. 3A, tables 25-4 to 25-9), and that a refused one leaves the x87 unit alone.</summary>
[TestFixture]
public sealed unsafe class MmxFaultTests
{
    private const ushort StackFaultPending = 0x8081;
    private const byte Top = 5;
    private const byte Tags = 0x3C;
    private const ulong Before = 0x0123_4567_89AB_CDEF;

    private SingleInstruction cpu = null!;
    private byte* memory;

    [SetUp]
    public void Begin()
    {
        cpu = new SingleInstruction();
        memory = (byte*)NativeMemory.AlignedAlloc(256, 64);
        NativeMemory.Fill(memory, 256, 0xA5);
        ref CpuState state = ref cpu.Cpu.State;
        state.Gpr[GeneralRegister.Rbx] = state.Gpr[GeneralRegister.Rdi] = (ulong)memory;
        state.X87.Top = Top;
        state.X87.Tags = Tags;
        for (int i = 0; i < 8; i++)
        {
            state.X87.Registers[i].Significand = Before;
            state.X87.Registers[i].SignExponent = 0x4000;
        }
    }

    [TearDown]
    public void End()
    {
        cpu.Dispose();
        NativeMemory.AlignedFree(memory);
    }

    /// <summary>One of each shape, and whether it needs the vector unit too.</summary>
    private static IEnumerable<TestCaseData<Action<Assembler>, bool>> Instructions()
    {
        yield return new(c => c.emms(), false) { TestName = "EMMS" };
        yield return new(c => c.paddb(mm0, mm1), false) { TestName = "PADDB" };
        yield return new(c => c.pxor(mm0, __qword_ptr[rbx]), false) { TestName = "PXOR from memory" };
        yield return new(c => c.punpcklbw(mm0, __dword_ptr[rbx]), false) { TestName = "PUNPCKLBW from memory" };
        yield return new(c => c.packuswb(mm0, mm1), false) { TestName = "PACKUSWB" };
        yield return new(c => c.psllw(mm0, 3), false) { TestName = "PSLLW by immediate" };
        yield return new(c => c.psrlq(mm0, mm1), false) { TestName = "PSRLQ by register" };
        yield return new(c => c.movd(mm0, eax), false) { TestName = "MOVD" };
        yield return new(c => c.movd(eax, mm0), false) { TestName = "MOVD to EAX" };
        yield return new(c => c.movq(__qword_ptr[rbx], mm0), false) { TestName = "MOVQ store" };
        yield return new(c => c.movntq(__qword_ptr[rbx], mm0), false) { TestName = "MOVNTQ" };
        yield return new(c => c.maskmovq(mm0, mm1), false) { TestName = "MASKMOVQ" };
        yield return new(c => c.pmovmskb(eax, mm0), false) { TestName = "PMOVMSKB" };
        yield return new(c => c.pshufw(mm0, mm1, 1), false) { TestName = "PSHUFW" };
        yield return new(c => c.pinsrw(mm0, eax, 1), false) { TestName = "PINSRW" };
        yield return new(c => c.pextrw(eax, mm0, 1), false) { TestName = "PEXTRW" };
        yield return new(c => c.phaddsw(mm0, mm1), false) { TestName = "PHADDSW" };
        yield return new(c => c.palignr(mm0, mm1, 3), false) { TestName = "PALIGNR" };
        yield return new(c => c.movdq2q(mm0, xmm1), true) { TestName = "MOVDQ2Q" };
        yield return new(c => c.movq2dq(xmm0, mm1), true) { TestName = "MOVQ2DQ" };
        yield return new(c => c.cvtpi2ps(xmm0, mm1), true) { TestName = "CVTPI2PS" };
        yield return new(c => c.cvtpi2pd(xmm0, mm1), true) { TestName = "CVTPI2PD" };
        yield return new(c => c.cvtps2pi(mm0, xmm1), true) { TestName = "CVTPS2PI" };
        yield return new(c => c.cvttps2pi(mm0, __qword_ptr[rbx]), true) { TestName = "CVTTPS2PI from memory" };
        yield return new(c => c.cvttpd2pi(mm0, __xmmword_ptr[rbx]), true) { TestName = "CVTTPD2PI from memory" };
    }

    [TestCaseSource(nameof(Instructions))]
    public void APendingX87ExceptionComesFirst(Action<Assembler> code, bool vector)
    {
        cpu.Cpu.State.X87.Status = StackFaultPending;

        BlockExit exit = Execute(code);

        using (Assert.EnterMultipleScope())
        {
            Refused(exit, ExceptionVector.FloatingPoint, FaultRule.X87Exception);
            Assert.That(cpu.Cpu.State.X87.Status, Is.EqualTo(StackFaultPending));
            Assert.That(new Span<byte>(memory, 256).ContainsAnyExcept((byte)0xA5), Is.False);
        }
    }

    /// <summary>#UD for CR0.EM, then for CR4.OSFXSR where a vector register takes part, then #NM for CR0.TS, and only then a pending #MF.</summary>
    [TestCaseSource(nameof(Instructions))]
    public void SwitchedOffUnitsComeInOrder(Action<Assembler> code, bool vector)
    {
        cpu.Cpu.State.X87.Status = StackFaultPending;
        using (Assert.EnterMultipleScope())
        {
            Refused(Execute(code, BlockMode.X87Emulated | BlockMode.SseUndefined | BlockMode.SseNotAvailable), ExceptionVector.InvalidOpcode, FaultRule.MmxDisabled);
            if (vector)
            {
                Refused(Execute(code, BlockMode.SseUndefined | BlockMode.SseNotAvailable), ExceptionVector.InvalidOpcode, FaultRule.SseDisabled);
            }

            Refused(Execute(code, BlockMode.SseNotAvailable), ExceptionVector.DeviceNotAvailable, FaultRule.TaskSwitched);
        }

        cpu.Cpu.State.X87.Status = 0;
        Assert.That(Execute(code, vector ? BlockMode.None : BlockMode.SseUndefined), Is.EqualTo(BlockExit.Branch), "without OSFXSR");
    }

    [Test]
    public void FromMemoryTheConversionsToVectorsLeaveTheX87UnitAlone([Values] bool doubles)
    {
        cpu.Cpu.State.X87.Status = StackFaultPending;

        BlockExit exit = Execute(c => Convert(c, doubles));

        Assert.That((exit, cpu.Cpu.State.X87.Top, cpu.Cpu.State.X87.Tags), Is.EqualTo((BlockExit.Branch, Top, Tags)));
    }

    private static IEnumerable<TestCaseData<Action<Assembler>, ExceptionVector>> Late()
    {
        yield return new(c => c.cvtpd2pi(mm0, __xmmword_ptr[rbx + 8]), ExceptionVector.GeneralProtection) { TestName = "CVTPD2PI misaligned" };
        yield return new(c => c.cvtps2pi(mm0, xmm1), ExceptionVector.SimdFloatingPoint) { TestName = "CVTPS2PI of a NaN" };
        yield return new(c => c.cvttpd2pi(mm0, xmm1), ExceptionVector.SimdFloatingPoint) { TestName = "CVTTPD2PI of a NaN" };
        yield return new(c => c.cvtpi2ps(xmm0, mm1), ExceptionVector.SimdFloatingPoint) { TestName = "CVTPI2PS inexact" };
    }

    [TestCaseSource(nameof(Late))]
    public void AFaultLeavesTheX87UnitAlone(Action<Assembler> code, ExceptionVector vector)
    {
        cpu.Cpu.State.Cr4 = Cr4.OSXMMEXCPT;
        cpu.Cpu.State.Mxcsr = 0;
        CpuState.At<UInt128>(ref cpu.Cpu.State, SingleInstruction.Xmm(1)) = UInt128.MaxValue;

        Refused(Execute(code), vector, vector == ExceptionVector.GeneralProtection ? FaultRule.MisalignedOperand : FaultRule.SimdException);
    }

    [Test]
    public void APageFaultLeavesTheX87UnitAlone([Values] bool store)
    {
        using PagedGuest guest = new();
        guest.Map(EmulatedGuest.Code, EmulatedGuest.CodeFrame);
        guest.Map(0x60_0000, 0x11_0000, PageRights.Write);
        guest.Machine.WriteMemory(new(EmulatedGuest.CodeFrame), EmulatedGuest.Assemble(c => LoadOrStore(c, store)));
        ref CpuState state = ref guest.Cpu.State;
        state.Gpr[GeneralRegister.Rbx] = 0x60_0FFC;
        (state.X87.Top, state.X87.Tags) = (Top, Tags);
        guest.Start(EmulatedGuest.Code);

        BlockExit exit = guest.RunBlock(1, BlockMode.Single);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((exit, guest.Cpu.PendingFault.Vector), Is.EqualTo((BlockExit.Fault, ExceptionVector.PageFault)));
            Assert.That(guest.Cpu.PendingFault.Address.Value, Is.EqualTo(0x60_1000));
            Assert.That((state.X87.Top, state.X87.Tags, state.X87.Registers[0].SignExponent), Is.EqualTo((Top, Tags, (ushort)0)));
        }
    }

    /// <summary>SDM Vol. 3A, table 14-1: what is read stays, what is written gets an exponent of ones, EMMS empties.</summary>
    [Test]
    public void TheX87UnitSeesWhatMmxDid()
    {
        Execute(c => c.movd(eax, mm0));
        (byte, byte, ushort) read = Seen();
        Execute(c => c.movd(mm0, eax));
        (byte, byte, ushort) written = Seen();
        cpu.Cpu.State.X87.Top = Top;
        Execute(c => c.emms());

        Assert.That((read, written, Seen()), Is.EqualTo(((0, 0xFF, 0x4000), (0, 0xFF, 0xFFFF), (0, 0, 0xFFFF))));

        (byte, byte, ushort) Seen() => (cpu.Cpu.State.X87.Top, cpu.Cpu.State.X87.Tags, cpu.Cpu.State.X87.Registers[0].SignExponent);
    }

    private void Refused(BlockExit exit, ExceptionVector vector, FaultRule rule)
    {
        ref X87State x87 = ref cpu.Cpu.State.X87;
        Assert.That(exit, Is.EqualTo(BlockExit.Fault));
        Assert.That((cpu.Cpu.PendingFault.Vector, cpu.Cpu.PendingFault.Cause.Rule), Is.EqualTo((vector, rule)));
        Assert.That((x87.Top, x87.Tags, x87.Registers[0].Significand, x87.Registers[0].SignExponent), Is.EqualTo((Top, Tags, Before, (ushort)0x4000)));
    }

    private static void Convert(Assembler c, bool doubles)
    {
        if (doubles)
        {
            c.cvtpi2pd(xmm0, __qword_ptr[rbx]);
        }
        else
        {
            c.cvtpi2ps(xmm0, __qword_ptr[rbx]);
        }
    }

    private static void LoadOrStore(Assembler c, bool store)
    {
        if (store)
        {
            c.movq(__qword_ptr[rbx], mm0);
        }
        else
        {
            c.paddb(mm0, __qword_ptr[rbx]);
        }
    }

    private BlockExit Execute(Action<Assembler> code, BlockMode mode = BlockMode.None) => cpu.Execute(EmulatedGuest.Assemble(code), EmulatedGuest.Code, out _, mode);
}
