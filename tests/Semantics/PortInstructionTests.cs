using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>IN, OUT, INS and OUTS, and who may use a port (SDM Vol. 1, 20.5; Vol. 2, "INS", "OUTS").</summary>
[TestFixture]
internal sealed class PortInstructionTests
{
    private const int Done = (int)ExceptionVector.InvalidOpcode;
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const int PF = (int)ExceptionVector.PageFault;
    private const ushort Port = 0x500;
    private const ushort Bitmap = 0x68;
    private const ulong Buffer = TestMachine.Mapped - 0x1000;

    private TestMachine machine = null!;
    private Counter device = null!;

    [SetUp]
    public void MakeMachine()
    {
        machine = new TestMachine();
        device = new Counter();
        machine.Machine.Ports.Attach(Port, device);
    }

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    [TestCase(0, 0, true)]
    [TestCase(0, 2, true)]
    [TestCase(3, 3, true)]
    [TestCase(3, 2, false)]
    [TestCase(3, 0, false)]
    public void IoplLetsInWithoutABitmap(int cpl, int iopl, bool allowed)
    {
        UseBitmap(0x67);
        foreach (Action<Assembler> write in AllForms())
        {
            machine.Cpu.Rflags = Rflags.Fixed | ((ulong)iopl << Rflags.IoplShift);
            Run(cpl, Port, write);
            Expect(allowed);
        }
    }

    // The bit of port 0x500 is bit 0 of byte 0xA0 of the bitmap.
    [TestCase(1, 0x00, 0x00, true)]
    [TestCase(1, 0x01, 0x00, false)]
    [TestCase(1, 0xFE, 0xFF, true)]
    [TestCase(2, 0x02, 0x00, false)]
    [TestCase(2, 0xFC, 0xFF, true)]
    [TestCase(4, 0x08, 0x00, false)]
    [TestCase(4, 0xF0, 0xFF, true)]
    public void EveryPortOfTheAccessNeedsItsBit(int width, int bits, int next, bool allowed)
    {
        UseBitmap(Bitmap + 0x2000);
        SetByte(Bitmap + (Port / 8u), bits);
        SetByte(Bitmap + (Port / 8u) + 1, next);
        Run(cpl: 3, Port, c => In(c, width));
        Expect(allowed);
    }

    [TestCase(7, 2, 0x7F, 0xFE, true)]
    [TestCase(7, 2, 0x7F, 0xFF, false)]
    [TestCase(7, 2, 0x80, 0x00, false)]
    [TestCase(5, 4, 0x1F, 0xFE, true)]
    [TestCase(5, 4, 0x00, 0x01, false)]
    public void AnAccessMayTakeItsBitsFromTwoBytes(int offset, int width, int bits, int next, bool allowed)
    {
        UseBitmap(Bitmap + 0x2000);
        SetByte(Bitmap + (Port / 8u), bits);
        SetByte(Bitmap + (Port / 8u) + 1, next);
        Run(cpl: 3, (ushort)(Port + offset), c => In(c, width));
        Expect(allowed);
    }

    // Two bytes are always read, and both must be within the TSS.
    [TestCase(Bitmap + 0xA1u, true)]
    [TestCase(Bitmap + 0xA0u, false)]
    [TestCase(Bitmap - 1u, false)]
    [TestCase(0x67u, false, Description = "the bitmap begins beyond the limit")]
    [TestCase(0x66u, false, Description = "the limit cuts the bitmap's offset")]
    [TestCase(0x65u, false)]
    public void BothBytesOfTheBitmapAreWithinTheLimit(uint limit, bool allowed)
    {
        UseBitmap(limit);
        Run(cpl: 3, Port, c => In(c, 1));
        Expect(allowed);
    }

    [TestCase(0xFFFF, 1, Bitmap + 0x2000u, 0x00, true)]
    [TestCase(0xFFFF, 1, Bitmap + 0x1FFFu, 0x00, false, Description = "no byte after the last")]
    [TestCase(0xFFFC, 4, Bitmap + 0x2000u, 0xFF, true)]
    [TestCase(0xFFFF, 2, Bitmap + 0x2000u, 0xFF, false, Description = "reaches the byte of ones after the bitmap")]
    public void TheLastPort(int port, int width, uint limit, int terminator, bool allowed)
    {
        UseBitmap(limit);
        SetByte(Bitmap + 0x2000, terminator);
        Run(cpl: 3, (ushort)port, c => In(c, width));
        Expect(allowed);
    }

    [Test]
    public void ABitmapOutsideMappedMemoryIsAPageFault()
    {
        UseBitmap(0xFFFF);
        machine.State.Tr.Base = TestMachine.Mapped - Bitmap - 0x40;
        machine[machine.State.Tr.Base + 102] = Bitmap;
        machine[machine.State.Tr.Base + 4] = TestMachine.Rsp0;
        Run(cpl: 3, Port, c => In(c, 1));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(PF));
            Assert.That(machine.State.Cr2, Is.EqualTo(TestMachine.Mapped + 0x60));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.Zero, "a supervisor's read");
        }
    }

    [TestCase(1, 0xFFFF_FFFF_FFFF_FF01ul)]
    [TestCase(2, 0xFFFF_FFFF_FFFF_0201ul)]
    [TestCase(4, 0x0403_0201ul)]
    public void InWritesItsPartOfRax(int width, ulong expected)
    {
        machine.State.Gpr[GeneralRegister.Rax] = ulong.MaxValue;
        Run(cpl: 0, Port, c => In(c, width));
        Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(expected));
    }

    [Test]
    public void InsThatCannotWriteTakesNoInput()
    {
        machine.State.Gpr[GeneralRegister.Rdi] = TestMachine.Mapped - 2;
        Run(cpl: 0, Port, c => c.insd());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(PF));
            Assert.That(machine.State.Cr2, Is.EqualTo(TestMachine.Mapped));
            Assert.That(device.Given, Is.Zero);
            Assert.That(machine.State.Gpr[GeneralRegister.Rdi], Is.EqualTo(TestMachine.Mapped - 2));
        }
    }

    [Test]
    public void RepInsStopsAtTheFaultAndGoesOnFromThere()
    {
        const ulong page = 0x4000_0000;
        machine.PageTables.Map(new GuestMemory.Gva(page), new GuestMemory.Gpa(TestMachine.Data), 0x1000, Mmu.PageRights.Write);
        machine.State.Gpr[GeneralRegister.Rdi] = page + 0xFFC;
        machine.State.Gpr[GeneralRegister.Rcx] = 10;
        Run(cpl: 0, Port, c => c.rep.insb());
        ulong left = machine.State.Gpr[GeneralRegister.Rcx];
        ulong at = machine.State.Gpr[GeneralRegister.Rdi];
        int? first = machine.Handled;
        ulong rip = machine.Frame(hasErrorCode: true).Rip;
        machine.PageTables.Map(new GuestMemory.Gva(page + 0x1000), new GuestMemory.Gpa(TestMachine.Data + 0x1000), 0x1000, Mmu.PageRights.Write);
        machine.State.Rip = rip;
        machine.Machine.Run(1000);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.EqualTo(PF));
            Assert.That(left, Is.EqualTo(6));
            Assert.That(at, Is.EqualTo(page + 0x1000));
            Assert.That(rip, Is.EqualTo(TestMachine.KernelCode), "at the instruction");
            Assert.That(device.Given, Is.EqualTo(10), "nothing is lost, nothing taken twice");
            Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.Zero);
            Assert.That(machine[TestMachine.Data + 0xFFC], Is.EqualTo(0x0807_0605_0403_0201));
        }
    }

    [Test]
    public void RepOutsStopsAtTheFaultAndGoesOnFromThere()
    {
        machine.State.Gpr[GeneralRegister.Rsi] = TestMachine.Mapped - 4;
        machine.State.Gpr[GeneralRegister.Rcx] = 4;
        machine[TestMachine.Mapped - 8] = 0x2222_1111_0000_0000;
        Run(cpl: 0, Port, c => c.rep.outsw());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(PF));
            Assert.That(device.Taken, Is.EqualTo(new uint[] { 0x1111, 0x2222 }));
            Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.EqualTo(2));
            Assert.That(machine.State.Gpr[GeneralRegister.Rsi], Is.EqualTo(TestMachine.Mapped));
            Assert.That(machine.Frame(hasErrorCode: true).Rip, Is.EqualTo(TestMachine.KernelCode));
        }
    }

    [TestCase(false, 1, 3ul)]
    [TestCase(false, 2, 6ul)]
    [TestCase(false, 4, 12ul)]
    [TestCase(true, 1, unchecked(0ul - 3))]
    [TestCase(true, 2, unchecked(0ul - 6))]
    [TestCase(true, 4, unchecked(0ul - 12))]
    public void DFTurnsTheDirection(bool down, int width, ulong distance)
    {
        foreach (bool input in (bool[])[true, false])
        {
            machine.State.Gpr[GeneralRegister.Rdi] = Buffer;
            machine.State.Gpr[GeneralRegister.Rsi] = Buffer;
            machine.State.Gpr[GeneralRegister.Rcx] = 3;
            machine.Cpu.Rflags = Rflags.Fixed | (down ? Rflags.DF : 0);
            Run(cpl: 0, Port, c => String(c, input, width));

            Assert.That(machine.State.Gpr[input ? GeneralRegister.Rdi : GeneralRegister.Rsi], Is.EqualTo(Buffer + distance));
            Assert.That(machine.State.Gpr[input ? GeneralRegister.Rsi : GeneralRegister.Rdi], Is.EqualTo(Buffer));
            Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.Zero);
        }

        Assert.That(device.Taken, Has.Count.EqualTo(3));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void A32BitAddressUsesTheLowHalves(bool input)
    {
        const ulong garbage = 0x9999_9999_0000_0000;
        machine.State.Gpr[GeneralRegister.Rdi] = garbage | Buffer;
        machine.State.Gpr[GeneralRegister.Rsi] = garbage | Buffer;
        machine.State.Gpr[GeneralRegister.Rcx] = garbage | 3;
        Run(cpl: 0, Port, c =>
        {
            c.db(0x67);
            String(c, input, 1);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(Done));
            Assert.That(machine.State.Gpr[input ? GeneralRegister.Rdi : GeneralRegister.Rsi], Is.EqualTo(Buffer + 3), "zero-extended");
            Assert.That(machine.State.Gpr[input ? GeneralRegister.Rsi : GeneralRegister.Rdi], Is.EqualTo(garbage | Buffer));
            Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.Zero);
            Assert.That(input ? device.Given : device.Taken.Count, Is.EqualTo(3));
        }
    }

    [Test]
    public void ACountOf0DoesNothing()
    {
        machine.State.Gpr[GeneralRegister.Rcx] = 0;
        machine.State.Gpr[GeneralRegister.Rdi] = TestMachine.NonCanonical;
        Run(cpl: 0, Port, c => c.rep.insd());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(Done));
            Assert.That(device.Given, Is.Zero);
            Assert.That(machine.State.Gpr[GeneralRegister.Rdi], Is.EqualTo(TestMachine.NonCanonical));
        }
    }

    private static IEnumerable<Action<Assembler>> AllForms()
    {
        yield return c => c.@in(al, dx);
        yield return c => c.@out(dx, ax);
        yield return c => c.@in(eax, 0x80);
        yield return c => c.@out(0x80, al);
        yield return c => c.insb();
        yield return c => c.outsd();
        yield return c => c.rep.outsb();
    }

    private static void In(Assembler c, int width)
    {
        switch (width)
        {
            case 1:
                c.@in(al, dx);
                break;
            case 2:
                c.@in(ax, dx);
                break;
            default:
                c.@in(eax, dx);
                break;
        }
    }

    private static void String(Assembler c, bool input, int width)
    {
        if (width == 2)
        {
            c.db(0x66);
        }

        c.db(0xF3, (byte)((input ? 0x6C : 0x6E) + (width == 1 ? 0 : 1)));
    }

    private void UseBitmap(uint limit)
    {
        machine.Machine.WriteMemory(new GuestMemory.Gpa(TestMachine.Tss + 102), BitConverter.GetBytes(Bitmap));
        machine.State.Tr.Limit = limit;
    }

    private void SetByte(uint offset, int value) => machine.Machine.WriteMemory(new GuestMemory.Gpa(TestMachine.Tss + offset), [(byte)value]);

    private void Run(int cpl, ushort port, Action<Assembler> write)
    {
        machine.State.Gpr[GeneralRegister.Rdx] = port;
        if (cpl == 3)
        {
            machine.State.Gpr[GeneralRegister.Rdi] = TestMachine.UserData;
            machine.State.Gpr[GeneralRegister.Rsi] = TestMachine.UserData;
            machine.State.Gpr[GeneralRegister.Rcx] = 1;
            machine.User(Code);
        }
        else
        {
            if (machine.State.Gpr[GeneralRegister.Rdi] == 0)
            {
                machine.State.Gpr[GeneralRegister.Rdi] = Buffer;
                machine.State.Gpr[GeneralRegister.Rsi] = machine.State.Gpr[GeneralRegister.Rsi] == 0 ? Buffer : machine.State.Gpr[GeneralRegister.Rsi];
            }

            machine.Kernel(Code);
        }

        void Code(Assembler c)
        {
            write(c);
            c.ud2();
        }
    }

    private void Expect(bool allowed)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(allowed ? Done : GP));
            Assert.That(machine.Frame(!allowed).ErrorCode, allowed ? Is.Null : Is.Zero);
        }
    }

    /// <summary>Gives the bytes 1, 2, 3 and so on, and remembers what it is given.</summary>
    private sealed class Counter : IPortDevice
    {
        public int PortCount => 8;

        public int MaximumPortWidth => 4;

        public int Given { get; private set; }

        public List<uint> Taken { get; } = [];

        public uint ReadPort(int offset, int width)
        {
            uint value = 0;
            for (int i = 0; i < width; i++)
            {
                value |= (uint)(byte)++Given << (i * 8);
            }

            return value;
        }

        public void WritePort(int offset, int width, uint value) => Taken.Add(value);
    }
}
