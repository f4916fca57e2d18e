using System.Runtime.InteropServices;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>What SSE instructions refuse, and FXSAVE and FXRSTOR, which no stub can lend to the oracle.</summary>
[TestFixture]
public sealed unsafe class SseFaultTests
{
    private const uint AllMasked = 0x1F80;
    private const ulong One = 0x3FF0_0000_0000_0000;
    private const ulong Three = 0x4008_0000_0000_0000;
    private const ulong Tiny = 1;
    private const ulong Least = 0x0010_0000_0000_0000;
    private const ulong Huge = 0x7FEF_FFFF_FFFF_FFFF;
    private const ulong Signaling = 0x7FF0_0000_0000_0001;

    private static readonly UInt128 Before = new(0x0123_4567_89AB_CDEF, 0x1111_2222_3333_4444);

    private SingleInstruction cpu = null!;
    private byte* memory;

    [SetUp]
    public void Begin()
    {
        cpu = new SingleInstruction();
        memory = (byte*)NativeMemory.AlignedAlloc(1024, 64);
        NativeMemory.Fill(memory, 1024, 0xA5);
        cpu.Cpu.State.Gpr[GeneralRegister.Rbx] = (ulong)memory;
        Xmm(0) = Before;
    }

    [TearDown]
    public void End()
    {
        cpu.Dispose();
        NativeMemory.AlignedFree(memory);
    }

    private static IEnumerable<TestCaseData<Action<Assembler>, bool>> Alignments()
    {
        yield return new(c => c.movaps(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "MOVAPS load" };
        yield return new(c => c.movdqa(__xmmword_ptr[rbx + 1], xmm0), true) { TestName = "MOVDQA store" };
        yield return new(c => c.movntps(__xmmword_ptr[rbx + 4], xmm0), true) { TestName = "MOVNTPS" };
        yield return new(c => c.addpd(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "ADDPD" };
        yield return new(c => c.pxor(xmm0, __xmmword_ptr[rbx + 15]), true) { TestName = "PXOR" };
        yield return new(c => c.psllw(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "PSLLW" };
        yield return new(c => c.cvtdq2ps(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "CVTDQ2PS" };
        yield return new(c => c.rcpps(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "RCPPS" };
        yield return new(c => c.fxsave(__[rbx + 8]), true) { TestName = "FXSAVE" };
        yield return new(c => c.fxrstor(__[rbx + 8]), true) { TestName = "FXRSTOR" };
        yield return new(c => c.movups(xmm0, __xmmword_ptr[rbx + 8]), false) { TestName = "MOVUPS load" };
        yield return new(c => c.movdqu(__xmmword_ptr[rbx + 1], xmm0), false) { TestName = "MOVDQU store" };
        yield return new(c => c.addsd(xmm0, __qword_ptr[rbx + 1]), false) { TestName = "ADDSD" };
        yield return new(c => c.cvtps2pd(xmm0, __qword_ptr[rbx + 1]), false) { TestName = "CVTPS2PD" };
        yield return new(c => c.movhps(xmm0, __qword_ptr[rbx + 1]), false) { TestName = "MOVHPS" };
    }

    [TestCaseSource(nameof(Alignments))]
    public void SixteenBytesMustBeAligned(Action<Assembler> code, bool refused)
    {
        BlockExit exit = Execute(code);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(refused ? BlockExit.Fault : BlockExit.Branch));
            if (refused)
            {
                Assert.That(cpu.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.GeneralProtection));
                Assert.That(cpu.Cpu.PendingFault.ErrorCode, Is.Zero);
                Assert.That(cpu.Cpu.PendingFault.Cause.Rule, Is.EqualTo(FaultRule.MisalignedOperand));
                Assert.That(Xmm(0), Is.EqualTo(Before));
                Assert.That(new Span<byte>(memory, 1024).ContainsAnyExcept((byte)0xA5), Is.False);
            }
        }
    }

    /// <summary>SDM Vol. 1, 11.5: with one exception unmasked, the flags it leaves and whether it is raised.</summary>
    [TestCase(Mnemonic.Divsd, One, 0UL, Mxcsr.ZE, Mxcsr.ZE)]
    [TestCase(Mnemonic.Divsd, One, Three, Mxcsr.PE, Mxcsr.PE)]
    [TestCase(Mnemonic.Addsd, Signaling, One, Mxcsr.IE, Mxcsr.IE)]
    [TestCase(Mnemonic.Addsd, Tiny, One, Mxcsr.DE, Mxcsr.DE)]
    [TestCase(Mnemonic.Mulsd, Huge, Huge, Mxcsr.OE, Mxcsr.OE | Mxcsr.PE)]
    [TestCase(Mnemonic.Divsd, Least, Three, Mxcsr.UE, Mxcsr.UE | Mxcsr.PE)]
    public void UnmaskedExceptionsAreRaised(Mnemonic mnemonic, ulong a, ulong b, uint unmasked, uint flags)
    {
        cpu.Cpu.State.Cr4 = Cr4.OSXMMEXCPT;
        cpu.Cpu.State.Mxcsr = AllMasked & ~(unmasked << Mxcsr.MaskShift);
        Xmm(0) = a;
        Xmm(1) = b;

        BlockExit exit = Execute(c => Scalar(c, mnemonic));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Fault));
            Assert.That(cpu.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.SimdFloatingPoint));
            Assert.That(cpu.Cpu.PendingFault.Cause.Rule, Is.EqualTo(FaultRule.SimdException));
            Assert.That(cpu.Cpu.State.Mxcsr & Mxcsr.Flags, Is.EqualTo(flags));
            Assert.That(Xmm(0), Is.EqualTo((UInt128)a));
        }
    }

    [Test]
    public void AnExactDenormalUnderflowsOnlyWhenUnmasked([Values] bool unmasked)
    {
        cpu.Cpu.State.Mxcsr = AllMasked & ~(unmasked ? Mxcsr.UM : 0);
        cpu.Cpu.State.Cr4 = Cr4.OSXMMEXCPT;
        Xmm(0) = Least;
        Xmm(1) = 0x3FE0_0000_0000_0000;

        BlockExit exit = Execute(c => c.mulsd(xmm0, xmm1));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(unmasked ? BlockExit.Fault : BlockExit.Branch));
            Assert.That(cpu.Cpu.State.Mxcsr & Mxcsr.Flags, Is.EqualTo(unmasked ? Mxcsr.UE : 0));
        }
    }

    [Test]
    public void WithoutOsxmmexcptAnUnmaskedExceptionIsUndefinedOpcode()
    {
        cpu.Cpu.State.Mxcsr = AllMasked & ~(Mxcsr.ZE << Mxcsr.MaskShift);
        Xmm(0) = One;
        Xmm(1) = 0;

        Execute(c => c.divsd(xmm0, xmm1));

        Assert.That(cpu.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.InvalidOpcode));
    }

    [Test]
    public void AnUnmaskedExceptionBeforeTheResultHidesThoseOfTheResult()
    {
        cpu.Cpu.State.Cr4 = Cr4.OSXMMEXCPT;
        cpu.Cpu.State.Mxcsr = AllMasked & ~(Mxcsr.ZE << Mxcsr.MaskShift);
        Xmm(0) = new UInt128(One, One);
        Xmm(1) = new UInt128(0, Three);

        Execute(c => c.divpd(xmm0, xmm1));

        Assert.That(cpu.Cpu.State.Mxcsr & Mxcsr.Flags, Is.EqualTo(Mxcsr.ZE));
    }

    private static IEnumerable<TestCaseData<Action<Assembler>, bool>> SwitchedOff()
    {
        yield return new(c => c.addsd(xmm0, xmm1), true) { TestName = "ADDSD" };
        yield return new(c => c.movaps(xmm0, xmm1), true) { TestName = "MOVAPS" };
        yield return new(c => c.pxor(xmm0, xmm1), true) { TestName = "PXOR" };
        yield return new(c => c.stmxcsr(__dword_ptr[rbx]), true) { TestName = "STMXCSR" };
        yield return new(c => c.movnti(__dword_ptr[rbx], eax), false) { TestName = "MOVNTI" };
        yield return new(c => c.clflush(__byte_ptr[rbx]), false) { TestName = "CLFLUSH" };
        yield return new(c => c.mfence(), false) { TestName = "MFENCE" };
        yield return new(c => c.fxsave(__[rbx]), false) { TestName = "FXSAVE" };
    }

    [TestCaseSource(nameof(SwitchedOff))]
    public void SseCanBeSwitchedOff(Action<Assembler> code, bool depends)
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

    private static IEnumerable<TestCaseData<Action<Assembler>>> Later()
    {
        yield return new(c => c.paddb(mm0, mm1)) { TestName = "PADDB mm" };
        yield return new(c => c.cvtpi2ps(xmm0, mm1)) { TestName = "CVTPI2PS" };
        yield return new(c => c.movdq2q(mm0, xmm1)) { TestName = "MOVDQ2Q" };
        yield return new(c => c.emms()) { TestName = "EMMS" };
        yield return new(c => c.haddps(xmm0, xmm1)) { TestName = "HADDPS" };
        yield return new(c => c.pshufb(xmm0, xmm1)) { TestName = "PSHUFB" };
        yield return new(c => c.pmulld(xmm0, xmm1)) { TestName = "PMULLD" };
        yield return new(c => c.pcmpistri(xmm0, xmm1, 0)) { TestName = "PCMPISTRI" };
        yield return new(c => c.crc32(eax, ebx)) { TestName = "CRC32" };
        yield return new(c => c.popcnt(eax, ebx)) { TestName = "POPCNT" };
        yield return new(c => c.aesenc(xmm0, xmm1)) { TestName = "AESENC" };
        yield return new(c => c.pclmulqdq(xmm0, xmm1, 0)) { TestName = "PCLMULQDQ" };
        yield return new(c => c.sha1msg1(xmm0, xmm1)) { TestName = "SHA1MSG1" };
        yield return new(c => c.vaddps(xmm0, xmm1, xmm2)) { TestName = "VADDPS" };
    }

    /// <summary>On a processor model that claims SSE2 and nothing later.</summary>
    [TestCaseSource(nameof(Later))]
    public void ExtensionsThatAreNotClaimedAreUndefined(Action<Assembler> code)
    {
        using SingleInstruction old = new(new CpuFeatures { Claimed = new HashSet<CpuFeature> { CpuFeature.Fxsr, CpuFeature.Sse, CpuFeature.Sse2 } });
        BlockExit exit = Execute(old, code, BlockMode.None);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Fault));
            Assert.That(old.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.InvalidOpcode));
            Assert.That(old.Cpu.PendingFault.Cause.Rule, Is.EqualTo(FaultRule.UndefinedOpcode));
        }
    }

    [TestCase(0x0000_FFFFu, false)]
    [TestCase(0x0001_0000u, true)]
    [TestCase(0x8000_1F80u, true)]
    public void ReservedBitsOfMxcsrAreRefused(uint value, bool refused)
    {
        *(uint*)memory = value;
        BlockExit load = Execute(c => c.ldmxcsr(__dword_ptr[rbx]));
        uint loaded = cpu.Cpu.State.Mxcsr;
        cpu.Cpu.State.Mxcsr = AllMasked;
        *(uint*)(memory + 24) = value;
        BlockExit restore = Execute(c => c.fxrstor(__[rbx]));

        uint expected = refused ? AllMasked : value;
        BlockExit exit = refused ? BlockExit.Fault : BlockExit.Branch;
        Assert.That((load, restore, loaded, cpu.Cpu.State.Mxcsr), Is.EqualTo((exit, exit, expected, expected)));
    }

    /// <summary>SDM Vol. 1, table 10-2; the last 96 bytes stay software's.</summary>
    [Test]
    public void FxsaveWritesTheAreaAndFxrstorReadsItBack([Values] bool wide)
    {
        cpu.Cpu.State.Mxcsr = 0xBFA1;
        for (int i = 0; i < 16; i++)
        {
            Xmm(i) = (UInt128)(uint)(i + 1) << 100 | (uint)i;
        }

        Execute(c => c.fninit());
        Execute(c => Fxsave(c, wide));
        ulong controlAndTag = *(ulong*)memory;
        (uint Mxcsr, uint Mask) saved = (*(uint*)(memory + 24), *(uint*)(memory + 28));
        UInt128 last = *(UInt128*)(memory + 160 + (15 * 16));
        bool rest = new Span<byte>(memory + 416, 1024 - 416).ContainsAnyExcept((byte)0xA5);
        for (int i = 0; i < 16; i++)
        {
            Xmm(i) = 0;
        }

        cpu.Cpu.State.Mxcsr = AllMasked;
        Execute(c => Fxrstor(c, wide));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(controlAndTag, Is.EqualTo(0x37F));
            Assert.That(saved, Is.EqualTo((0xBFA1u, 0xFFFFu)));
            Assert.That(last, Is.EqualTo((UInt128)16 << 100 | 15));
            Assert.That(rest, Is.False);
            Assert.That(cpu.Cpu.State.Mxcsr, Is.EqualTo(0xBFA1));
            for (int i = 0; i < 16; i++)
            {
                Assert.That(Xmm(i), Is.EqualTo((UInt128)(uint)(i + 1) << 100 | (uint)i));
            }
        }
    }

    [TestCase(Cr0.TS)]
    [TestCase(Cr0.EM)]
    public void FxsaveIsNotAvailableWhileTheTaskOrTheUnitIsSwitchedOff(ulong cr0)
    {
        cpu.Cpu.State.Cr0 = cr0;

        BlockExit exit = Execute(c => c.fxsave(__[rbx]));

        Assert.That((exit, cpu.Cpu.PendingFault.Vector), Is.EqualTo((BlockExit.Fault, ExceptionVector.DeviceNotAvailable)));
    }

    private ref UInt128 Xmm(int index) => ref CpuState.At<UInt128>(ref cpu.Cpu.State, SingleInstruction.Xmm(index));

    private static void Scalar(Assembler c, Mnemonic mnemonic)
    {
        switch (mnemonic)
        {
            case Mnemonic.Addsd:
                c.addsd(xmm0, xmm1);
                break;
            case Mnemonic.Mulsd:
                c.mulsd(xmm0, xmm1);
                break;
            case Mnemonic.Divsd:
                c.divsd(xmm0, xmm1);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(mnemonic));
        }
    }

    private static void Fxsave(Assembler c, bool wide)
    {
        if (wide)
        {
            c.fxsave64(__[rbx]);
        }
        else
        {
            c.fxsave(__[rbx]);
        }
    }

    private static void Fxrstor(Assembler c, bool wide)
    {
        if (wide)
        {
            c.fxrstor64(__[rbx]);
        }
        else
        {
            c.fxrstor(__[rbx]);
        }
    }

    private BlockExit Execute(Action<Assembler> code, BlockMode mode = BlockMode.None) => Execute(cpu, code, mode);

    private static BlockExit Execute(SingleInstruction processor, Action<Assembler> code, BlockMode mode)
    {
        Assembler assembler = new(64);
        code(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), 0x1000);
        return processor.Execute(stream.ToArray(), 0x1000, out _, mode);
    }
}
