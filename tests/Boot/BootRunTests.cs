using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Tiny programs from their entry to their end.</summary>
[TestFixture]
public sealed class BootRunTests
{
    private const ulong Base = 0x40_0000;
    private const ulong Limit = 1_000_000;
    private const ulong Unmapped = 0x50_0000;

    [TestCase(0u, StopReason.Halted, 0u)]
    [TestCase(1u, StopReason.Exit, 3u)]
    [TestCase(21u, StopReason.Exit, 43u)]
    [TestCase(0x8000_0000u, StopReason.Exit, 1u)]
    public void Returning_from_the_entry_ends_the_run_with_EAX(uint value, StopReason reason, uint status)
    {
        StopReport report = Run(0, c =>
        {
            c.mov(eax, value);
            c.ret();
        });

        Assert.That((report.Reason, report.Status), Is.EqualTo((reason, (uint?)status)));
    }

    [TestCase(60u, 0u, StopReason.Halted, 0u)]
    [TestCase(60u, 7u, StopReason.Exit, 15u)]
    [TestCase(231u, 0u, StopReason.Halted, 0u)]
    [TestCase(231u, 7u, StopReason.Exit, 15u)]
    public void A_process_ends_with_exit(uint number, uint value, StopReason reason, uint status)
    {
        StopReport report = Run(3, c =>
        {
            c.mov(eax, number);
            c.mov(edi, value);
            c.syscall();
        });

        Assert.That((report.Reason, report.Status), Is.EqualTo((reason, (uint?)status)));
    }

    [TestCase(1u, 1u, Base, 4ul, 4L, "ABCD", Description = "write to standard output")]
    [TestCase(1u, 2u, Base, 4ul, 4L, "ABCD", Description = "write to standard error")]
    [TestCase(1u, 1u, Base, 0ul, 0L, "")]
    [TestCase(1u, 1u, Unmapped, 0ul, 0L, "", Description = "nothing is read")]
    [TestCase(1u, 0u, Base, 4ul, -9L, "", Description = "EBADF")]
    [TestCase(1u, 3u, Base, 4ul, -9L, "")]
    [TestCase(1u, 1u, Unmapped, 4ul, -14L, "", Description = "EFAULT")]
    [TestCase(1u, 1u, Base + 0xffe, 4ul, 2L, "YZ", Description = "the buffer runs into an unmapped page")]
    [TestCase(1u, 1u, 0xffff_8880_0000_0000, 16ul, -14L, "", Description = "the direct map")]
    [TestCase(1u, 1u, 0xffff_ffff_ff00_0000, 16ul, -14L, "")]
    [TestCase(1u, 1u, 0x7fff_ffff_f000ul, 16ul, -14L, "")]
    [TestCase(1u, 1u, 0x7fff_ffff_fff0ul, 17ul, -14L, "")]
    [TestCase(1u, 1u, 0x8000_0000_0000ul, 16ul, -14L, "", Description = "not canonical")]
    [TestCase(1u, 1u, Base, ulong.MaxValue, -14L, "", Description = "the length wraps")]
    [TestCase(0u, 1u, Base, 4ul, -38L, "", Description = "ENOSYS")]
    [TestCase(9999u, 1u, Base, 4ul, -38L, "")]
    public void A_system_call_returns_as_Linux_would(uint number, uint descriptor, ulong buffer, ulong length, long result, string printed)
    {
        using BootedMachine booted = Assemble(3, c =>
        {
            c.mov(eax, number);
            c.mov(edi, descriptor);
            c.mov(rsi, buffer);
            c.mov(rdx, length);
            c.mov(ebx, 0xb);
            c.stc();
            c.syscall();
            c.nop();
            c.ud2();
        });
        StopReport report = booted.Machine.Run(Limit);
        CpuState cpu = booted.Machine.Cpu.State;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.TripleFault));
            Assert.That(report.Message, Does.Contain("#UD"));
            Assert.That((long)cpu.Gpr[GeneralRegister.Rax], Is.EqualTo(result));
            Assert.That(booted.Console, Is.EqualTo(printed));
            Assert.That(cpu.Cpl, Is.EqualTo(3));
            Assert.That(cpu.Gpr[GeneralRegister.Rdi], Is.EqualTo(descriptor));
            Assert.That(cpu.Gpr[GeneralRegister.Rsi], Is.EqualTo(buffer));
            Assert.That(cpu.Gpr[GeneralRegister.Rdx], Is.EqualTo(length));
            Assert.That(cpu.Gpr[GeneralRegister.Rbx], Is.EqualTo(0xb));
            Assert.That(cpu.Gpr[GeneralRegister.Rsp], Is.EqualTo(booted.Layout.StackPointer.Value));
            Assert.That(booted.Machine.Cpu.Rflags & Rflags.Writable, Is.EqualTo(Rflags.CF));
            Assert.That((cpu.Idtr.Base, cpu.Idtr.Limit), Is.EqualTo((0UL, (ushort)0)));
        }
    }

    [TestCase(0)]
    [TestCase(3)]
    public void A_fault_of_the_image_shuts_down_with_itself_as_the_first_cause(int ring)
    {
        StopReport report = Run(ring, c =>
        {
            if (ring == 3)
            {
                c.mov(eax, 1);
                c.mov(edi, 1);
                c.mov(rsi, Unmapped);
                c.mov(edx, 1);
                c.syscall();
            }

            c.mov(rbx, 0xbad_add7_e550);
            c.mov(rax, __qword_ptr[rbx]);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.TripleFault));
            Assert.That(report.Message!.Split('\n')[1], Does.Contain("#PF").And.Contain("0xbadadd7e550"));
        }
    }

    [Test]
    public void A_process_cannot_reach_the_supervisor([Values(0xffff_8880_0000_0000, 0xffff_ffff_ff00_0000, 0xffff_ffff_ff00_2000)] ulong address)
    {
        StopReport report = Run(3, c =>
        {
            c.mov(rbx, address);
            c.mov(rax, __qword_ptr[rbx]);
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.TripleFault));
            Assert.That(report.Message, Does.Contain($"0x{address:x}"));
        }
    }

    [Test]
    public void Running_off_the_stack_meets_the_guard_page()
    {
        using BootedMachine booted = Assemble(0, c =>
        {
            Label again = c.CreateLabel();
            c.Label(ref again);
            c.push(rax);
            c.jmp(again);
        });
        StopReport report = booted.Machine.Run(Limit);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.TripleFault));
            Assert.That(booted.Machine.Cpu.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(0xffff_ffff_ff10_0000));
        }
    }

    private static StopReport Run(int ring, Action<Assembler> program)
    {
        using BootedMachine booted = Assemble(ring, program);
        return booted.Machine.Run(Limit);
    }

    // One page: the text ABCD, the program at 0x10, and YZ in the last two bytes.
    private static BootedMachine Assemble(int ring, Action<Assembler> program)
    {
        const ulong entry = Base + 0x10;
        var assembler = new Assembler(64);
        program(assembler);
        using var code = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(code), entry);
        byte[] page = new byte[PageSize.Size4K];
        "ABCD"u8.CopyTo(page);
        code.ToArray().CopyTo(page, 0x10);
        "YZ"u8.CopyTo(page.AsSpan(0xffe));
        return new BootedMachine(ram => FlatImage.Create(page, new Gva(Base), ram, new Gva(entry), ring));
    }
}
