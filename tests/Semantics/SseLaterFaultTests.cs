using System.Runtime.InteropServices;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>What SSE3 to SHA refuse: alignment, units switched off, unmasked exceptions.</summary>
[TestFixture]
public sealed unsafe class SseLaterFaultTests
{
    private const uint AllMasked = 0x1F80;
    private const float Denormal = 1e-40f;
    private const float Third = 1 / 3f;

    private static readonly float Infinity = float.PositiveInfinity;

    // Not a constant: the JIT would make it quiet.
    private static readonly float Signaling = MemoryMarshal.Read<float>([1, 0, 0x80, 0x7F]);

    private SingleInstruction cpu = null!;
    private byte* memory;

    [SetUp]
    public void Begin()
    {
        cpu = new SingleInstruction();
        memory = (byte*)NativeMemory.AlignedAlloc(256, 64);
        NativeMemory.Fill(memory, 256, 0xA5);
        cpu.Cpu.State.Gpr[GeneralRegister.Rbx] = (ulong)memory;
    }

    [TearDown]
    public void End()
    {
        cpu.Dispose();
        NativeMemory.AlignedFree(memory);
    }

    private static IEnumerable<TestCaseData<Action<Assembler>, bool>> Alignments()
    {
        yield return new(c => c.haddps(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "HADDPS" };
        yield return new(c => c.movshdup(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "MOVSHDUP" };
        yield return new(c => c.pshufb(xmm0, __xmmword_ptr[rbx + 1]), true) { TestName = "PSHUFB" };
        yield return new(c => c.palignr(xmm0, __xmmword_ptr[rbx + 8], 1), true) { TestName = "PALIGNR" };
        yield return new(c => c.movntdqa(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "MOVNTDQA" };
        yield return new(c => c.pblendvb(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "PBLENDVB" };
        yield return new(c => c.ptest(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "PTEST" };
        yield return new(c => c.mpsadbw(xmm0, __xmmword_ptr[rbx + 8], 1), true) { TestName = "MPSADBW" };
        yield return new(c => c.dpps(xmm0, __xmmword_ptr[rbx + 8], 0xFF), true) { TestName = "DPPS" };
        yield return new(c => c.roundpd(xmm0, __xmmword_ptr[rbx + 8], 0), true) { TestName = "ROUNDPD" };
        yield return new(c => c.aesenc(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "AESENC" };
        yield return new(c => c.pclmulqdq(xmm0, __xmmword_ptr[rbx + 8], 0), true) { TestName = "PCLMULQDQ" };
        yield return new(c => c.sha256rnds2(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "SHA256RNDS2" };
        yield return new(c => c.lddqu(xmm0, __xmmword_ptr[rbx + 1]), false) { TestName = "LDDQU" };
        yield return new(c => c.movddup(xmm0, __qword_ptr[rbx + 1]), false) { TestName = "MOVDDUP" };
        yield return new(c => c.pmovsxbw(xmm0, __qword_ptr[rbx + 1]), false) { TestName = "PMOVSXBW" };
        yield return new(c => c.pinsrq(xmm0, __qword_ptr[rbx + 1], 1), false) { TestName = "PINSRQ" };
        yield return new(c => c.pextrq(__qword_ptr[rbx + 1], xmm0, 1), false) { TestName = "PEXTRQ" };
        yield return new(c => c.insertps(xmm0, __dword_ptr[rbx + 1], 1), false) { TestName = "INSERTPS" };
        yield return new(c => c.roundsd(xmm0, __qword_ptr[rbx + 1], 0), false) { TestName = "ROUNDSD" };
        yield return new(c => c.pcmpestri(xmm0, __xmmword_ptr[rbx + 1], 0), false) { TestName = "PCMPESTRI" };
        yield return new(c => c.pcmpestrm(xmm0, __xmmword_ptr[rbx + 1], 0), false) { TestName = "PCMPESTRM" };
        yield return new(c => c.pcmpistri(xmm0, __xmmword_ptr[rbx + 1], 0), false) { TestName = "PCMPISTRI" };
        yield return new(c => c.pcmpistrm(xmm0, __xmmword_ptr[rbx + 1], 0), false) { TestName = "PCMPISTRM" };
    }

    [TestCaseSource(nameof(Alignments))]
    public void SixteenBytesMustBeAligned(Action<Assembler> code, bool refused)
    {
        Singles(0, 1, 2, 3, 4);
        UInt128 before = Xmm(0);

        BlockExit exit = Execute(code);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(refused ? BlockExit.Fault : BlockExit.Branch));
            if (refused)
            {
                GuestFault fault = cpu.Cpu.PendingFault;
                Assert.That((fault.Vector, fault.ErrorCode, fault.Cause.Rule), Is.EqualTo((ExceptionVector.GeneralProtection, (uint?)0, FaultRule.MisalignedOperand)));
                Assert.That(Xmm(0), Is.EqualTo(before));
            }
        }
    }

    private static IEnumerable<TestCaseData<Action<Assembler>, bool>> SwitchedOff()
    {
        yield return new(c => c.addsubpd(xmm0, xmm1), true) { TestName = "ADDSUBPD" };
        yield return new(c => c.lddqu(xmm0, __xmmword_ptr[rbx]), true) { TestName = "LDDQU" };
        yield return new(c => c.pabsb(xmm0, xmm1), true) { TestName = "PABSB" };
        yield return new(c => c.pextrb(eax, xmm0, 1), true) { TestName = "PEXTRB" };
        yield return new(c => c.pextrd(__dword_ptr[rbx], xmm0, 1), true) { TestName = "PEXTRD" };
        yield return new(c => c.pcmpistri(xmm0, xmm1, 1), true) { TestName = "PCMPISTRI" };
        yield return new(c => c.pcmpgtq(xmm0, xmm1), true) { TestName = "PCMPGTQ" };
        yield return new(c => c.aesimc(xmm0, xmm1), true) { TestName = "AESIMC" };
        yield return new(c => c.pclmulqdq(xmm0, xmm1, 1), true) { TestName = "PCLMULQDQ" };
        yield return new(c => c.sha1rnds4(xmm0, xmm1, 1), true) { TestName = "SHA1RNDS4" };
        yield return new(c => c.crc32(eax, ebx), false) { TestName = "CRC32" };
        yield return new(c => c.popcnt(eax, ebx), false) { TestName = "POPCNT" };
    }

    [TestCaseSource(nameof(SwitchedOff))]
    public void TheUnitCanBeSwitchedOff(Action<Assembler> code, bool depends)
    {
        BlockExit undefined = Execute(code, BlockMode.SseUndefined | BlockMode.SseNotAvailable);
        GuestFault first = cpu.Cpu.PendingFault;
        BlockExit notAvailable = Execute(code, BlockMode.SseNotAvailable);
        GuestFault second = cpu.Cpu.PendingFault;

        using (Assert.EnterMultipleScope())
        {
            Assert.That((undefined, notAvailable), Is.EqualTo(depends ? (BlockExit.Fault, BlockExit.Fault) : (BlockExit.Branch, BlockExit.Branch)));
            if (depends)
            {
                Assert.That((first.Vector, first.Cause.Rule), Is.EqualTo((ExceptionVector.InvalidOpcode, FaultRule.SseDisabled)));
                Assert.That((second.Vector, second.Cause.Rule), Is.EqualTo((ExceptionVector.DeviceNotAvailable, FaultRule.TaskSwitched)));
            }
        }
    }

    /// <summary>Operands, from the lowest lane; the one exception that is unmasked; the flags that it leaves.</summary>
    private static IEnumerable<TestCaseData<Action<Assembler>, float[], float[], uint, uint>> Unmasked()
    {
        yield return new(c => c.addsubps(xmm0, xmm1), [Infinity, 1, 1, 1], [Infinity, 1, 1, 1], Mxcsr.IE, Mxcsr.IE) { TestName = "ADDSUBPS: a difference of infinities" };
        yield return new(c => c.haddps(xmm0, xmm1), [1, 1, 1, 1], [1, 1, 1, Third], Mxcsr.PE, Mxcsr.PE) { TestName = "HADDPS: an inexact sum in the source's half" };
        yield return new(c => c.hsubps(xmm0, xmm1), [Denormal, 1, 1, 1], [1, 1, 1, 1], Mxcsr.DE, Mxcsr.DE) { TestName = "HSUBPS: a denormal" };
        yield return new(c => c.roundps(xmm0, xmm1, 0), [1, 1, 1, 1], [1, 1, 1, Third], Mxcsr.PE, Mxcsr.PE) { TestName = "ROUNDPS: not whole" };
        yield return new(c => c.roundss(xmm0, xmm1, 8), [1, 1, 1, 1], [Signaling, 1, 1, 1], Mxcsr.IE, Mxcsr.IE) { TestName = "ROUNDSS: a signaling NaN" };
        yield return new(c => c.dpps(xmm0, xmm1, 0xFF), [Infinity, 1, Third, 1], [0, 1, Third, 1], Mxcsr.IE, Mxcsr.IE) { TestName = "DPPS: a product hides results" };
        yield return new(c => c.dpps(xmm0, xmm1, 0xFF), [Infinity, -Infinity, Third, 1], [1, 1, Third, 1], Mxcsr.IE, Mxcsr.IE | Mxcsr.PE) { TestName = "DPPS: a sum does not hide products" };
        yield return new(c => c.dpps(xmm0, xmm1, 0xFF), [1e38f, 1e38f, 1, Denormal], [3, 3, 1, 1], Mxcsr.OE, Mxcsr.OE | Mxcsr.PE | Mxcsr.DE) { TestName = "DPPS: a sum overflows" };
        yield return new(c => c.dpps(xmm0, xmm1, 0x7F), [1, 1, 1, Denormal], [1, 1, 1, Third], Mxcsr.PE, 0) { TestName = "DPPS: what is left out raises nothing" };
    }

    [TestCaseSource(nameof(Unmasked))]
    public void UnmaskedExceptionsAreRaised(Action<Assembler> code, float[] a, float[] b, uint unmasked, uint flags)
    {
        cpu.Cpu.State.Cr4 = Cr4.OSXMMEXCPT;
        cpu.Cpu.State.Mxcsr = AllMasked & ~(unmasked << Mxcsr.MaskShift);
        Singles(0, a);
        Singles(1, b);
        UInt128 before = Xmm(0);

        BlockExit exit = Execute(code);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(cpu.Cpu.State.Mxcsr & Mxcsr.Flags, Is.EqualTo(flags));
            Assert.That(exit, Is.EqualTo(flags != 0 ? BlockExit.Fault : BlockExit.Branch));
            if (flags != 0)
            {
                Assert.That((cpu.Cpu.PendingFault.Vector, cpu.Cpu.PendingFault.Cause.Rule), Is.EqualTo((ExceptionVector.SimdFloatingPoint, FaultRule.SimdException)));
                Assert.That(Xmm(0), Is.EqualTo(before));
            }
        }
    }

    [Test]
    public void ARoundingThatSuppressesPrecisionIsSilent()
    {
        cpu.Cpu.State.Cr4 = Cr4.OSXMMEXCPT;
        cpu.Cpu.State.Mxcsr = 0;
        Singles(0, 0, 0, 0, 0);
        Singles(1, 0.5f, 1.5f, -2.5f, -0.25f);

        BlockExit exit = Execute(c => c.roundps(xmm0, xmm1, 8));

        float[] result = [.. MemoryMarshal.Cast<UInt128, float>(new Span<UInt128>(ref Xmm(0)))];
        Assert.That((exit, cpu.Cpu.State.Mxcsr), Is.EqualTo((BlockExit.Branch, 0u)));
        Assert.That(result, Is.EqualTo(new[] { 0f, 2f, -2f, -0f }));
    }

    private ref UInt128 Xmm(int index) => ref CpuState.At<UInt128>(ref cpu.Cpu.State, SingleInstruction.Xmm(index));

    private void Singles(int index, params float[] lanes) => Xmm(index) = MemoryMarshal.Read<UInt128>(MemoryMarshal.AsBytes(lanes.AsSpan()));

    private BlockExit Execute(Action<Assembler> code, BlockMode mode = BlockMode.None) => cpu.Execute(EmulatedGuest.Assemble(code), EmulatedGuest.Code, out _, mode);
}
