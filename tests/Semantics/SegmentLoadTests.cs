using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Every way to load a segment register, against the operation sections of "MOV", "POP" and "LDS/LES/LFS/LGS/LSS" (SDM Vol. 2).</summary>
[TestFixture]
internal sealed class SegmentLoadTests
{
    private const ushort Free = TestMachine.FreeSelector;
    private const int Loads = (int)ExceptionVector.InvalidOpcode;
    private const int NP = (int)ExceptionVector.SegmentNotPresent;
    private const int SS = (int)ExceptionVector.StackFault;
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const ulong FarPointer = TestMachine.UserData + 0x100;
    private const ulong Offset = 0x1234_5678_9ABC_DEF0;

    private static readonly (int Access, int Cpl, int Rpl, int Vector)[] Data =
    [
        (0x93, 0, 0, Loads), (0x93, 0, 3, GP), (0xF3, 0, 3, Loads), (0xF3, 0, 0, Loads), (0x92, 0, 0, Loads), (0x91, 0, 0, Loads),
        (0x99, 0, 0, GP), (0x9B, 0, 0, Loads), (0x9B, 0, 3, GP), (0x9F, 0, 3, Loads), (0x9D, 0, 0, GP), (0x82, 0, 0, GP), (0x8B, 0, 0, GP),
        (0x13, 0, 0, NP), (0x13, 0, 3, GP), (0x19, 0, 0, GP), (0x1F, 0, 3, NP),
        (0x93, 3, 3, GP), (0x93, 3, 0, GP), (0xF3, 3, 3, Loads), (0xF3, 3, 0, Loads), (0xD3, 3, 3, GP), (0x9B, 3, 3, GP), (0x9F, 3, 3, Loads),
        (0xFB, 3, 0, Loads), (0x73, 3, 3, NP),
    ];

    private static readonly (int Access, int Cpl, int Rpl, int Vector)[] Stacks =
    [
        (0x93, 0, 0, Loads), (0x93, 0, 1, GP), (0xF3, 0, 0, GP), (0xF3, 0, 3, GP), (0x91, 0, 0, GP), (0x97, 0, 0, Loads), (0x95, 0, 0, GP),
        (0x9B, 0, 0, GP), (0x9F, 0, 0, GP), (0x82, 0, 0, GP), (0x13, 0, 0, SS), (0x53, 0, 0, GP), (0x11, 0, 0, GP),
        (0xF3, 3, 3, Loads), (0xF3, 3, 0, GP), (0x93, 3, 3, GP), (0xD3, 3, 3, GP), (0x73, 3, 3, SS), (0xFB, 3, 3, GP),
    ];

    private static readonly (int Selector, int Cpl, int Vector, int Error)[] NoDescriptor =
    [
        (0, 0, Loads, 0), (3, 0, Loads, 0), (0, 3, Loads, 0), (3, 3, Loads, 0),
        (0x80, 0, GP, 0x80), (0x83, 3, GP, 0x80), (0xFFFB, 0, GP, 0xFFF8), (0x44, 0, GP, 0x44), (0x07, 3, GP, 0x04),
    ];

    private static readonly (int Selector, int Cpl, int Vector, int Error)[] NoStack =
    [
        (0, 0, Loads, 0), (1, 0, GP, 0), (3, 0, GP, 0), (0, 3, GP, 0), (3, 3, GP, 0), (0x80, 0, GP, 0x80), (0x44, 0, GP, 0x44),
    ];

    private TestMachine machine = null!;

    public enum Form
    {
        MovRegister,
        MovMemory,
        Pop,
        FarPointer16,
        FarPointer32,
        FarPointer64,
    }

    [SetUp]
    public void MakeMachine() => machine = new TestMachine();

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    public static IEnumerable<TestCaseData<int, Form, int, int, int>> Descriptors()
    {
        foreach ((int segment, Form form) in Ways())
        {
            foreach ((int access, int cpl, int rpl, int vector) in segment == SegmentIndex.Ss ? Stacks : Data)
            {
                yield return new TestCaseData<int, Form, int, int, int>(segment, form, access, (cpl << 2) | rpl, vector)
                    .SetArgDisplayNames(Name(segment), $"{form}", $"access byte 0x{access:X2}", $"CPL {cpl} RPL {rpl}", $"vector {vector}");
            }
        }
    }

    public static IEnumerable<TestCaseData<int, Form, int, int, (int Vector, int Error)>> SelectorsWithoutDescriptor()
    {
        foreach ((int segment, Form form) in Ways())
        {
            foreach ((int selector, int cpl, int vector, int error) in segment == SegmentIndex.Ss ? NoStack : NoDescriptor)
            {
                yield return new TestCaseData<int, Form, int, int, (int Vector, int Error)>(segment, form, selector, cpl, (vector, error))
                    .SetArgDisplayNames(Name(segment), $"{form}", $"selector 0x{selector:X}", $"CPL {cpl}", $"vector {vector}", $"0x{error:X}");
            }
        }
    }

    [TestCaseSource(nameof(Descriptors))]
    public void TheDescriptorDecides(int segment, Form form, int access, int privilege, int vector)
    {
        ushort selector = (ushort)(Free | (privilege & 3));
        machine.SetDescriptor(Free, SegmentDescriptors.Of(access, SegmentDescriptors.Default32));
        Load(segment, form, selector, privilege >> 2, vector, Free);

        int accessAfter = (int)(machine[TestMachine.Gdt + Free] >> 40) & 0xFF;
        Assert.That(accessAfter, Is.EqualTo(vector == Loads ? access | 1 : access), "A is set by a load, and only then");
    }

    [TestCaseSource(nameof(SelectorsWithoutDescriptor))]
    public void TheSelectorDecides(int segment, Form form, int selector, int cpl, (int Vector, int Error) outcome) =>
        Load(segment, form, (ushort)selector, cpl, outcome.Vector, outcome.Error);

    [Test]
    public void ALoadTakesBaseAndLimitFromTheDescriptor()
    {
        machine.SetDescriptor(Free, 0x12CF_9334_5678_0000 | 0x9ABC);
        machine.Kernel(c =>
        {
            c.mov(eax, (int)Free);
            c.mov(fs, eax);
        });

        SegmentRegister loaded = machine.State.Segments[SegmentIndex.Fs];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(loaded.Base, Is.EqualTo(0x1234_5678));
            Assert.That(loaded.Limit, Is.EqualTo(0xF9AB_CFFF));
        }
    }

    [TestCase(0x66, 2ul, 0xFFFF_FFFF_FFFF_0023ul)]
    [TestCase(0x90, 8ul, 0x23ul, Description = "the operand is 64 bits: a NOP stands in for the prefix")]
    public void PushOfFsWritesItsOperandSize(int prefix, ulong size, ulong word)
    {
        machine.State.Segments[SegmentIndex.Fs].Selector = 0x23;
        machine[TestMachine.KernelStack - size] = ulong.MaxValue;
        machine.Kernel(c => c.db((byte)prefix, 0x0F, 0xA0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.KernelStack - size));
            Assert.That(machine[TestMachine.KernelStack - size], Is.EqualTo(word));
        }
    }

    [TestCase(0x66, 2ul)]
    [TestCase(0x90, 8ul)]
    public void PopOfGsReleasesItsOperandSize(int prefix, ulong size)
    {
        machine[TestMachine.KernelStack - 16] = 0xFFFF_FFFF_FFFF_0023;
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack - 16;
        machine.Kernel(c => c.db((byte)prefix, 0x0F, 0xA9));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(TestMachine.KernelStack - 16 + size));
            Assert.That(machine.State.Segments[SegmentIndex.Gs].Selector, Is.EqualTo(0x23));
        }
    }

    [TestCase(new byte[] { 0x8E, 0xC8 }, TestName = "MOV to CS")]
    [TestCase(new byte[] { 0x8E, 0xF0 }, TestName = "MOV to segment register 6")]
    [TestCase(new byte[] { 0x8C, 0xF8 }, TestName = "MOV from segment register 7")]
    [TestCase(new byte[] { 0x0F, 0xB4, 0xC3 }, TestName = "LFS from a register")]
    [TestCase(new byte[] { 0x0F, 0xB2, 0xC3 }, TestName = "LSS from a register")]
    [TestCase(new byte[] { 0x1F }, TestName = "POP DS")]
    [TestCase(new byte[] { 0x06 }, TestName = "PUSH ES")]
    public void ThereIsNoSuchInstruction(byte[] code)
    {
        machine.Kernel(c => c.db(code));
        Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
    }

    private static IEnumerable<(int Segment, Form Form)> Ways()
    {
        foreach (int segment in (int[])[SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs, SegmentIndex.Ss])
        {
            yield return (segment, Form.MovRegister);
            yield return (segment, Form.MovMemory);
            if (segment is SegmentIndex.Fs or SegmentIndex.Gs)
            {
                yield return (segment, Form.Pop);
            }

            if (segment is SegmentIndex.Fs or SegmentIndex.Gs or SegmentIndex.Ss)
            {
                yield return (segment, Form.FarPointer16);
                yield return (segment, Form.FarPointer32);
                yield return (segment, Form.FarPointer64);
            }
        }
    }

    private static string Name(int segment) => segment switch
    {
        SegmentIndex.Es => "ES",
        SegmentIndex.Ss => "SS",
        SegmentIndex.Ds => "DS",
        SegmentIndex.Fs => "FS",
        _ => "GS",
    };

    private static AssemblerRegisterSegment Register(int segment) => segment switch
    {
        SegmentIndex.Es => es,
        SegmentIndex.Ss => ss,
        SegmentIndex.Ds => ds,
        SegmentIndex.Fs => fs,
        _ => gs,
    };

    private static int OffsetSize(Form form) => form switch
    {
        Form.FarPointer16 => 2,
        Form.FarPointer32 => 4,
        Form.FarPointer64 => 8,
        _ => 0,
    };

    private static void Write(Assembler c, int segment, Form form)
    {
        byte opcode = segment switch
        {
            SegmentIndex.Ss => 0xB2,
            SegmentIndex.Fs => 0xB4,
            _ => 0xB5,
        };
        switch (form)
        {
            case Form.MovRegister:
                c.mov(Register(segment), eax);
                break;
            case Form.MovMemory:
                c.mov(Register(segment), __word_ptr[FarPointer]);
                break;
            case Form.Pop:
                c.pop(Register(segment));
                break;
            case Form.FarPointer16:
                c.db(0x66, 0x0F, opcode, 0x13);
                break;
            case Form.FarPointer32:
                c.db(0x0F, opcode, 0x13);
                break;
            default:
                c.db(0x48, 0x0F, opcode, 0x13);
                break;
        }
    }

    private void Load(int segment, Form form, ushort selector, int cpl, int vector, int error)
    {
        int size = OffsetSize(form);
        ulong stack = cpl == 3 ? TestMachine.UserStack : TestMachine.KernelStack;
        SegmentRegister before = default;
        machine[FarPointer] = Offset;
        machine[FarPointer + (ulong)size] = 0x5555_5555_5555_0000UL | selector;
        machine.State.Gpr[GeneralRegister.Rdx] = ulong.MaxValue;
        Action<Assembler> code = c =>
        {
            c.mov(eax, 0x7777_0000 | selector);
            c.mov(ebx, (int)FarPointer);
            if (form == Form.Pop)
            {
                c.push(rax);
            }

            before = machine.State.Segments[segment];
            Write(c, segment, form);
            c.ud2();
        };
        if (cpl == 3)
        {
            machine.EnterRing3();
            machine.User(code);
        }
        else
        {
            machine.Kernel(code);
        }

        bool loaded = vector == Loads;
        ExceptionFrameWords frame = machine.Frame(hasErrorCode: !loaded);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(frame.ErrorCode, loaded ? Is.Null : Is.EqualTo((ulong)error));
            Assert.That(frame.Rsp, Is.EqualTo(stack - (form == Form.Pop && !loaded ? 8UL : 0)));
            ulong offset = !loaded || size == 0 ? ulong.MaxValue : size == 2 ? 0xFFFF_FFFF_FFFF_DEF0 : size == 4 ? 0x9ABC_DEF0 : Offset;
            Assert.That(machine.State.Gpr[GeneralRegister.Rdx], Is.EqualTo(offset));
            if (segment == SegmentIndex.Ss)
            {
                Assert.That(frame.Ss, Is.EqualTo(loaded ? selector : (ulong)before.Selector));
            }
            else
            {
                Assert.That(machine.State.Segments[segment].Selector, Is.EqualTo(loaded ? selector : before.Selector));
            }
        }
    }
}
