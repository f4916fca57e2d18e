using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Unmasked x87 exceptions, which the host cannot be asked about, against the rules of SDM Vol. 1, 8.5 to 8.7.</summary>
[TestFixture]
public sealed unsafe class X87ExceptionTests
{
    private const ushort AllMasked = 0x37F;
    private const uint Pending = X87Bits.ES | X87Bits.B;

    private static readonly UInt128 One = new(0x3FFF, 1UL << 63);
    private static readonly UInt128 Three = new(0x4000, 3UL << 62);
    private static readonly UInt128 Largest = new(0x7FFE, ulong.MaxValue);
    private static readonly UInt128 LargestPower = new(0x7FFE, 1UL << 63);
    private static readonly UInt128 LeastNormal = new(1, 1UL << 63);
    private static readonly UInt128 Denormal = 1;
    private static readonly UInt128 Infinity = new(0x7FFF, 1UL << 63);
    private static readonly UInt128 Signaling = new(0x7FFF, (1UL << 63) | 1);
    private static readonly UInt128 Unnormal = new(0x3FFF, 1UL << 62);

    private X87Bench bench = null!;

    [SetUp]
    public void Begin() => bench = new X87Bench();

    [TearDown]
    public void End() => bench.Dispose();

    public sealed record Case(string Name, Action<Assembler> Code, uint Unmasked, uint Flags, UInt128 First, UInt128 Second);

    private static IEnumerable<Case> Suppressed()
    {
        yield return new("FADD SNaN", c => c.fadd(st0, st1), X87Bits.IE, X87Bits.IE, Signaling, One);
        yield return new("FSUBP inf - inf", c => c.fsubp(st1, st0), X87Bits.IE, X87Bits.IE, Infinity, Infinity);
        yield return new("FMUL unnormal", c => c.fmul(st0, st1), X87Bits.IE, X87Bits.IE, Unnormal, One);
        yield return new("FADD denormal", c => c.fadd(st0, st1), X87Bits.DE, X87Bits.DE, Denormal, One);
        yield return new("FDIVP by zero", c => c.fdivp(st1, st0), X87Bits.ZE, X87Bits.ZE, 0, One);
        yield return new("FDIV, zero divide before inexact", c => c.fdiv(st0, st1), X87Bits.ZE | X87Bits.PE, X87Bits.ZE, Three, 0);
        yield return new("FMUL, denormal before underflow", c => c.fmul(st0, st1), X87Bits.DE | X87Bits.UE, X87Bits.DE, Denormal, LeastNormal);
        yield return new("FSQRT of a negative", c => c.fsqrt(), X87Bits.IE, X87Bits.IE, One | (UInt128)0x8000 << 64, One);
        yield return new("FCOMPP SNaN", c => c.fcompp(), X87Bits.IE, X87Bits.IE, Signaling, One);
        yield return new("FCOMIP denormal", c => c.fcomip(st0, st1), X87Bits.DE, X87Bits.DE, Denormal, One);
        yield return new("FST m64 SNaN", c => c.fst(__qword_ptr[rbx]), X87Bits.IE, X87Bits.IE, Signaling, One);
        yield return new("FSTP m32 overflow", c => c.fstp(__dword_ptr[rbx]), X87Bits.OE, X87Bits.OE, Largest, One);
        yield return new("FSTP m64 underflow", c => c.fstp(__qword_ptr[rbx]), X87Bits.UE, X87Bits.UE, LeastNormal, One);
        yield return new("FISTP out of range", c => c.fistp(__dword_ptr[rbx]), X87Bits.IE, X87Bits.IE, Largest, One);
        yield return new("FBSTP out of range", c => c.fbstp(__[rbx]), X87Bits.IE, X87Bits.IE, Largest, One);
        yield return new("FXTRACT of zero", c => c.fxtract(), X87Bits.ZE, X87Bits.ZE, 0, One);
        yield return new("FYL2X of zero", c => c.fyl2x(), X87Bits.ZE, X87Bits.ZE, 0, One);
        yield return new("FSIN of infinity", c => c.fsin(), X87Bits.IE, X87Bits.IE, Infinity, One);
        yield return new("FSINCOS denormal", c => c.fsincos(), X87Bits.DE, X87Bits.DE, Denormal, One);
        yield return new("FPREM by zero", c => c.fprem(), X87Bits.IE, X87Bits.IE, One, 0);
        yield return new("FADD of an empty register", c => c.fadd(st0, st5), X87Bits.IE, X87Bits.IE | X87Bits.SF, One, One);
        yield return new("FXCH of an empty register", c => c.fxch(st0, st5), X87Bits.IE, X87Bits.IE | X87Bits.SF, One, One);
        yield return new("FLD of an empty register", c => c.fld(st5), X87Bits.IE, X87Bits.IE | X87Bits.SF, One, One);
        yield return new("FCMOVE of an empty register", c => c.fcmove(st0, st5), X87Bits.IE, X87Bits.IE | X87Bits.SF, One, One);
    }

    [TestCaseSource(nameof(Suppressed))]
    public void TheOperationIsSuppressed(Case each)
    {
        bench.Fill(each.First, each.Second);
        bench.Unit.Control = (ushort)(AllMasked & ~each.Unmasked);
        byte tags = bench.Unit.Tags;
        ulong flags = bench.Instruction.Cpu.Rflags;

        BlockExit exit = bench.Execute(each.Code);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Branch), "the exception waits");
            Assert.That(bench.Status, Is.EqualTo(each.Flags | Pending | (3u << 11)));
            Assert.That((bench.St(0), bench.St(1), bench.Unit.Tags), Is.EqualTo((each.First, each.Second, tags)));
            Assert.That(bench.Instruction.Cpu.Rflags, Is.EqualTo(flags));
            Assert.That(bench.IsUntouched);
        }
    }

    [Test]
    public void APushOntoAFullStackIsSuppressedWithC1()
    {
        bench.Fill(One, One, One, One, One, One, One, One);
        bench.Unit.Control = AllMasked & ~(int)X87Bits.IE;

        bench.Execute(c => c.fldpi());

        Assert.That((bench.Status, bench.St(0)), Is.EqualTo((X87Bits.IE | X87Bits.SF | X87Bits.C1 | Pending | (3u << 11), One)));
    }

    /// <summary>SDM Vol. 1, 8.5.4 and 8.5.5: in a register the result is there, its exponent moved by 24,576.</summary>
    private static IEnumerable<TestCaseData> Wrapped()
    {
        yield return Moved("FMUL overflow", c => c.fmul(st0, st1), X87Bits.OE, X87Bits.OE, LargestPower, LargestPower, new UInt128(0x7FFE + 0x3FFF - 24576, 1UL << 63));
        yield return Moved("FADD overflow, inexact", c => c.fadd(st0, st1), X87Bits.OE, X87Bits.OE | X87Bits.PE, Largest, new UInt128(0x7FFD, ulong.MaxValue), new UInt128(0x7FFF - 24576, 0xBFFF_FFFF_FFFF_FFFF));
        yield return Moved("FMUL underflow", c => c.fmul(st0, st1), X87Bits.UE, X87Bits.UE, LeastNormal, LeastNormal, new UInt128(unchecked((ulong)(2 - 0x3FFF + 24576)), 1UL << 63));
        yield return Moved("FDIV underflow, inexact", c => c.fdiv(st0, st1), X87Bits.UE, X87Bits.UE | X87Bits.PE | X87Bits.C1, LeastNormal, Three, new UInt128(1 - 2 + 24576, 0xAAAA_AAAA_AAAA_AAAB));
        yield return Moved("FSCALE underflow", c => c.fscale(), X87Bits.UE, X87Bits.UE, LeastNormal, One | ((UInt128)0x8000 << 64), new UInt128(24576, 1UL << 63));
    }

    private static TestCaseData Moved(string name, Action<Assembler> code, uint unmasked, uint flags, UInt128 first, UInt128 second, UInt128 result) =>
        new(code, unmasked, flags, first, second, result) { TestName = name };

    [TestCaseSource(nameof(Wrapped))]
    public void OverflowAndUnderflowInARegisterMoveTheExponent(Action<Assembler> code, uint unmasked, uint flags, UInt128 first, UInt128 second, UInt128 result)
    {
        bench.Fill(first, second);
        bench.Unit.Control = (ushort)(AllMasked & ~unmasked);

        bench.Execute(code);

        Assert.That((bench.Status, bench.St(0)), Is.EqualTo((flags | Pending | (3u << 11), result)));
    }

    [Test]
    public void AnExactTinyResultUnderflowsOnlyWhenUnmasked([Values] bool unmasked)
    {
        UInt128 half = new(0x3FFE, 1UL << 63);
        bench.Fill(LeastNormal, half);
        bench.Unit.Control = (ushort)(AllMasked & ~(unmasked ? X87Bits.UE : 0));

        bench.Execute(c => c.fmul(st0, st1));

        Assert.That((bench.Status & 0xFF, bench.St(0)), Is.EqualTo(unmasked ? (X87Bits.UE | X87Bits.ES, new UInt128(24576, 1UL << 63)) : (0u, (UInt128)(1UL << 62))));
    }

    [Test]
    public void AnInexactResultIsDeliveredAndPopped()
    {
        bench.Fill(Three, One);
        bench.Unit.Control = AllMasked & ~(int)X87Bits.PE;

        bench.Execute(c => c.fdivp(st1, st0));

        Assert.That((bench.Status, bench.St(0)), Is.EqualTo((X87Bits.PE | X87Bits.C1 | Pending | (4u << 11), new UInt128(0x3FFD, 0xAAAA_AAAA_AAAA_AAAB))));
    }

    [Test]
    public void AnInexactStoreIsDelivered()
    {
        bench.Fill(new UInt128(0x3FFD, 0xAAAA_AAAA_AAAA_AAAB));
        bench.Unit.Control = AllMasked & ~(int)X87Bits.PE;

        bench.Execute(c => c.fstp(__dword_ptr[rbx]));

        Assert.That((bench.Status & 0xFF, *(uint*)bench.Memory, bench.Unit.Tags), Is.EqualTo((X87Bits.PE | X87Bits.ES, BitConverter.SingleToUInt32Bits(1f / 3), (byte)0)));
    }

    private static IEnumerable<TestCaseData<Action<Assembler>, bool>> Waiting()
    {
        yield return new(c => c.wait(), true) { TestName = "WAIT" };
        yield return new(c => c.fnop(), true) { TestName = "FNOP" };
        yield return new(c => c.fld1(), true) { TestName = "FLD1" };
        yield return new(c => c.fadd(st0, st1), true) { TestName = "FADD" };
        yield return new(c => c.fld(__qword_ptr[rbx]), true) { TestName = "FLD m64" };
        yield return new(c => c.fstp(__tword_ptr[rbx]), true) { TestName = "FSTP m80" };
        yield return new(c => c.fxam(), true) { TestName = "FXAM" };
        yield return new(c => c.ffree(st1), true) { TestName = "FFREE" };
        yield return new(c => c.fincstp(), true) { TestName = "FINCSTP" };
        yield return new(c => c.fldcw(__word_ptr[rbx]), true) { TestName = "FLDCW" };
        yield return new(c => c.fldenv(__[rbx]), true) { TestName = "FLDENV" };
        yield return new(c => c.frstor(__[rbx]), true) { TestName = "FRSTOR" };
        yield return new(c => c.fninit(), false) { TestName = "FNINIT" };
        yield return new(c => c.fnclex(), false) { TestName = "FNCLEX" };
        yield return new(c => c.fnstcw(__word_ptr[rbx]), false) { TestName = "FNSTCW" };
        yield return new(c => c.fnstsw(__word_ptr[rbx]), false) { TestName = "FNSTSW" };
        yield return new(c => c.fnstsw(ax), false) { TestName = "FNSTSW AX" };
        yield return new(c => c.fnstenv(__[rbx]), false) { TestName = "FNSTENV" };
        yield return new(c => c.fnsave(__[rbx]), false) { TestName = "FNSAVE" };
        yield return new(c => c.fxsave(__[rbx]), false) { TestName = "FXSAVE" };
    }

    [TestCaseSource(nameof(Waiting))]
    public void AnInstructionThatWaitsRaisesThePendingException(Action<Assembler> code, bool waits)
    {
        bench.Fill(One, One);
        bench.Unit.Control = AllMasked & ~(int)X87Bits.ZE;
        bench.Unit.Status = (ushort)(X87Bits.ZE | Pending);
        X87State before = bench.Unit;

        BlockExit exit = bench.Execute(code);

        Assert.That(exit, Is.EqualTo(waits ? BlockExit.Fault : BlockExit.Branch));
        if (waits)
        {
            using (Assert.EnterMultipleScope())
            {
                Assert.That((bench.Fault.Vector, bench.Fault.ErrorCode, bench.Fault.Cause.Rule), Is.EqualTo((ExceptionVector.FloatingPoint, (uint?)null, FaultRule.X87Exception)));
                Assert.That((bench.Unit.Status, bench.Unit.Top, bench.Unit.Tags, bench.Unit.InstructionPointer), Is.EqualTo((before.Status, before.Top, before.Tags, before.InstructionPointer)));
                Assert.That(bench.IsUntouched);
            }
        }
    }

    [Test]
    public void UnmaskingAFlagThatStandsMakesItPending()
    {
        bench.Unit.Status = (ushort)X87Bits.PE;
        *(ushort*)bench.Memory = AllMasked & ~(int)X87Bits.PE;

        bench.Execute(c => c.fldcw(__word_ptr[rbx]));
        uint unmasked = bench.Status;
        bench.Execute(c => c.fnclex());

        Assert.That((unmasked, bench.Status), Is.EqualTo((X87Bits.PE | Pending, 0u)));
    }

    [Test]
    public void ThePointersNameTheLastInstructionThatIsNoControlInstruction()
    {
        bench.Fill(One);
        bench.State.Segments[SegmentIndex.Cs].Selector = 0x33;
        bench.State.Segments[SegmentIndex.Fs].Selector = 0x53;
        bench.State.Segments[SegmentIndex.Fs].Base = 0x10;
        bench.Unit.Control = AllMasked & ~(int)X87Bits.IE;
        bench.State.Gpr[GeneralRegister.Rcx] = 2;
        *(ulong*)(bench.Memory + 0x20) = 0x7FF0_0000_0000_0001;

        bench.Execute(c => c.fadd(__qword_ptr.fs[rbx + (rcx * 4) + 8]));
        bench.Execute(c => c.fnstcw(__word_ptr[rbx]));

        using (Assert.EnterMultipleScope())
        {
            Assert.That((bench.Unit.InstructionPointer, bench.Unit.InstructionSelector), Is.EqualTo((X87Bench.Rip, (ushort)0x33)));
            Assert.That((bench.Unit.DataPointer, bench.Unit.DataSelector), Is.EqualTo((bench.Address + 16, (ushort)0x53)));
            Assert.That(bench.Unit.Opcode, Is.EqualTo(0x444), "DC 44 8B 08");
            Assert.That(bench.Status & 0xFF, Is.EqualTo(X87Bits.IE | X87Bits.ES));
        }
    }

    /// <summary>The opcode field against the bytes of the instruction.</summary>
    private static IEnumerable<TestCaseData<Action<Assembler>>> Opcodes()
    {
        yield return new(c => c.fadd(__qword_ptr[rax])) { TestName = "[rax]" };
        yield return new(c => c.fsub(__dword_ptr[rbp])) { TestName = "[rbp]" };
        yield return new(c => c.fsub(__dword_ptr[rsp])) { TestName = "[rsp]" };
        yield return new(c => c.fmul(__dword_ptr[r12 + 8])) { TestName = "[r12+8]" };
        yield return new(c => c.fmul(__dword_ptr[r9 + 0x800])) { TestName = "[r9+800]" };
        yield return new(c => c.fidiv(__word_ptr[rax + (rdx * 2)])) { TestName = "[rax+rdx*2]" };
        yield return new(c => c.fidiv(__word_ptr[(rdx * 2) + 4])) { TestName = "[rdx*2+4]" };
        yield return new(c => c.fadd(__qword_ptr[0x1234])) { TestName = "[1234]" };
        yield return new(c => c.fadd(st3, st0)) { TestName = "st3, st0" };
        yield return new(c => c.fsqrt()) { TestName = "FSQRT" };
        yield return new(c => c.fcompp()) { TestName = "FCOMPP" };
    }

    [TestCaseSource(nameof(Opcodes))]
    public void TheOpcodeIsThatOfTheBytes(Action<Assembler> code)
    {
        byte[] bytes = X87Bench.Assemble(code);
        Instruction instruction = Decoder.Create(64, bytes, X87Bench.Rip).Decode();
        Op op = new() { Rip = X87Bench.Rip, Length = (byte)bytes.Length };
        OpBinder<FlatPort>.Bind(instruction, ref op, BlockMode.None, new CpuFeatures());

        int at = Array.FindIndex(bytes, b => b is >= 0xD8 and <= 0xDF);
        Assert.That(op.Immediate, Is.EqualTo((ulong)(((bytes[at] & 7) << 8) | bytes[at + 1])));
    }

    private static IEnumerable<TestCaseData> SwitchedOff()
    {
        foreach (BlockMode mode in (BlockMode[])[BlockMode.X87Emulated, BlockMode.SseNotAvailable])
        {
            yield return Off(c => c.fadd(st0, st1), mode, true, $"FADD {mode}");
            yield return Off(c => c.fld(__qword_ptr[rbx]), mode, true, $"FLD {mode}");
            yield return Off(c => c.fninit(), mode, true, $"FNINIT {mode}");
            yield return Off(c => c.fnstsw(ax), mode, true, $"FNSTSW {mode}");
            yield return Off(c => c.fcomi(st0, st1), mode, true, $"FCOMI {mode}");
            yield return Off(c => c.wait(), mode, false, $"WAIT {mode}");
        }

        yield return Off(c => c.wait(), BlockMode.WaitNotAvailable, true, "WAIT with MP and TS");
        yield return Off(c => c.fadd(st0, st1), BlockMode.WaitNotAvailable, false, "FADD with MP");
        yield return Off(c => c.fadd(st0, st1), BlockMode.SseUndefined, false, "FADD without OSFXSR");
    }

    private static TestCaseData Off(Action<Assembler> code, BlockMode mode, bool raises, string name) => new(code, (uint)mode, raises) { TestName = name };

    [TestCaseSource(nameof(SwitchedOff))]
    public void TheUnitCanBeSwitchedOff(Action<Assembler> code, uint mode, bool raises)
    {
        // #NM comes before the pending exception.
        bench.Unit.Control = AllMasked & ~(int)X87Bits.ZE;
        bench.Unit.Status = (ushort)(raises ? X87Bits.ZE | Pending : 0);

        BlockExit exit = bench.Execute(code, (BlockMode)mode);

        Assert.That(exit, Is.EqualTo(raises ? BlockExit.Fault : BlockExit.Branch));
        if (raises)
        {
            Assert.That(bench.Fault.Vector, Is.EqualTo(ExceptionVector.DeviceNotAvailable));
        }
    }
}
