using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>The layouts of FSTENV, FSAVE and FXSAVE (SDM Vol. 1, figures 8-9 to 8-12 and table 10-2), and what FLDENV and FRSTOR make of them.</summary>
[TestFixture]
public sealed unsafe class X87EnvironmentTests
{
    /// <summary>As bytes in memory. TOP is 3; R3 is a normal number, R4 zero, R5 and R6 something else, the others are empty.</summary>
    private const string Control = "7B0B", Status = "215E", Tags = "3FE9";

    private static readonly UInt128 One = new(0x3FFF, 1UL << 63);
    private static readonly UInt128 Infinity = new(0x7FFF, 1UL << 63);

    private X87Bench bench = null!;

    [SetUp]
    public void Begin()
    {
        bench = new X87Bench();
        bench.Fill(One, 0, Infinity, 1);
        bench.Unit.Control = 0x0B7B;
        bench.Unit.Status = 0x4621;
        bench.Unit.Opcode = 0x5AB;
        bench.Unit.InstructionPointer = 0x1_2345_6789;
        bench.Unit.InstructionSelector = 0x33;
        bench.Unit.DataPointer = 0x2_9ABC_DEF0;
        bench.Unit.DataSelector = 0x2B;
    }

    [TearDown]
    public void End() => bench.Dispose();

    [TestCase(false, false, $"{Control}FFFF{Status}FFFF{Tags}FFFF896745233300AB05F0DEBC9A2B00FFFF", TestName = "32 bits, protected mode")]
    [TestCase(true, false, $"{Control}{Status}{Tags}89673300F0DE2B00", TestName = "16 bits, protected mode")]
    [TestCase(false, true, $"{Control}FFFF{Status}FFFF{Tags}FFFFB96AFFFFAB553402A0E1FFFF00C0AB09", TestName = "32 bits, real-address mode")]
    [TestCase(true, true, $"{Control}{Status}{Tags}B96AAB55A0E100C0", TestName = "16 bits, real-address mode")]
    public void TheEnvironmentIsLaidOutAsTheModeSays(bool narrow, bool real, string expected)
    {
        byte[] want = Convert.FromHexString(expected);
        BlockExit exit = bench.Execute(c => Environment(c, narrow, store: true), real ? BlockMode.Real : BlockMode.None);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Branch));
            Assert.That(Convert.ToHexString(new ReadOnlySpan<byte>(bench.Memory, want.Length)), Is.EqualTo(expected));
            Assert.That(bench.Memory[want.Length], Is.EqualTo(X87Bench.Untouched));
            Assert.That(bench.Unit.Control, Is.EqualTo(0x0B7F), "afterwards every exception is masked");
        }
    }

    [Test]
    public void LoadingTheEnvironmentBringsItBack([Values] bool narrow)
    {
        X87State before = bench.Unit;
        bench.Execute(c => Environment(c, narrow, store: true));
        bench.Execute(c => c.fninit());
        bench.Execute(c => Environment(c, narrow, store: false));

        uint mask = narrow ? ushort.MaxValue : uint.MaxValue;
        ref X87State unit = ref bench.Unit;
        using (Assert.EnterMultipleScope())
        {
            Assert.That((unit.Control, unit.Status, unit.Top, unit.Tags), Is.EqualTo((before.Control, before.Status, before.Top, before.Tags)));
            Assert.That((unit.InstructionPointer, unit.InstructionSelector), Is.EqualTo((before.InstructionPointer & mask, before.InstructionSelector)));
            Assert.That((unit.DataPointer, unit.DataSelector), Is.EqualTo((before.DataPointer & mask, before.DataSelector)));
            Assert.That(unit.Opcode, Is.EqualTo(narrow ? 0 : before.Opcode), "16 bits have no room for the opcode");
        }
    }

    [Test]
    public void LoadingAnUnmaskedFlagMakesItPending([Values] bool masked)
    {
        *(uint*)bench.Memory = masked ? 0x37Fu : 0x37Eu;
        *(uint*)(bench.Memory + 4) = masked ? 0x8081u : 1;
        bench.Execute(c => c.fldenv(__[rbx]));
        Assert.That(bench.Status, Is.EqualTo(masked ? 0x0001u : 0x8081u));
    }

    [Test]
    public void SaveWritesEnvironmentAndRegistersAndRestoreReadsThemBack()
    {
        X87State before = bench.Unit;
        bench.Execute(c => c.fnsave(__[rbx]));
        X87State saved = bench.Unit;
        UInt128 first = *(UInt128*)(bench.Memory + 28) << 48 >> 48, third = *(UInt128*)(bench.Memory + 48) << 48 >> 48;
        bool rest = new Span<byte>(bench.Memory + 108, X87Bench.MemorySize - 108).ContainsAnyExcept(X87Bench.Untouched);
        bench.Unit.Registers = default;
        bench.Execute(c => c.frstor(__[rbx]));

        using (Assert.EnterMultipleScope())
        {
            Assert.That((saved.Control, saved.Status, saved.Top, saved.Tags, saved.InstructionPointer, saved.Opcode), Is.EqualTo(((ushort)0x37F, (ushort)0, (byte)0, (byte)0, 0ul, (ushort)0)));
            Assert.That((first, third, rest), Is.EqualTo((One, Infinity, false)));
            Assert.That((bench.Unit.Control, bench.Unit.Status, bench.Unit.Top, bench.Unit.Tags), Is.EqualTo((before.Control, before.Status, before.Top, before.Tags)));
            Assert.That((bench.St(0), bench.St(1), bench.St(2), bench.St(3)), Is.EqualTo((One, (UInt128)0, Infinity, (UInt128)1)));
        }
    }

    [TestCase(false, "7B0B215E7800AB058967452333000000F0DEBC9A2B000000", TestName = "FXSAVE")]
    [TestCase(true, "7B0B215E7800AB058967452301000000F0DEBC9A02000000", TestName = "FXSAVE64")]
    public void FxsaveHasTheUnitInItsFirstBytes(bool wide, string expected)
    {
        X87State before = bench.Unit;
        bench.Execute(c => Fxsave(c, wide, store: true));
        string header = Convert.ToHexString(new ReadOnlySpan<byte>(bench.Memory, 24));
        (UInt128, UInt128) registers = (*(UInt128*)(bench.Memory + 32), *(UInt128*)(bench.Memory + 64));
        bench.Execute(c => c.fninit());
        bench.Unit.Registers = default;
        bench.Execute(c => Fxsave(c, wide, store: false));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(header, Is.EqualTo(expected));
            Assert.That(registers, Is.EqualTo((One, Infinity)));
            Assert.That((bench.Unit.Control, bench.Unit.Status, bench.Unit.Top, bench.Unit.Tags, bench.Unit.Opcode), Is.EqualTo((before.Control, before.Status, before.Top, before.Tags, before.Opcode)));
            Assert.That(bench.Unit.InstructionPointer, Is.EqualTo(wide ? before.InstructionPointer : (uint)before.InstructionPointer));
            Assert.That(bench.Unit.DataPointer, Is.EqualTo(wide ? before.DataPointer : (uint)before.DataPointer));
            Assert.That(bench.Unit.InstructionSelector, Is.EqualTo(wide ? 0 : before.InstructionSelector));
            Assert.That((bench.St(0), bench.St(2)), Is.EqualTo((One, Infinity)));
        }
    }

    private static IEnumerable<TestCaseData<Action<Assembler>, int>> Stores()
    {
        yield return new(c => c.fstp(__tword_ptr[rbx]), 10) { TestName = "FSTP m80" };
        yield return new(c => c.fbstp(__[rbx]), 10) { TestName = "FBSTP" };
        yield return new(c => c.fstp(__qword_ptr[rbx]), 8) { TestName = "FSTP m64" };
        yield return new(c => c.fistp(__word_ptr[rbx]), 2) { TestName = "FISTP m16" };
        yield return new(c => c.fnstenv(__[rbx]), 28) { TestName = "FNSTENV" };
        yield return new(c => c.fnsave(__[rbx]), 108) { TestName = "FNSAVE" };
    }

    [TestCaseSource(nameof(Stores))]
    public void AStoreAcrossAPageThatIsNotThereChangesNothing(Action<Assembler> code, int size)
    {
        const ulong CodeAddress = 0x40_0000_0000, CodeFrame = 0x20_0000, Data = 0x60_0000, DataFrame = 0x11_0000, Page = 0x1000;
        using PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        guest.Map(Data, DataFrame);
        guest.Machine.WriteMemory(new(CodeFrame), X87Bench.Assemble(code));
        ref CpuState cpu = ref guest.Cpu.State;
        for (int inFirst = 1; inFirst < size; inFirst++)
        {
            cpu.X87 = bench.Unit;
            cpu.Gpr[GeneralRegister.Rbx] = Data + Page - (ulong)inFirst;
            guest.Start(CodeAddress);
            BlockExit exit = guest.RunBlock(1, BlockMode.Single);
            using (Assert.EnterMultipleScope())
            {
                Assert.That((exit, guest.Cpu.PendingFault.Vector, guest.Cpu.PendingFault.Address.Value), Is.EqualTo((BlockExit.Fault, ExceptionVector.PageFault, Data + Page)));
                Assert.That(guest.Ram(DataFrame, (int)Page).ContainsAnyExcept((byte)0), Is.False);
                Assert.That((cpu.X87.Control, cpu.X87.Status, cpu.X87.Top, cpu.X87.Tags, cpu.X87.InstructionPointer), Is.EqualTo(
                    (bench.Unit.Control, bench.Unit.Status, bench.Unit.Top, bench.Unit.Tags, bench.Unit.InstructionPointer)));
            }
        }
    }

    private static void Environment(Assembler c, bool narrow, bool store)
    {
        if (narrow)
        {
            c.db(0x66);
        }

        if (store)
        {
            c.fnstenv(__[rbx]);
        }
        else
        {
            c.fldenv(__[rbx]);
        }
    }

    private static void Fxsave(Assembler c, bool wide, bool store)
    {
        switch (wide, store)
        {
            case (false, true):
                c.fxsave(__[rbx]);
                break;
            case (true, true):
                c.fxsave64(__[rbx]);
                break;
            case (false, false):
                c.fxrstor(__[rbx]);
                break;
            default:
                c.fxrstor64(__[rbx]);
                break;
        }
    }
}
