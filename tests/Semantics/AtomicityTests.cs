using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>An instruction whose memory operand faults has changed nothing.</summary>
[TestFixture]
public sealed class AtomicityTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong CodeFrame = 0x20_0000;
    private const ulong Low = 0x50_0000, High = Low + 0x1000;
    private const ulong LowFrame = 0x10_0000, HighFrame = 0x12_0000;
    private const byte Hlt = 0xF4;

    private static readonly (string Name, byte[] Bytes)[] StackInstructions =
    [
        ("push rax", [0x50]), ("push ax", [0x66, 0x50]), ("push imm8", [0x6A, 0x81]), ("push imm32", [0x68, 1, 2, 3, 4]), ("push [rbx]", [0xFF, 0x33]),
        ("push [rsp]", [0xFF, 0x34, 0x24]), ("pushfq", [0x9C]), ("pop rax", [0x58]), ("pop rsp", [0x5C]), ("pop ax", [0x66, 0x58]), ("pop [rbx]", [0x8F, 0x03]),
        ("pop [rsp+8]", [0x8F, 0x44, 0x24, 0x08]), ("popfq", [0x9D]), ("popf", [0x66, 0x9D]), ("call", [0xE8, 0, 0, 0, 0]), ("call [rbx]", [0xFF, 0x13]), ("call rdx", [0xFF, 0xD2]),
        ("ret", [0xC3]), ("ret 16", [0xC2, 16, 0]), ("leave", [0xC9]), ("enter 32, 0", [0xC8, 32, 0, 0]), ("enter 0, 1", [0xC8, 0, 0, 1]), ("enter 64, 9", [0xC8, 64, 0, 9]),
        ("enter 5000, 31", [0xC8, 0x88, 0x13, 31]), ("enterw 8, 5", [0x66, 0xC8, 8, 0, 5]), ("jmp [rsp]", [0xFF, 0x24, 0x24]),
    ];

    private static IEnumerable<TestCaseData> Stacks() =>
        StackInstructions.Select(instruction => new TestCaseData(instruction.Bytes).SetArgDisplayNames(instruction.Name));

    [TestCaseSource(nameof(Stacks))]
    public void StackInstructionsAreAllOrNothing(byte[] bytes)
    {
        int faults = 0, retired = 0;
        foreach ((bool lowMissing, bool readOnly) in ((bool, bool)[])[(false, false), (false, true), (true, false), (true, true)])
        {
            using PagedGuest guest = Make(bytes, lowMissing, readOnly);
            for (int offset = -300; offset < 300; offset += 3)
            {
                HostState before = State(offset);
                bool faulted = RunsOrChangesNothing(guest, before, $"offset {offset}, low {lowMissing}, read-only {readOnly}");
                faults += faulted ? 1 : 0;
                retired += faulted ? 0 : 1;
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(faults, Is.GreaterThan(20));
            Assert.That(retired, Is.GreaterThan(20));
        }
    }

    [TestCaseSource(typeof(IntegerTests), nameof(IntegerTests.Families))]
    public void OperandsThatReachAMissingPageChangeNothing(InstructionFamily family)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        PagedMemory memory = new(guest, host);
        ulong page = host.ScratchAddress + 0x2000;
        FormStates states = new(host, new OperandSource(37));
        byte[] contents = new byte[HostProcessor.ScratchSize];
        int tried = 0, faults = 0;
        foreach (InstructionForm form in InstructionForms.Of(family, new FormOptions()).Where(IntegerTests.IsEmulated))
        {
            if (!ReachesItsOperandOnly(form.Instruction) || !states.TryNext(form, out HostState before)
                || !Straddle.TryMove(host, form, before: 1, ref before))
            {
                continue;
            }

            tried++;
            guest.Machine.WriteMemory(new(CodeFrame), [.. form.Bytes, Hlt]);
            foreach (bool readOnly in (bool[])[false, true])
            {
                memory.Protect(2, readOnly ? PageRights.None : null);
                memory.Fill();
                GuestRegisters.Set(guest.Cpu, before);
                guest.Start(CodeAddress);
                BlockExit exit = guest.RunBlock();
                if (exit == BlockExit.Halt && (readOnly || form.Instruction.IsStringInstruction))
                {
                    continue;
                }

                HostState after = before;
                GuestRegisters.Get(guest.Cpu, ref after);
                memory.CopyTo(contents);
                faults++;
                using (Assert.EnterMultipleScope())
                {
                    Assert.That(exit, Is.EqualTo(BlockExit.Fault), $"{form.Instruction}");
                    Assert.That(guest.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.PageFault), $"{form.Instruction}");
                    Assert.That(guest.Cpu.PendingFault.Address.Value, Is.EqualTo(page), $"{form.Instruction}");
                    Assert.That(guest.Cpu.PendingFault.ErrorCode & 1, Is.EqualTo(readOnly ? 1u : 0u), $"{form.Instruction}");
                    Assert.That(guest.Cpu.State.Rip, Is.EqualTo(CodeAddress), $"{form.Instruction}");
                    Assert.That(GuestRegisters.Same(after, before), $"{form.Instruction}");
                    Assert.That(contents.AsSpan().SequenceEqual(host.Scratch), $"{form.Instruction}");
                }
            }
        }

        Assert.That(faults, Is.GreaterThanOrEqualTo(tried * 3 / 4));
    }

    private static bool ReachesItsOperandOnly(in Instruction instruction) =>
        !instruction.HasRepPrefix && !instruction.HasRepnePrefix && instruction.Mnemonic != Mnemonic.Nop
        && !(instruction.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc && instruction.Op1Kind == OpKind.Register);

    private static PagedGuest Make(byte[] bytes, bool lowMissing, bool readOnly)
    {
        PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        guest.Machine.WriteMemory(new(CodeFrame), [.. bytes, Hlt]);
        guest.Map(Low - 0x2000, LowFrame - 0x2000, length: 0x2000);
        (ulong kept, ulong keptFrame, ulong spoilt, ulong spoiltFrame) = lowMissing ? (High, HighFrame, Low, LowFrame) : (Low, LowFrame, High, HighFrame);
        guest.Map(kept, keptFrame);
        if (readOnly)
        {
            guest.Map(spoilt, spoiltFrame, PageRights.None);
        }

        return guest;
    }

    private static HostState State(int offset)
    {
        HostState state = new() { Rflags = 0x8D7 };
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = 0x1111_2222_3333_4444ul * (ulong)i;
        }

        state.Gpr[2] = CodeAddress;
        state.Gpr[3] = High + (ulong)(offset / 2);
        state.Gpr[4] = High + (ulong)offset;
        state.Gpr[5] = High + (ulong)(offset / 3);
        return state;
    }

    private static bool RunsOrChangesNothing(PagedGuest guest, in HostState before, string what)
    {
        guest.Cpu.FlushTlb();
        guest.Ram(LowFrame, 0x1000).Clear();
        guest.Ram(HighFrame, 0x1000).Clear();
        GuestRegisters.Set(guest.Cpu, before);
        guest.Start(CodeAddress);
        BlockExit exit = guest.RunBlock(slice: 1, BlockMode.Single);
        if (exit == BlockExit.Branch)
        {
            return false;
        }

        HostState after = before;
        GuestRegisters.Get(guest.Cpu, ref after);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Fault), what);
            Assert.That(guest.Cpu.State.Rip, Is.EqualTo(CodeAddress), what);
            Assert.That(guest.Retired, Is.Zero, what);
            Assert.That(GuestRegisters.Same(after, before), what);
            Assert.That(guest.Ram(LowFrame, 0x1000).IndexOfAnyExcept((byte)0), Is.EqualTo(-1), what);
            Assert.That(guest.Ram(HighFrame, 0x1000).IndexOfAnyExcept((byte)0), Is.EqualTo(-1), what);
        }

        return true;
    }
}
