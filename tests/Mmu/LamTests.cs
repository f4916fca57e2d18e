using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Linear-address masking: which pointers may carry metadata, and that nothing else may (SDM Vol. 3A, chapter 4).</summary>
[TestFixture]
internal sealed class LamTests
{
    private const int GP = 13, PF = 14, DB = 1;
    private const ulong Value = 0x1122_3344_5566_7788;
    private const ulong Tag48 = 0x2AAA_0000_0000_0000, Tag57 = 0x5400_0000_0000_0000;
    private const ulong Upper = 0xFFFF_8000_0000_0000;

    private static readonly WalkAccess Read = new(AccessKind.Read, User: false);

    // CR3 and CR4 as letters: 7 LAM_U57, 4 LAM_U48, s LAM_SUP, 5 LA57. The address, what is left of it, and whether that is canonical.
    [TestCase("", 0x2AAA_0000_1234_5678UL, 0x2AAA_0000_1234_5678UL, false)]
    [TestCase("4", 0x2AAA_0000_1234_5678UL, 0x0000_0000_1234_5678UL, true)]
    [TestCase("4", 0x7FFF_7FFF_FFFF_FFFFUL, 0x0000_7FFF_FFFF_FFFFUL, true)]
    [TestCase("4", 0x0000_8000_0000_0000UL, 0x7FFF_8000_0000_0000UL, false)]
    [TestCase("7", 0x5400_0000_1234_5678UL, 0x0000_0000_1234_5678UL, true)]
    [TestCase("7", 0x7E00_7FFF_FFFF_FFFFUL, 0x0000_7FFF_FFFF_FFFFUL, true)]
    [TestCase("7", 0x0001_0000_0000_0000UL, 0x0001_0000_0000_0000UL, false)]
    [TestCase("7", 0x0100_0000_0000_0000UL, 0x7F00_0000_0000_0000UL, false)]
    [TestCase("74", 0x5400_0000_1234_5678UL, 0x0000_0000_1234_5678UL, true)]
    [TestCase("74", 0x0001_0000_0000_0000UL, 0x0001_0000_0000_0000UL, false)]
    [TestCase("74", 0xD555_8000_1234_5678UL, 0xD555_8000_1234_5678UL, false)]
    [TestCase("s", 0x5400_0000_1234_5678UL, 0x5400_0000_1234_5678UL, false)]
    [TestCase("s", 0xD555_8000_1234_5678UL, 0xFFFF_8000_1234_5678UL, true)]
    [TestCase("s", 0x8000_7FFF_FFFF_FFFFUL, 0x8000_7FFF_FFFF_FFFFUL, false)]
    [TestCase("s5", 0x8100_8000_1234_5678UL, 0xFF00_8000_1234_5678UL, true)]
    [TestCase("s5", 0x8000_8000_1234_5678UL, 0x8000_8000_1234_5678UL, false)]
    [TestCase("75", 0x7E12_8000_1234_5678UL, 0x0012_8000_1234_5678UL, true)]
    [TestCase("75", 0x7F12_8000_1234_5678UL, 0x7F12_8000_1234_5678UL, false)]
    [TestCase("45", 0x7E12_7000_1234_5678UL, 0x0000_7000_1234_5678UL, true)]
    [TestCase("45", 0x0000_8000_1234_5678UL, 0x7FFF_8000_1234_5678UL, false)]
    [TestCase("5", 0x7E12_8000_1234_5678UL, 0x7E12_8000_1234_5678UL, false)]
    public void AnAddressLosesItsMetadata(string bits, ulong tagged, ulong expected, bool canonical)
    {
        PagingState state = StateOf(bits);
        SparseTables nothing = new(1);
        NoWalkObserver nobody = default;
        foreach (bool user in (bool[])[false, true])
        {
            foreach (AccessKind kind in Enum.GetValues<AccessKind>())
            {
                foreach (bool isImplicit in (bool[])[false, true])
                {
                    WalkAccess access = new(kind, user, isImplicit);
                    bool masks = kind != AccessKind.Execute && !isImplicit;
                    WalkResult result = PageWalker.Walk(ref nothing, state, new Gva(tagged), access, ref nobody);
                    Assert.That(state.Untag(new Gva(tagged), access).Value, Is.EqualTo(masks ? expected : tagged), $"{access}");
                    bool passes = masks ? canonical : (long)tagged >> 47 is 0 or -1 || (bits.Contains('5') && (long)tagged >> 56 is 0 or -1);
                    Assert.That(result.Failure, Is.EqualTo(passes ? WalkFailure.EntryUnreachable : WalkFailure.NonCanonical), $"{access}");
                }
            }
        }
    }

    [Test]
    public void OutsideIa32eModeNothingIsMasked()
    {
        PagingState pae = StateOf("74s5") with { Efer = 0 };
        Assert.That(pae.Untag(new Gva(Tag48 | 0x1234), Read).Value, Is.EqualTo(Tag48 | 0x1234));
        Assert.That(pae.MaskingBit(new Gva(0x1234), Read), Is.EqualTo(-1));
    }

    /// <summary>What a walk fails with names the bits that have to be equal.</summary>
    [TestCase("4", 0x0000_8000_0000_0000UL, "bits 63 and 47 are not equal; LAM ignores only those between.")]
    [TestCase("7", 0x0001_0000_0000_0000UL, "bits 63 and 56:47 are not all equal; LAM ignores only bits 62:57.")]
    [TestCase("75", 0x0100_0000_0000_0000UL, "bits 63 and 56 are not equal; LAM ignores only those between.")]
    [TestCase("s", 0x0100_0000_0000_0000UL, "bits 63:47 are not all equal.")]
    [TestCase("s5", 0x0100_0000_0000_0000UL, "bits 63:56 are not all equal.")]
    public void AFailureNamesTheBits(string bits, ulong address, string expected) => Assert.That(
        WalkDescription.Describe(new WalkResult { Failure = WalkFailure.NonCanonical }, new Gva(address), Read, StateOf(bits)),
        Is.EqualTo($"0x{address:x} is not canonical: {expected}"));

    /// <summary>Reads, writes, read-modify-writes, pushes and string moves through tagged pointers, from the TLB and from walks.</summary>
    [TestCase("4", Tag48)]
    [TestCase("7", Tag57)]
    [TestCase("s", Tag48)]
    public void CodeReachesMemoryThroughTaggedPointers(string bits, ulong tag)
    {
        using TestMachine machine = Make(bits);
        ulong half = bits == "s" ? Upper : 0;
        ulong tagged = half ^ tag;
        machine[TestMachine.UserData] = Value;
        machine.State.Gpr[GeneralRegister.Rbx] = (half + TestMachine.UserData) ^ tag;
        machine.State.Gpr[GeneralRegister.Rcx] = half + TestMachine.UserData;
        machine.Kernel(c =>
        {
            c.mov(rax, __qword_ptr[rbx]);
            c.mov(__qword_ptr[rbx + 8], rax);
            c.add(__qword_ptr[rbx + 8], 1);
            c.mov(rdx, __qword_ptr[rcx + 8]);
            c.mov(r8, __qword_ptr[rbx + 4094]);
            c.mov(rsi, rbx);
            c.mov(rdi, rcx);
            c.add(rdi, 16);
            c.movsq();
            c.mov(r9, __qword_ptr[rbx + 16]);
            c.mov(r10, rsp);
            c.lea(rsp, __[rbx + 0x200]);
            c.push(rdx);
            c.pop(r11);
            c.mov(rsp, r10);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.Null);
            Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(Value));
            Assert.That(machine.State.Gpr[GeneralRegister.Rdx], Is.EqualTo(Value + 1));
            Assert.That(machine[TestMachine.UserData + 8], Is.EqualTo(Value + 1));
            Assert.That(machine.State.Gpr[9], Is.EqualTo(Value));
            Assert.That(machine.State.Gpr[GeneralRegister.R11], Is.EqualTo(Value + 1));
            Assert.That(tagged, Is.Not.EqualTo(half));
        }
    }

    /// <summary>Two tags for one page follow each other in one TLB entry, for reads and for writes, and neither may use what the other left.</summary>
    [Test]
    public void TagsOfOnePageDoNotMix()
    {
        using TestMachine machine = Make("4");
        machine[TestMachine.UserData] = Value;
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.UserData | Tag48;
        machine.State.Gpr[GeneralRegister.Rcx] = TestMachine.UserData | 0x1555_0000_0000_0000;
        machine.Kernel(c =>
        {
            c.mov(rax, __qword_ptr[rbx]);
            c.mov(__qword_ptr[rcx + 8], rax);
            c.mov(rdx, __qword_ptr[rbx + 8]);
            c.mov(__qword_ptr[rbx + 16], rdx);
            c.mov(rsi, __qword_ptr[rcx + 16]);
            c.mov(rdi, __qword_ptr[TestMachine.UserData + 16]);
        });
        Assert.That(machine.Handled, Is.Null);
        Assert.That((machine.State.Gpr[GeneralRegister.Rdx], machine.State.Gpr[GeneralRegister.Rsi], machine.State.Gpr[GeneralRegister.Rdi]), Is.EqualTo((Value, Value, Value)));
    }

    [Test]
    public void InvlpgOfThePlainAddressDropsTheTranslationOfTheTaggedOne()
    {
        using TestMachine machine = Make("4");
        machine[TestMachine.UserData] = 1;
        machine[TestMachine.UserData + 0x1000] = 2;
        ulong entry = EntryOf(machine, TestMachine.UserData);
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.UserData | Tag48;
        machine.Kernel(c =>
        {
            c.mov(rax, __qword_ptr[rbx]);
            c.add(__qword_ptr[entry], 0x1000);
            c.mov(rcx, __qword_ptr[rbx]);
            c.invlpg(__[TestMachine.UserData]);
            c.mov(rdx, __qword_ptr[rbx]);
        });
        Assert.That(
            (machine.State.Gpr[GeneralRegister.Rax], machine.State.Gpr[GeneralRegister.Rcx], machine.State.Gpr[GeneralRegister.Rdx]), Is.EqualTo((1UL, 1UL, 2UL)));
    }

    /// <summary>INVLPG masks nothing: a tagged operand is not canonical, and so none to drop.</summary>
    [Test]
    public void InvlpgTakesNoMetadata()
    {
        using TestMachine machine = Make("4");
        ulong before = machine.Cpu.Tlb.Epoch;
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.UserData | Tag48;
        machine.Kernel(c => c.invlpg(__[rbx]));
        Assert.That((machine.Handled, machine.Cpu.Tlb.Epoch), Is.EqualTo(((int?)null, before)));
    }

    [TestCase("4", Tag48 | 0x70_0000, PF, 0x70_0000UL)]
    [TestCase("7", Tag57 | 0x70_0000, PF, 0x70_0000UL)]
    [TestCase("s", (Upper ^ Tag48) | 0x70_0000, PF, Upper | 0x70_0000)]
    [TestCase("", Tag48 | TestMachine.UserData, GP, 0UL)]
    [TestCase("s", Tag48 | TestMachine.UserData, GP, 0UL)]
    [TestCase("4", (Upper ^ Tag48) | TestMachine.UserData, GP, 0UL)]
    [TestCase("7", Tag48 | TestMachine.UserData, GP, 0UL)]
    public void AFaultShowsTheAddressWithoutMetadata(string bits, ulong address, int vector, ulong cr2)
    {
        using TestMachine machine = Make(bits);
        machine.Kernel(c =>
        {
            c.mov(rbx, address);
            c.mov(rax, __qword_ptr[rbx]);
        });
        Assert.That((machine.Handled, machine.State.Cr2), Is.EqualTo(((int?)vector, cr2)));
    }

    [Test]
    public void BranchesTakeNoMetadata([Values("4", "7")] string bits)
    {
        using TestMachine machine = Make(bits);
        machine.Kernel(c =>
        {
            c.mov(rax, TestMachine.Data | (bits == "4" ? Tag48 : Tag57));
            c.jmp(rax);
        });
        Assert.That(machine.Handled, Is.EqualTo(GP));
    }

    [Test]
    public void TheHypervisorMasksToo()
    {
        using TestMachine machine = Make("4");
        const ulong device = 0x1_0000_0000;
        ScratchRam scratch = new(0x1000);
        machine.Machine.Mmio.Attach(new Gpa(device), scratch);
        machine.PageTables.Map(new Gva(0x60_0000), new Gpa(device), 0x1000, PageRights.Write);
        machine.State.Gpr[GeneralRegister.Rbx] = 0x60_0000 | Tag48;
        machine.State.Gpr[GeneralRegister.Rcx] = Value;
        machine.Kernel(c =>
        {
            c.mov(__qword_ptr[rbx + 8], rcx);
            c.mov(rax, __qword_ptr[rbx + 8]);
            c.mov(rdx, __qword_ptr[0x60_0008]);
        });
        Assert.That(
            (machine.Handled, machine.State.Gpr[GeneralRegister.Rax], machine.State.Gpr[GeneralRegister.Rdx]), Is.EqualTo(((int?)null, Value, Value)));
    }

    [Test]
    public void ADataBreakpointIsMetThroughATaggedPointer()
    {
        using TestMachine machine = Make("4");
        machine.State.Dr[0] = TestMachine.UserData;
        machine.State.Dr[7] = 0x402 | (3UL << 16);
        machine.Cpu.FlushTlb();
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.UserData | Tag48;
        machine.Kernel(c =>
        {
            c.mov(al, __byte_ptr[rbx]);
            c.nop();
        });
        Assert.That((machine.Handled, machine.State.Dr[6] & 1), Is.EqualTo(((int?)DB, 1UL)));
    }

    /// <summary>Masking that is turned off drops what it let into the TLB, global translations included.</summary>
    [Test]
    public void TurningMaskingOffEndsIt([Values] bool global)
    {
        using TestMachine machine = Make("4");
        machine.State.Cr4 |= Cr4.PGE;
        machine[EntryOf(machine, TestMachine.UserData)] |= global ? PageTableEntry.GBit : 0;
        machine.Cpu.FlushTlb();
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.UserData | Tag48;
        machine.Kernel(c =>
        {
            c.mov(rax, __qword_ptr[rbx]);
            c.mov(rcx, cr3);
            c.btr(rcx, 62);
            c.mov(cr3, rcx);
            c.mov(rax, __qword_ptr[rbx]);
        });
        Assert.That(machine.Handled, Is.EqualTo(GP));
    }

    [TestCase(true, 0x6000_0000_0000_0000UL, true)]
    [TestCase(true, 0x2000_0000_0000_0000UL, true)]
    [TestCase(true, 0x4000_0000_0000_0000UL, true)]
    [TestCase(true, 0x1000_0000_0000_0000UL, false)]
    [TestCase(false, 0x4000_0000_0000_0000UL, false)]
    [TestCase(false, 0x2000_0000_0000_0000UL, false)]
    public void Cr3TakesTheBitsOfAProcessorThatMasks(bool supported, ulong bits, bool allowed)
    {
        using TestMachine machine = new(supported ? null : CpuFeatures.Parse("max,-lam"));
        ulong value = machine.State.Cr3 | bits;
        machine.Kernel(c =>
        {
            c.mov(rax, value);
            c.mov(cr3, rax);
        });
        Assert.That((machine.Handled, machine.State.Cr3), Is.EqualTo(allowed ? ((int?)null, value) : (GP, machine.PageTables.Cr3)));
    }

    private static PagingState StateOf(string bits) => new(
        0x8001_0001,
        0x1000 | (bits.Contains('7') ? PagingState.Cr3LamU57 : 0) | (bits.Contains('4') ? PagingState.Cr3LamU48 : 0),
        PagingState.Cr4PAE | (bits.Contains('s') ? PagingState.Cr4LamSup : 0) | (bits.Contains('5') ? PagingState.Cr4LA57 : 0),
        0xD00, AlignmentCheck: false, 46);

    /// <summary>A machine whose user data is also mapped in the upper half.</summary>
    private static TestMachine Make(string bits)
    {
        TestMachine machine = new();
        machine.PageTables.Map(new Gva(Upper + TestMachine.UserData), new Gpa(TestMachine.UserData), 0x2000, PageRights.Write);
        PagingState wanted = StateOf(bits);
        machine.State.Cr3 |= wanted.Cr3 & (PagingState.Cr3LamU57 | PagingState.Cr3LamU48);
        machine.State.Cr4 |= wanted.Cr4 & PagingState.Cr4LamSup;
        machine.Cpu.FlushTlb();
        return machine;
    }

    private static ulong EntryOf(TestMachine machine, ulong gva)
    {
        RamTables tables = machine.Cpu.Memory.Tables;
        NoWalkObserver nobody = default;
        return PageWalker.Walk(ref tables, machine.Cpu.Paging, new Gva(gva), Read, ref nobody).EntryAddress.Value;
    }
}
