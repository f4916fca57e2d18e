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
    private const int Rbx = GeneralRegister.Rbx, Rsp = GeneralRegister.Rsp, Rbp = GeneralRegister.Rbp;

    /// <summary>Instructions with what they reach on the stack, and by RBX.</summary>
    private static readonly StackCase[] StackInstructions =
    [
        new("push rax", [0x50], [W(Rsp, -8)]), new("push ax", [0x66, 0x50], [W(Rsp, -2, 2)]), new("push imm8", [0x6A, 0x81], [W(Rsp, -8)]),
        new("push imm32", [0x68, 1, 2, 3, 4], [W(Rsp, -8)]), new("push [rbx]", [0xFF, 0x33], [R(Rbx, 0), W(Rsp, -8)]),
        new("push [rsp]", [0xFF, 0x34, 0x24], [R(Rsp, 0), W(Rsp, -8)]), new("pushfq", [0x9C], [W(Rsp, -8)]), new("pop rax", [0x58], [R(Rsp, 0)]),
        new("pop rsp", [0x5C], [R(Rsp, 0)]), new("pop ax", [0x66, 0x58], [R(Rsp, 0, 2)]), new("pop [rbx]", [0x8F, 0x03], [R(Rsp, 0), W(Rbx, 0)]),
        new("pop [rsp+8]", [0x8F, 0x44, 0x24, 0x08], [R(Rsp, 0), W(Rsp, 16)]), new("popfq", [0x9D], [R(Rsp, 0)]), new("popf", [0x66, 0x9D], [R(Rsp, 0, 2)]),
        new("call", [0xE8, 0, 0, 0, 0], [W(Rsp, -8)]), new("call [rbx]", [0xFF, 0x13], [R(Rbx, 0), W(Rsp, -8)]), new("call rdx", [0xFF, 0xD2], [W(Rsp, -8)]),
        new("ret", [0xC3], [R(Rsp, 0)]), new("ret 16", [0xC2, 16, 0], [R(Rsp, 0)]), new("leave", [0xC9], [R(Rbp, 0)]), new("jmp [rsp]", [0xFF, 0x24, 0x24], [R(Rsp, 0)]),
        new("enter 32, 0", [0xC8, 32, 0, 0], Enter(32, 0, 8)), new("enter 0, 1", [0xC8, 0, 0, 1], Enter(0, 1, 8)), new("enter 64, 9", [0xC8, 64, 0, 9], Enter(64, 9, 8)),
        new("enter 5000, 31", [0xC8, 0x88, 0x13, 31], Enter(5000, 31, 8)), new("enterw 8, 5", [0x66, 0xC8, 8, 0, 5], Enter(8, 5, 2)),
    ];

    private static IEnumerable<TestCaseData> Stacks() => StackInstructions.Select(instruction => new TestCaseData(instruction).SetArgDisplayNames(instruction.Name));

    [TestCaseSource(nameof(Stacks))]
    public void StackInstructionsAreAllOrNothing(StackCase instruction)
    {
        int faults = 0, retired = 0;
        foreach ((bool lowMissing, bool readOnly) in ((bool, bool)[])[(false, false), (false, true), (true, false), (true, true)])
        {
            using PagedGuest guest = Make(instruction.Bytes, lowMissing, readOnly);
            for (int offset = -300; offset < 300; offset++)
            {
                HostState before = State(offset);
                bool mustFault = instruction.Accesses.Any(access => (access.Writes || !readOnly) && access.Reaches(before, lowMissing ? Low : High));
                string what = $"offset {offset}, low {lowMissing}, read-only {readOnly}";
                bool faulted = RunsOrChangesNothing(guest, before, what);
                Assert.That(faulted, Is.EqualTo(mustFault), what);
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

    [TestCaseSource(typeof(InstructionFamilies), nameof(InstructionFamilies.OnGeneralRegisters))]
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
        InstructionInfoFactory infos = new();
        foreach (InstructionForm form in InstructionForms.Of(family, new FormOptions()))
        {
            if (!ReachesItsOperandOnly(form.Instruction) || !states.TryNext(form, out HostState before)
                || !Straddle.TryMove(host, form, before: 1, ref before))
            {
                continue;
            }

            tried++;
            bool writes = WritesMemory(infos, form.Instruction);
            guest.Machine.WriteMemory(new(CodeFrame), [.. form.Bytes, Hlt]);
            foreach (bool readOnly in (bool[])[false, true])
            {
                memory.Protect(2, readOnly ? PageRights.None : null);
                memory.Fill();
                GuestRegisters.Set(guest.Cpu, before);
                guest.Start(CodeAddress);
                BlockExit exit = guest.RunBlock();
                if (readOnly && !writes)
                {
                    Assert.That(exit, Is.EqualTo(BlockExit.Halt), $"{form.Instruction} only reads");
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

    /// <summary>Whether a memory operand is written; CMPXCHG writes also where the comparison fails (SDM Vol. 2A).</summary>
    private static bool WritesMemory(InstructionInfoFactory infos, in Instruction instruction)
    {
        InstructionInfo info = infos.GetInfo(instruction);
        for (int operand = 0; operand < instruction.OpCount; operand++)
        {
            bool memory = instruction.GetOpKind(operand) is OpKind.Memory or OpKind.MemoryESRDI or OpKind.MemoryESEDI;
            if (memory && info.GetOpAccess(operand) is (OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite))
            {
                return true;
            }
        }

        return false;
    }

    private static StackAccess R(int register, int offset, int size = 8) => new(register, offset, size, Writes: false);

    private static StackAccess W(int register, int offset, int size = 8) => new(register, offset, size, Writes: true);

    /// <summary>SDM Vol. 2A, "ENTER": RBP, the outer frames' pointers, this one's, and a write at the final RSP as a probe.</summary>
    private static StackAccess[] Enter(int bytes, int depth, int size)
    {
        List<StackAccess> accesses = [W(Rsp, -size, size)];
        for (int i = 1; i < depth; i++)
        {
            accesses.Add(R(Rbp, -size * i, size));
            accesses.Add(W(Rsp, -size * (i + 1), size));
        }

        if (depth != 0)
        {
            accesses.Add(W(Rsp, -size * (depth + 1), size));
        }

        return [.. accesses, W(Rsp, (-size * (depth + 1)) - bytes, 1)];
    }

    private static bool ReachesItsOperandOnly(in Instruction instruction) =>
        instruction.MemorySize.GetSize() > 1 && !instruction.HasRepPrefix && !instruction.HasRepnePrefix && instruction.Mnemonic != Mnemonic.Nop
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

    /// <summary>An instruction and every access that it makes.</summary>
    public sealed record StackCase(string Name, byte[] Bytes, StackAccess[] Accesses);

    /// <summary>An access at an offset from a register's value before the instruction.</summary>
    public readonly record struct StackAccess(int Register, int Offset, int Size, bool Writes)
    {
        /// <summary>Whether a byte of it lies in a page.</summary>
        public bool Reaches(in HostState state, ulong page)
        {
            ulong first = state.Gpr[Register] + (ulong)Offset;
            return first < page + 0x1000 && first + (ulong)Size > page;
        }
    }
}
