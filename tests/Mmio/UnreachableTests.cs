using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>
/// Guests on a machine whose hypervisor cannot reach all of guest memory: what the processor does itself goes on, what touches a device ends
/// as it does under KVM (arch/x86/kvm: <c>walk_addr_generic</c>, <c>handle_emulation_failure</c>, <c>emulator_read_write_onepage</c>).
/// </summary>
[TestFixture]
internal sealed class UnreachableTests
{
    /// <summary>Where a device and some RAM are mapped by tables of their own, from the PDPT on.</summary>
    private const ulong Window = 0x80_0000_0000;

    private const ulong WindowRam = Window + 0x1000;
    private const ulong RamFrame = 0x30_0000;
    private const ulong DeviceGpa = 0xE000_0000;
    private const ulong Code = 0x90_0000_0000;
    private const ulong CodeFrame = 0x31_0000;

    private TestMachine machine = null!;
    private FailingPath path = null!;
    private LoggedMemory device = null!;

    private void Make(bool decodeAssist = false)
    {
        machine = new TestMachine(access: slots => path = new FailingPath(slots), decodeAssist: decodeAssist);
        device = new LoggedMemory(0x1000);
        device.Reset();
        machine.Machine.Mmio.Attach(new Gpa(DeviceGpa), device);
        machine.PageTables.Map(new Gva(Window), new Gpa(DeviceGpa), PageSize.Size4K, PageRights.Write | PageRights.User);
        machine.PageTables.Map(new Gva(WindowRam), new Gpa(RamFrame), PageSize.Size4K, PageRights.Write | PageRights.User);
        machine.PageTables.Map(new Gva(Code), new Gpa(CodeFrame), 2 * PageSize.Size4K, PageRights.Write | PageRights.User);
        machine.State.Gpr[GeneralRegister.Rbx] = Window + 0x10;
        machine.Cpu.FlushTlb();
    }

    [TearDown]
    public void DisposeMachine()
    {
        machine?.Dispose();
        machine = null!;
    }

    /// <summary>Where a walk for an address reads its entries: the pages of its tables, from the root down.</summary>
    private List<ulong> Tables(ulong gva)
    {
        List<ulong> pages = [];
        ulong table = machine.State.Cr3;
        for (int shift = 39; shift >= 12; shift -= 9)
        {
            pages.Add(table & 0xF_FFFF_FFFF_F000);
            table = machine[(table & 0xF_FFFF_FFFF_F000) + (((gva >> shift) & 511) * 8)];
        }

        return pages;
    }

    private StopReport Run(byte cpl, Action<Iced.Intel.Assembler> write) => cpl == 0 ? machine.Kernel(write) : machine.User(write);

    [Test]
    public void Row37_A_table_out_of_reach_is_a_page_fault_of_a_page_that_is_not_present(
        [Values((byte)0, (byte)3)] byte cpl, [Values] bool write, [Values(1, 2, 3)] int table)
    {
        Make();
        path.Lose(Tables(Window)[table]);
        Run(cpl, c =>
        {
            c.mov(rcx, Window + 0x1008);
            c.mov(__qword_ptr[rcx], rax);
            if (write)
            {
                c.mov(__dword_ptr[rbx], eax);
            }
            else
            {
                c.mov(eax, __dword_ptr[rbx]);
            }
        });
        ulong expected = (write ? 2ul : 0) | (cpl == 3 ? 4ul : 0);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.PageFault));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo(expected));
            Assert.That(machine.State.Cr2, Is.EqualTo(Window + 0x10), "the store before it, to RAM by the same tables, was the processor's");
            Assert.That(machine.Cpu.PendingFault.Cause.Walk.Failure, Is.EqualTo(WalkFailure.EntryUnreachable));
            Assert.That(machine.Cpu.PendingFault.Cause.Walk.Level, Is.EqualTo(4 - table));
            Assert.That(device.Log, Is.Empty);
            Assert.That(machine.Cpu.Counters.EmulationFailures, Is.Zero, "for KVM this is no failure of emulation");
        }
    }

    [TestCase((byte)0, true, false, 0x10ul)]
    [TestCase((byte)3, true, false, 0x14ul)]
    [TestCase((byte)0, false, false, 0ul)]
    [TestCase((byte)0, false, true, 0x10ul)]
    [TestCase((byte)3, false, false, 4ul)]
    public void Row37_A_table_of_the_code_out_of_reach_is_a_fetch_where_the_processor_says_so(byte cpl, bool nxe, bool smep, ulong expected)
    {
        Make();
        if (smep)
        {
            machine.PageTables.Unmap(new Gva(Code), PageSize.Size4K);
            machine.PageTables.Map(new Gva(Code), new Gpa(CodeFrame), PageSize.Size4K, PageRights.Write);
        }

        machine.State.Msr.Efer = nxe ? machine.State.Msr.Efer | Efer.NXE : machine.State.Msr.Efer & ~Efer.NXE;
        machine.State.Cr4 |= smep ? Cr4.SMEP : 0;
        machine.Cpu.FlushTlb();
        path.Lose(Tables(Code)[3]);
        machine.Machine.WriteMemory(new Gpa(CodeFrame), [0x8B, 0x03]);
        Run(cpl, c =>
        {
            c.mov(rax, Code);
            c.jmp(rax);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.PageFault));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo(expected));
            Assert.That(machine.State.Cr2, Is.EqualTo(Code));
            Assert.That(device.Log, Is.Empty);
        }
    }

    [Test]
    public void Row37_A_flag_that_cannot_be_set_in_a_table_is_the_same_fault()
    {
        Make();
        machine.Kernel(c => c.mov(__dword_ptr[rbx], eax));
        device.Reset();
        ulong entry = Tables(Window)[3] + ((Window >> 12) & 511) * 8;
        machine[entry] &= ~(PageTableEntry.ABit | PageTableEntry.DBit);
        path.Lose(entry);
        path.OnlyWrites = true;
        machine.Kernel(c => c.mov(__dword_ptr[rbx], eax));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.PageFault));
            Assert.That(machine.Frame(hasErrorCode: true).ErrorCode, Is.EqualTo(2ul));
            Assert.That(machine[entry] & (PageTableEntry.ABit | PageTableEntry.DBit), Is.Zero);
            Assert.That(device.Log, Is.Empty);
        }
    }

    /// <summary>What the guest's handler can do: the table comes within reach, and the instruction is run again.</summary>
    [Test]
    public void Row37_A_handler_that_returns_runs_the_instruction_again()
    {
        Make();
        path.Lose(Tables(Window)[3]);
        machine.Place(TestMachine.Handler(14), c =>
        {
            c.add(rsp, 8);
            c.iretq();
        });
        device.Reading = null;
        StopReport stuck = machine.Kernel(c => c.mov(eax, __dword_ptr[rbx]));
        path.Find();
        StopReport done = machine.Machine.Run(100);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stuck.Reason, Is.EqualTo(StopReason.Limit), "it faults again and again, and the limit still holds");
            Assert.That(done.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(device.Log, Is.EqualTo("r4@10=10111213"));
        }
    }

    [Test]
    public void Row38_Code_out_of_reach_at_CPL_0_stops_the_machine_and_then_gives_the_guest_UD()
    {
        Make();
        path.Lose(TestMachine.KernelCode);
        StopReport stop = machine.Kernel(c => c.mov(eax, __dword_ptr[rbx]));
        ulong rip = machine.State.Rip;
        bool queued = machine.Cpu.HasQueuedFault;
        machine.Machine.Run(100);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stop.Reason, Is.EqualTo(StopReason.EmulationFailed));
            Assert.That(stop.Emulation, Is.EqualTo(new EmulationFailure(
                EmulationFailureKind.Fetch, TestMachine.KernelCode, 0, new Gpa(TestMachine.KernelCode), 15, AccessKind.Execute, GuestAccessStatus.Fault)));
            Assert.That(stop.Message, Does.Contain("0x10000").And.Contain("-EFAULT"));
            Assert.That((rip, queued), Is.EqualTo((TestMachine.KernelCode, true)));
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
            Assert.That(machine.Frame(hasErrorCode: false).Rip, Is.EqualTo(TestMachine.KernelCode));
            Assert.That(machine.Cpu.HasQueuedFault, Is.False);
            Assert.That(device.Log, Is.Empty);
            Assert.That(machine.Cpu.Counters.EmulationFailures, Is.EqualTo(1));
        }
    }

    [Test]
    public void Row38_Code_out_of_reach_at_CPL_3_is_UD_for_the_guest_alone()
    {
        Make();
        path.Lose(TestMachine.UserCode);
        StopReport stop = machine.User(c => c.mov(eax, __dword_ptr[rbx]));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stop.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
            Assert.That(machine.Frame(hasErrorCode: false).Rip, Is.EqualTo(TestMachine.UserCode));
            Assert.That(machine.Cpu.Counters.EmulationFailures, Is.EqualTo(1));
            Assert.That(device.Log, Is.Empty);
        }
    }

    [Test]
    public void Row38_A_user_who_brings_the_code_within_reach_has_it_run_again()
    {
        Make();
        path.Lose(TestMachine.KernelCode);
        machine.Kernel(c => c.mov(eax, __dword_ptr[rbx]));
        path.Find();
        machine.Cpu.DropQueuedFault();
        StopReport stop = machine.Machine.Run(100);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stop.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(machine.Handled, Is.Null);
            Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(0x1312_1110ul));
            Assert.That(device.Log, Is.EqualTo("r4@10=10111213"));
        }
    }

    /// <summary>A later fault, of another instruction, is not taken for one of the emulator's.</summary>
    [Test]
    public void Row38_A_fault_of_the_processors_own_stops_nothing()
    {
        Make();
        path.Lose(TestMachine.UserCode);
        machine.Place(TestMachine.Handler(6), c => c.ud2());
        machine.SetGate(6, target: TestMachine.Handler(6));
        StopReport stop = machine.User(c => c.mov(eax, __dword_ptr[rbx]));
        Assert.That(stop.Reason, Is.EqualTo(StopReason.Limit), "#UD upon #UD, at CPL 0, without end");
    }

    [Test]
    public void Row38_With_bytes_from_the_processor_nothing_is_fetched([Values((byte)0, (byte)3)] byte cpl)
    {
        Make(decodeAssist: true);
        ulong code = cpl == 0 ? TestMachine.KernelCode : TestMachine.UserCode;
        path.Lose(code);
        path.Pages.Clear();
        Run(cpl, c =>
        {
            c.add(__dword_ptr[rbx], ecx);
            c.cli();
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, cpl == 0 ? Is.Null : Is.EqualTo((int)ExceptionVector.GeneralProtection));
            Assert.That(device.Log, Is.EqualTo("r4@10=10111213 w4@10=10111213"));
            Assert.That(path.Pages, Is.EquivalentTo([.. Tables(Window), DeviceGpa]), "the walk for the operand, and no walk for the code");
        }
    }

    [Test]
    public void Row38_With_bytes_from_the_processor_an_instruction_may_cross_a_page([Range(1, 10)] int before)
    {
        Make(decodeAssist: true);
        byte[] store = EmulatedGuest.Assemble(c => c.mov(__qword_ptr[rbx + 0x12345678], 0x11223344));
        machine.Machine.WriteMemory(new Gpa(CodeFrame + 0x1000 - (ulong)before), [.. store, 0xF4]);
        machine.State.Gpr[GeneralRegister.Rbx] = unchecked(Window + 0x10 - 0x12345678);
        path.Lose(CodeFrame, 0x2000);
        machine.State.Rip = Code + 0x1000 - (ulong)before;
        StopReport stop = machine.Machine.Run(100);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stop.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(device.Log, Is.EqualTo("w8@10=4433221100000000"));
        }
    }

    [Test]
    public void AnOperandOutOfReachStopsTheMachineBeforeTheInstruction([Values] bool write)
    {
        Make();
        path.Lose(RamFrame);
        machine.State.Gpr[write ? GeneralRegister.Rdi : GeneralRegister.Rsi] = WindowRam + 8;
        machine.State.Gpr[write ? GeneralRegister.Rsi : GeneralRegister.Rdi] = Window + 0x20;
        machine[RamFrame + 8] = 0x1122_3344_5566_7788;
        StopReport stop = machine.Kernel(c => c.movsq());
        string log = device.Log;
        ulong rip = machine.State.Rip, rsi = machine.State.Gpr[GeneralRegister.Rsi], instructions = machine.Cpu.Counters.Instructions;
        path.Find();
        StopReport done = machine.Machine.Run(100);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stop.Reason, Is.EqualTo(StopReason.MemoryUnreachable));
            Assert.That(stop.Emulation, Is.EqualTo(new EmulationFailure(
                EmulationFailureKind.Memory, TestMachine.KernelCode, 0, new Gpa(RamFrame + 8), 8, write ? AccessKind.Write : AccessKind.Read, GuestAccessStatus.Fault)));
            Assert.That((rip, rsi, instructions), Is.EqualTo((TestMachine.KernelCode, (write ? Window + 0x20 : WindowRam + 8), 0ul)));
            Assert.That(log, Is.EqualTo(write ? "r8@20=2021222324252627" : ""));
            Assert.That(done.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(device.Log, Is.EqualTo(write ? log : "w8@20=8877665544332211"), "a device that was read is not read again");
            Assert.That(machine[RamFrame + 8], Is.EqualTo(write ? 0x2726_2524_2322_2120 : 0x1122_3344_5566_7788));
            Assert.That(machine.Cpu.Counters.Instructions, Is.EqualTo(2));
        }
    }

    /// <summary>KVM makes an MMIO exit of it: whoever is there to answer sees the guest-physical address.</summary>
    [Test]
    public void AUserMayAnswerForMemoryOutOfReach()
    {
        Make();
        path.Lose(RamFrame);
        LoggedMemory user = new(0x40_0000);
        user.Reset();
        machine.Machine.Mmio.UnreachableMemory = user;
        machine.State.Gpr[GeneralRegister.Rsi] = WindowRam + 8;
        machine.State.Gpr[GeneralRegister.Rdi] = Window + 0x20;
        machine.State.Gpr[GeneralRegister.Rcx] = 2;
        StopReport stop = machine.Kernel(c =>
        {
            c.rep.movsw();
            c.xchg(rsi, rdi);
            c.movsw();
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stop.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(user.Log, Is.EqualTo("r2@300008=0809 r2@30000a=0a0b w2@30000c=2425"));
            Assert.That(device.Log, Is.EqualTo("w2@20=0809 w2@22=0a0b r2@24=2425"));
        }
    }

    /// <summary>An instruction half in RAM out of reach and half on a device: neither half has happened, and no register has changed.</summary>
    [Test]
    public void AnInstructionAcrossTheBorderHasNotHappened([Values] bool onlyWrites)
    {
        Make();
        machine.PageTables.Unmap(new Gva(WindowRam), PageSize.Size4K);
        machine.PageTables.Map(new Gva(WindowRam), new Gpa(RamFrame), PageSize.Size4K, PageRights.Write);
        machine.Cpu.FlushTlb();
        path.Lose(RamFrame);
        path.OnlyWrites = onlyWrites;
        machine[RamFrame] = 0x8887_8685_8483_8281;
        machine.State.Gpr[GeneralRegister.Rbx] = WindowRam - 2;
        machine.State.Gpr[GeneralRegister.Rcx] = 0x0101_0101;
        StopReport stop = machine.Kernel(c => c.@lock.xadd(__[rbx], ecx));
        (ulong Rcx, ulong Flags, ulong Ram) before = (machine.State.Gpr[GeneralRegister.Rcx], machine.Cpu.Rflags, machine[RamFrame]);
        string log = device.Log;
        path.Find();
        StopReport done = machine.Machine.Run(100);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stop.Reason, Is.EqualTo(StopReason.MemoryUnreachable));
            Assert.That(before, Is.EqualTo((0x0101_0101ul, Rflags.Fixed, 0x8887_8685_8483_8281)));
            Assert.That(log, Is.EqualTo("r2@ffe=feff"));
            Assert.That(done.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(device.Log, Is.EqualTo("r2@ffe=feff w2@ffe=ff00"));
            Assert.That(machine[RamFrame], Is.EqualTo(0x8887_8685_8483_8383));
            Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.EqualTo(0x8281_FFFE));
        }
    }
}
