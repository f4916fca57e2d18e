using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>What VEX-encoded instructions refuse.</summary>
[TestFixture]
public sealed unsafe class AvxFaultTests
{
    private const uint AllMasked = 0x1F80;
    private const ulong One = 0x3FF0_0000_0000_0000;
    private const ulong Signaling = 0x7FF0_0000_0000_0001;

    private SingleInstruction cpu = null!;
    private byte* memory;

    [SetUp]
    public void Begin()
    {
        cpu = new SingleInstruction();
        memory = (byte*)NativeMemory.AlignedAlloc(1024, 64);
        NativeMemory.Fill(memory, 1024, 0xA5);
        cpu.Cpu.State.Gpr[GeneralRegister.Rbx] = (ulong)memory;
        Fill();
    }

    [TearDown]
    public void End()
    {
        cpu.Dispose();
        NativeMemory.AlignedFree(memory);
    }

    private static IEnumerable<TestCaseData<Action<Assembler>, bool>> Alignments()
    {
        yield return new(c => c.vmovaps(ymm0, __ymmword_ptr[rbx + 16]), true) { TestName = "VMOVAPS ymm load" };
        yield return new(c => c.vmovaps(xmm0, __xmmword_ptr[rbx + 16]), false) { TestName = "VMOVAPS xmm load" };
        yield return new(c => c.vmovapd(xmm0, __xmmword_ptr[rbx + 8]), true) { TestName = "VMOVAPD xmm load" };
        yield return new(c => c.vmovdqa(__ymmword_ptr[rbx + 16], ymm0), true) { TestName = "VMOVDQA ymm store" };
        yield return new(c => c.vmovdqa(__xmmword_ptr[rbx + 16], xmm0), false) { TestName = "VMOVDQA xmm store" };
        yield return new(c => c.vmovntdq(__ymmword_ptr[rbx + 16], ymm0), true) { TestName = "VMOVNTDQ" };
        yield return new(c => c.vmovntdqa(ymm0, __ymmword_ptr[rbx + 16]), true) { TestName = "VMOVNTDQA" };
        yield return new(c => c.vmovntps(__xmmword_ptr[rbx + 4], xmm0), true) { TestName = "VMOVNTPS" };
        yield return new(c => c.vmovups(ymm0, __ymmword_ptr[rbx + 1]), false) { TestName = "VMOVUPS" };
        yield return new(c => c.vlddqu(ymm0, __ymmword_ptr[rbx + 1]), false) { TestName = "VLDDQU" };
        yield return new(c => c.vaddps(xmm0, xmm1, __xmmword_ptr[rbx + 1]), false) { TestName = "VADDPS" };
        yield return new(c => c.vpxor(ymm0, ymm1, __ymmword_ptr[rbx + 1]), false) { TestName = "VPXOR" };
        yield return new(c => c.vpsllw(ymm0, ymm1, __xmmword_ptr[rbx + 1]), false) { TestName = "VPSLLW" };
        yield return new(c => c.vptest(ymm0, __ymmword_ptr[rbx + 1]), false) { TestName = "VPTEST" };
        yield return new(c => c.vpcmpistri(xmm0, __xmmword_ptr[rbx + 1], 0), false) { TestName = "VPCMPISTRI" };
        yield return new(c => c.vaesenc(xmm0, xmm1, __xmmword_ptr[rbx + 1]), false) { TestName = "VAESENC" };
        yield return new(c => c.vextractf128(__xmmword_ptr[rbx + 1], ymm1, 1), false) { TestName = "VEXTRACTF128" };
        yield return new(c => c.vfmadd213pd(ymm0, ymm1, __ymmword_ptr[rbx + 1]), false) { TestName = "VFMADD213PD" };
        yield return new(c => c.vcvtps2ph(__xmmword_ptr[rbx + 1], ymm1, 0), false) { TestName = "VCVTPS2PH" };
    }

    [TestCaseSource(nameof(Alignments))]
    public void OnlyAlignedMovesMustBeAligned(Action<Assembler> code, bool refused)
    {
        BlockExit exit = Execute(code);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(refused ? BlockExit.Fault : BlockExit.Branch));
            if (refused)
            {
                GuestFault fault = cpu.Cpu.PendingFault;
                Assert.That((fault.Vector, fault.ErrorCode, fault.Cause.Rule), Is.EqualTo((ExceptionVector.GeneralProtection, (uint?)0, FaultRule.MisalignedOperand)));
                Assert.That(Untouched());
                Assert.That(new Span<byte>(memory, 1024).ContainsAnyExcept((byte)0xA5), Is.False);
            }
        }
    }

    private static IEnumerable<TestCaseData<Action<Assembler>>> Samples()
    {
        yield return new(c => c.vaddps(ymm0, ymm1, ymm2)) { TestName = "VADDPS" };
        yield return new(c => c.vmovaps(xmm0, xmm1)) { TestName = "VMOVAPS" };
        yield return new(c => c.vpxor(xmm0, xmm1, xmm2)) { TestName = "VPXOR" };
        yield return new(c => c.vzeroupper()) { TestName = "VZEROUPPER" };
        yield return new(c => c.vzeroall()) { TestName = "VZEROALL" };
        yield return new(c => c.vstmxcsr(__dword_ptr[rbx])) { TestName = "VSTMXCSR" };
        yield return new(c => c.vpgatherdd(xmm0, __[rbx + xmm1], xmm2)) { TestName = "VPGATHERDD" };
        yield return new(c => c.vmaskmovps(__xmmword_ptr[rbx], xmm1, xmm2)) { TestName = "VMASKMOVPS" };
        yield return new(c => c.vfmadd132sd(xmm0, xmm1, xmm2)) { TestName = "VFMADD132SD" };
        yield return new(c => c.vcvtph2ps(ymm0, xmm1)) { TestName = "VCVTPH2PS" };
        yield return new(c => c.vaesenc(xmm0, xmm1, xmm2)) { TestName = "VAESENC" };
        yield return new(c => c.vmovd(eax, xmm1)) { TestName = "VMOVD" };
        yield return new(c => c.vpermq(ymm0, ymm1, 3)) { TestName = "VPERMQ" };
    }

    /// <summary>CR4.OSXSAVE and XCR0 come before CR0.TS; CR4.OSFXSR and CR0.EM, which SSE looks at, do not count.</summary>
    [TestCaseSource(nameof(Samples))]
    public void AvxCanBeSwitchedOff(Action<Assembler> code)
    {
        BlockExit undefined = Execute(code, BlockMode.AvxUndefined | BlockMode.SseNotAvailable);
        GuestFault first = cpu.Cpu.PendingFault;
        BlockExit notAvailable = Execute(code, BlockMode.SseNotAvailable);
        GuestFault second = cpu.Cpu.PendingFault;
        bool untouched = Untouched();
        BlockExit usable = Execute(code, BlockMode.SseUndefined);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((undefined, notAvailable, untouched, usable), Is.EqualTo((BlockExit.Fault, BlockExit.Fault, true, BlockExit.Branch)));
            Assert.That((first.Vector, first.Cause.Rule), Is.EqualTo((ExceptionVector.InvalidOpcode, FaultRule.AvxDisabled)));
            Assert.That((second.Vector, second.Cause.Rule), Is.EqualTo((ExceptionVector.DeviceNotAvailable, FaultRule.TaskSwitched)));
        }
    }

    [TestCaseSource(nameof(Samples))]
    public void WithoutTheFeatureItIsUndefined(Action<Assembler> code)
    {
        using SingleInstruction old = new(new CpuFeatures { Claimed = new HashSet<CpuFeature> { CpuFeature.Fxsr, CpuFeature.Sse, CpuFeature.Sse2, CpuFeature.Aes } });

        BlockExit exit = old.Execute(Assemble(code), 0x1000, out _);

        Assert.That((exit, old.Cpu.PendingFault.Vector, old.Cpu.PendingFault.Cause.Rule), Is.EqualTo((BlockExit.Fault, ExceptionVector.InvalidOpcode, FaultRule.UndefinedOpcode)));
    }

    /// <summary>SDM Vol. 2A, 2.3: what an encoding may not have.</summary>
    [TestCase("C5E828C1", TestName = "VMOVAPS with VEX.vvvv", ExpectedResult = false)]
    [TestCase("C5FC50C0", TestName = "VMOVMSKPS eax, ymm0", ExpectedResult = true)]
    [TestCase("C4E17D6EC0", TestName = "VMOVD with VEX.L", ExpectedResult = false)]
    [TestCase("C4E2791AC0", TestName = "VBROADCASTF128 from a register", ExpectedResult = false)]
    [TestCase("C4E2791A03", TestName = "VBROADCASTF128 of 128 bits", ExpectedResult = false)]
    [TestCase("C4E37906C100", TestName = "VPERM2F128 of 128 bits", ExpectedResult = false)]
    [TestCase("C4E3F546C200", TestName = "VPERM2I128 with VEX.W", ExpectedResult = false)]
    [TestCase("C4E2F12E03", TestName = "VMASKMOVPS with VEX.W", ExpectedResult = false)]
    [TestCase("66C5F058C2", TestName = "66 before VEX", ExpectedResult = false)]
    [TestCase("F2C5F058C2", TestName = "F2 before VEX", ExpectedResult = false)]
    [TestCase("F3C5F058C2", TestName = "F3 before VEX", ExpectedResult = false)]
    [TestCase("48C5F058C2", TestName = "REX before VEX", ExpectedResult = false)]
    [TestCase("F0C5F058C2", TestName = "LOCK before VEX", ExpectedResult = false)]
    [TestCase("2EC5F058C2", TestName = "a segment before VEX", ExpectedResult = true)]
    [TestCase("67C5F058C2", TestName = "67 before VEX", ExpectedResult = true)]
    [TestCase("C5F058C2", TestName = "VADDPS", ExpectedResult = true)]
    [TestCase("C4E26990040B", TestName = "VPGATHERDD xmm0, [rbx+xmm1], xmm2", ExpectedResult = true)]
    [TestCase("C4E2699004CB", TestName = "VPGATHERDD xmm0, [rbx+xmm1*8], xmm2", ExpectedResult = true)]
    [TestCase("C4E27990040B", TestName = "VPGATHERDD with destination = mask", ExpectedResult = false)]
    [TestCase("C4E269900403", TestName = "VPGATHERDD with destination = index", ExpectedResult = false)]
    [TestCase("C4E271900413", TestName = "VPGATHERDD xmm0, [rbx+xmm2], xmm1", ExpectedResult = true)]
    [TestCase("C4E269900413", TestName = "VPGATHERDD with mask = index", ExpectedResult = false)]
    [TestCase("C4E26990C1", TestName = "VPGATHERDD from a register", ExpectedResult = false)]
    [TestCase("C4E26DDCC1", TestName = "VAESENC of 256 bits, which is VAES", ExpectedResult = false)]
    [TestCase("C5F9C5C001", TestName = "VPEXTRW", ExpectedResult = true)]
    [TestCase("C5F8AE1B", TestName = "VSTMXCSR", ExpectedResult = true)]
    [TestCase("C5FCAE1B", TestName = "VSTMXCSR with VEX.L", ExpectedResult = false)]
    [TestCase("C5F077", TestName = "VZEROUPPER with VEX.vvvv", ExpectedResult = false)]
    [TestCase("C5FCD6C1", TestName = "VMOVQ with VEX.L", ExpectedResult = false)]
    [TestCase("C4E3F91DC100", TestName = "VCVTPS2PH with VEX.W", ExpectedResult = false)]
    public bool EncodingsAreRefused(string bytes)
    {
        cpu.Cpu.State.Vector[1] = Vector512<byte>.Zero;
        cpu.Cpu.State.Vector[2] = Vector512<byte>.Zero;
        Vector512<byte> before = cpu.Cpu.State.Vector[0];

        BlockExit exit = cpu.Execute(Convert.FromHexString(bytes), 0x1000, out _);

        if (exit == BlockExit.Fault)
        {
            Assert.That((cpu.Cpu.PendingFault.Vector, cpu.Cpu.State.Vector[0] == before), Is.EqualTo((ExceptionVector.InvalidOpcode, true)));
        }

        return exit == BlockExit.Branch;
    }

    private static IEnumerable<TestCaseData<Action<Assembler>>> Signals()
    {
        yield return new(c => c.vaddpd(ymm0, ymm1, ymm2)) { TestName = "VADDPD" };
        yield return new(c => c.vaddsd(xmm0, xmm1, xmm2)) { TestName = "VADDSD" };
        yield return new(c => c.vcmppd(ymm0, ymm1, ymm2, 0)) { TestName = "VCMPPD" };
        yield return new(c => c.vcvtpd2ps(xmm0, ymm2)) { TestName = "VCVTPD2PS" };
        yield return new(c => c.vcvtsd2ss(xmm0, xmm1, xmm2)) { TestName = "VCVTSD2SS" };
        yield return new(c => c.vfmadd231pd(ymm0, ymm1, ymm2)) { TestName = "VFMADD231PD" };
        yield return new(c => c.vfmadd231sd(xmm0, xmm1, xmm2)) { TestName = "VFMADD231SD" };
        yield return new(c => c.vhaddpd(ymm0, ymm1, ymm2)) { TestName = "VHADDPD" };
        yield return new(c => c.vdppd(xmm0, xmm1, xmm2, 0xFF)) { TestName = "VDPPD" };
        yield return new(c => c.vroundpd(ymm0, ymm2, 0)) { TestName = "VROUNDPD" };
        yield return new(c => c.vroundsd(xmm0, xmm1, xmm2, 0)) { TestName = "VROUNDSD" };
        yield return new(c => c.vcvtsd2si(eax, xmm2)) { TestName = "VCVTSD2SI" };
        yield return new(c => c.vucomisd(xmm1, xmm2)) { TestName = "VUCOMISD" };
        yield return new(c => c.vcvtps2ph(xmm0, ymm3, 0)) { TestName = "VCVTPS2PH" };
        yield return new(c => c.vcvtps2ph(__xmmword_ptr[rbx], ymm3, 0)) { TestName = "VCVTPS2PH to memory" };
        yield return new(c => c.vcvtph2ps(ymm0, xmm4)) { TestName = "VCVTPH2PS" };
    }

    [TestCaseSource(nameof(Signals))]
    public void UnmaskedExceptionsAreRaisedWithNothingWritten(Action<Assembler> code)
    {
        cpu.Cpu.State.Cr4 = Cr4.OSXMMEXCPT;
        cpu.Cpu.State.Mxcsr = AllMasked & ~(Mxcsr.IE << Mxcsr.MaskShift);

        BlockExit exit = Execute(code);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((exit, cpu.Cpu.PendingFault.Vector), Is.EqualTo((BlockExit.Fault, ExceptionVector.SimdFloatingPoint)));
            Assert.That(cpu.Cpu.State.Mxcsr & Mxcsr.Flags, Is.EqualTo(Mxcsr.IE));
            Assert.That(Untouched());
            Assert.That(new Span<byte>(memory, 1024).ContainsAnyExcept((byte)0xA5), Is.False);
        }
    }

    [Test]
    public void VldmxcsrRefusesReservedBits()
    {
        *(uint*)memory = 0x1_1F80;

        BlockExit exit = Execute(c => c.vldmxcsr(__dword_ptr[rbx]));

        Assert.That((exit, cpu.Cpu.PendingFault.Vector), Is.EqualTo((BlockExit.Fault, ExceptionVector.GeneralProtection)));
    }

    /// <summary>Hosts with AVX2 never take these ways.</summary>
    [Test]
    public void PortableVariableShiftsAgreeWithTheHost()
    {
        if (!System.Runtime.Intrinsics.X86.Avx2.IsSupported)
        {
            Assert.Ignore("the host has no other way");
        }

        OperandSource source = new(5);
        for (int i = 0; i < 20_000; i++)
        {
            Vector256<byte> value = NextVector(source), count = source.NextIndex(2) == 0 ? NextVector(source) : Vector256.Create((ulong)source.NextIndex(70)).AsByte();
            Assert.That(VariableShift<uint>.Left(value, count), Is.EqualTo(VariableShiftLeft<uint>.Apply(value, count)));
            Assert.That(VariableShift<ulong>.Left(value, count), Is.EqualTo(VariableShiftLeft<ulong>.Apply(value, count)));
            Assert.That(VariableShift<uint>.Right(value, count), Is.EqualTo(VariableShiftRight<uint>.Apply(value, count)));
            Assert.That(VariableShift<ulong>.Right(value, count), Is.EqualTo(VariableShiftRight<ulong>.Apply(value, count)));
            Assert.That(VariableShift<uint>.Arithmetic(value, count), Is.EqualTo(VariableShiftArithmetic.Apply(value, count)));
        }
    }

    private static Vector256<byte> NextVector(OperandSource source) =>
        Vector256.Create((ulong)source.NextXmm(), (ulong)source.NextXmm(), (ulong)source.NextXmm(), (ulong)source.NextXmm()).AsByte();

    /// <summary>Ones in register 1, signalling NaNs of the three formats in 2, 3 and 4, all ones elsewhere.</summary>
    private void Fill()
    {
        for (int i = 0; i < 16; i++)
        {
            cpu.Cpu.State.Vector[i] = Vector512<byte>.AllBitsSet;
        }

        cpu.Cpu.State.Vector[1] = Vector512.Create(One).AsByte();
        cpu.Cpu.State.Vector[2] = Vector512.Create(Signaling).AsByte();
        cpu.Cpu.State.Vector[3] = Vector512.Create(0x7F80_0001u).AsByte();
        cpu.Cpu.State.Vector[4] = Vector512.Create((ushort)0x7C01).AsByte();
    }

    private bool Untouched()
    {
        Vector512<byte>[] now = new Vector512<byte>[16];
        for (int i = 0; i < 16; i++)
        {
            now[i] = cpu.Cpu.State.Vector[i];
        }

        Fill();
        bool same = true;
        for (int i = 0; i < 16; i++)
        {
            same &= now[i] == cpu.Cpu.State.Vector[i];
        }

        return same;
    }

    private static byte[] Assemble(Action<Assembler> code)
    {
        Assembler assembler = new(64) { PreferVex = true };
        code(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), 0x1000);
        return stream.ToArray();
    }

    private BlockExit Execute(Action<Assembler> code, BlockMode mode = BlockMode.None) => cpu.Execute(Assemble(code), 0x1000, out _, mode);
}
