using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>5-level paging: the walk, and which width of addresses the processor asks for where (SDM Vol. 3A, 5.5, and the canonicality checks of chapter 4).</summary>
[TestFixture]
internal sealed class FiveLevelTests
{
    private const ulong P = 1, RW = 2, US = 4, A = 32, PS = 128;
    private const ulong Linear = 0x0074_1234_5678_9abc;
    private const ulong Far = 0x0030_0000_0000_0000;
    private const int GP = 13, PF = 14;

    private static readonly PagingState Paging =
        new(0x8001_0001, 0x1000, PagingState.Cr4PAE | PagingState.Cr4LA57, 0xD00, AlignmentCheck: false, PhysicalAddressBits: 40);

    private static readonly WalkAccess read = new(AccessKind.Read, User: false);

    [TestCase(0UL, true)]
    [TestCase(0x0000_8000_0000_0000UL, true)]
    [TestCase(0x00FF_FFFF_FFFF_FFFFUL, true)]
    [TestCase(0x0100_0000_0000_0000UL, false)]
    [TestCase(0x7FFF_FFFF_FFFF_FFFFUL, false)]
    [TestCase(0x8000_0000_0000_0000UL, false)]
    [TestCase(0xFE00_0000_0000_0000UL, false)]
    [TestCase(0xFEFF_FFFF_FFFF_FFFFUL, false)]
    [TestCase(0xFF00_0000_0000_0000UL, true)]
    [TestCase(0xFFFF_7FFF_FFFF_FFFFUL, true)]
    [TestCase(0xFFFF_FFFF_FFFF_FFFFUL, true)]
    public void AnAddressIsCanonicalWhenBits63To56AreEqual(ulong gva, bool canonical)
    {
        SparseTables nothing = new(1);
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref nothing, Paging, new Gva(gva), read, ref nobody);
        Assert.That((result.Failure, result.Level), Is.EqualTo(canonical ? (WalkFailure.EntryUnreachable, 5) : (WalkFailure.NonCanonical, 0)));
        Assert.That(
            WalkDescription.Describe(result, new Gva(gva), read, Paging), canonical ? Does.StartWith("PML5E at") : Does.EndWith("bits 63:56 are not all equal."));
    }

    [TestCase(1, 12, 0x1234_5000UL)]
    [TestCase(2, 21, 0x1220_0000UL)]
    [TestCase(3, 30, 0xC000_0000UL)]
    public void AWalkReadsFiveLevelsAndSetsTheirFlags(int leaf, int shift, ulong page)
    {
        SparseTables tables = TablesFor(leaf);
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref tables, Paging, new Gva(Linear), new WalkAccess(AccessKind.Write, User: true), ref trace);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Gpa.Value, Is.EqualTo(page | (Linear & ((1UL << shift) - 1))));
            Assert.That((result.Level, result.PageShift), Is.EqualTo((leaf, shift)));
            Assert.That(trace.Steps.ToArray().Select(step => step.Level), Is.EqualTo(Enumerable.Range(leaf, 6 - leaf).Reverse()));
            Assert.That(trace.Steps.ToArray().Select(step => step.After.Raw), Is.EqualTo(Enumerable.Range(leaf, 6 - leaf).Reverse().Select(level => tables.Words[level])));
            Assert.That(Enumerable.Range(leaf, 6 - leaf).All(level => (tables.Words[level] & A) != 0));
            Assert.That(tables.Words[leaf] & 64, Is.EqualTo(64));
        }
    }

    /// <summary>Every bit of every level alone, for every MAXPHYADDR.</summary>
    [Test]
    public void EveryBitIsReservedWhereTheTablesSay()
    {
        (int Leaf, int Level)[] places = [(1, 5), (1, 4), (1, 3), (1, 2), (1, 1), (2, 5), (2, 2), (3, 5), (3, 3)];
        SweepOracle oracle = new(SweepRules.Sdm);
        int cases = 0;
        foreach ((int leaf, int level) in places)
        {
            for (byte width = 36; width <= 52; width++)
            {
                for (int bit = 1; bit < 64; bit++)
                {
                    SparseTables tables = TablesFor(leaf);
                    tables.Words[level] |= 1UL << bit;
                    bool ps = (tables.Words[level] & PS) != 0;
                    ulong expected = tables.Words[level] & oracle.Reserved(PagingMode.FiveLevel, level, ps, nxe: true, page1G: true, width);
                    NoWalkObserver nobody = default;
                    WalkResult result = PageWalker.Walk(ref tables, Paging with { PhysicalAddressBits = width }, new Gva(Linear), read, ref nobody);
                    Assert.That(result.Level == level ? result.ReservedMask : 0, Is.EqualTo(expected), $"leaf {leaf}, level {level}, bit {bit}, {width}");
                    cases++;
                }
            }
        }

        Assert.That(cases, Is.EqualTo(places.Length * 17 * 63));
    }

    [TestCase(5, 0x2087UL, "PML5E at 0x13a0 = 0x0000000000002087: bit 7 (PS) is 1, which is reserved in a PML5E.")]
    [TestCase(5, 0UL, "PML5E at 0x13a0 = 0x0000000000000000: P is 0.")]
    [TestCase(5, 0x2003UL, "PML5E at 0x13a0 = 0x0000000000002003: U/S is 0 and the access is a user write.")]
    [TestCase(5, 0x2005UL, "PML5E at 0x13a0 = 0x0000000000002005: R/W is 0 and the access is a user write.")]
    public void AFailureNamesThePml5e(int level, ulong entry, string expected)
    {
        SparseTables tables = TablesFor(1);
        tables.Words[level] = entry;
        WalkAccess access = new(AccessKind.Write, User: true);
        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, Paging, new Gva(Linear), access, ref nobody);
        Assert.That(WalkDescription.Describe(result, new Gva(Linear), access, Paging), Is.EqualTo(expected));
    }

    [Test]
    public void WithoutIa32eModeLA57IsIgnored()
    {
        PagingState pae = Paging with { Efer = 0 };
        PagingState none = Paging with { Cr0 = 1 };
        PagingState four = Paging with { Cr4 = PagingState.Cr4PAE };
        Assert.That(
            new[] { Paging, pae, none, four }.Select(state => (state.Mode, state.LinearAddressBits)),
            Is.EqualTo(new[] { (PagingMode.FiveLevel, 57), (PagingMode.Pae, 32), (PagingMode.None, 32), (PagingMode.FourLevel, 48) }));
    }

    [Test]
    public void CodeRunsAndReachesMemoryBeyond48Bits()
    {
        using TestMachine machine = FiveLevelMachine();
        machine.Place(TestMachine.Data, c =>
        {
            c.mov(rbx, __qword_ptr[rcx]);
            c.jmp(rdx);
        });
        machine[TestMachine.UserData] = 0x1122_3344_5566_7788;
        machine.State.Gpr[GeneralRegister.Rcx] = Far + TestMachine.UserData;
        machine.Kernel(c =>
        {
            Label back = c.CreateLabel();
            c.lea(rdx, __[back]);
            c.mov(rax, Far + TestMachine.Data);
            c.call(rax);
            c.Label(ref back);
            c.mov(r8, __qword_ptr[rsp]);
        });
        Assert.That(machine.Handled, Is.Null);
        Assert.That(machine.State.Gpr[GeneralRegister.Rbx], Is.EqualTo(0x1122_3344_5566_7788UL));
    }

    [TestCase(0x0100_0000_0000_0000UL, GP)]
    [TestCase(Far + 0x1000_0000, PF)]
    public void DataBeyondFaults(ulong address, int vector)
    {
        using TestMachine machine = FiveLevelMachine();
        machine.Kernel(c =>
        {
            c.mov(rax, address);
            c.mov(rax, __qword_ptr[rax]);
        });
        Assert.That(machine.Handled, Is.EqualTo(vector));
        if (vector == PF)
        {
            Assert.That(machine.State.Cr2, Is.EqualTo(address));
        }
    }

    /// <summary>
    /// RIP goes by the paging mode in force; segment and table bases, MSRs and invalidations go by what the processor has. One row a check:
    /// the address, whether the processor has 5-level paging, whether it is on, and whether the check lets it pass.
    /// </summary>
    [Test]
    public void EachCheckHasItsWidth([Values] FiveLevels levels, [Values] Check check, [Values] Width width)
    {
        bool supported = levels != FiveLevels.Absent;
        bool active = levels == FiveLevels.On;
        ulong address = width switch
        {
            Width.Bits48 => 0x7FFF_0000_0000,
            Width.Bits57 => 0xFF12_0000_0000_0000,
            _ => 0x0120_0000_0000_0000,
        };
        bool allowed = width == Width.Bits48 || (width == Width.Bits57 && (check is Check.Jump or Check.Iret or Check.Sysret ? active : supported));
        using TestMachine machine = active ? FiveLevelMachine() : new TestMachine(supported ? null : TestMachine.Linear48);
        machine.State.Cr4 |= Cr4.FSGSBASE;
        machine.Cpu.ContextChanged();
        machine[TestMachine.Data] = 0x7F;
        machine[TestMachine.Data + 2] = address;
        machine.SetDescriptor(TestMachine.FreeSelector, 0x0000_8200_0000_0067 | ((address & 0xFF_FFFF) << 16) | ((address >> 24 & 0xFF) << 56));
        machine.SetDescriptor(TestMachine.FreeSelector + 8, address >> 32);
        machine[TestMachine.UserData] = address;
        machine.Kernel(c => Attempt(c, check, address));

        // A branch to an address that RIP may hold leads to a page that is not there.
        int? expected = check is Check.Jump or Check.Iret or Check.Sysret && allowed ? PF : allowed ? null : GP;
        Assert.That(machine.Handled, Is.EqualTo(expected));
    }

    internal enum FiveLevels
    {
        Absent,
        Off,
        On,
    }

    internal enum Check
    {
        Jump,
        Iret,
        Sysret,
        WriteFsBase,
        KernelGsBase,
        SysenterEip,
        Lstar,
        LoadGdt,
        LoadIdt,
        LoadLdt,
        InvalidatePcid,
    }

    internal enum Width
    {
        Bits48,
        Bits57,
        None,
    }

    private static void Attempt(Assembler c, Check check, ulong address)
    {
        switch (check)
        {
            case Check.Jump:
                c.mov(rax, address);
                c.jmp(rax);
                break;
            case Check.Iret:
                c.mov(rax, address);
                c.push(TestMachine.KernelSs);
                c.push(rsp);
                c.pushfq();
                c.push(TestMachine.KernelCs);
                c.push(rax);
                c.iretq();
                break;
            case Check.Sysret:
                c.mov(rcx, address);
                c.mov(r11d, 2);
                c.sysretq();
                break;
            case Check.WriteFsBase:
                c.mov(rax, address);
                c.wrfsbase(rax);
                break;
            case Check.KernelGsBase or Check.SysenterEip or Check.Lstar:
                c.mov(ecx, check switch { Check.KernelGsBase => 0xC000_0102u, Check.Lstar => 0xC000_0082u, _ => 0x176u });
                c.mov(eax, (uint)address);
                c.mov(edx, (uint)(address >> 32));
                c.wrmsr();
                break;
            case Check.LoadGdt:
                c.lgdt(__[TestMachine.Data]);
                break;
            case Check.LoadIdt:
                c.sidt(__[TestMachine.Data + 32]);
                c.lidt(__[TestMachine.Data]);
                c.lidt(__[TestMachine.Data + 32]);
                break;
            case Check.LoadLdt:
                c.mov(eax, TestMachine.FreeSelector);
                c.lldt(ax);
                break;
            default:
                c.mov(eax, 0);
                c.mov(__qword_ptr[TestMachine.UserStack - 16], 0);
                c.mov(rcx, address);
                c.mov(__qword_ptr[TestMachine.UserStack - 8], rcx);
                c.invpcid(rax, __xmmword_ptr[TestMachine.UserStack - 16]);
                break;
        }
    }

    /// <summary>A machine in 5-level paging whose 2 MiB lie at 0 and at <see cref="Far"/>.</summary>
    private static TestMachine FiveLevelMachine()
    {
        TestMachine machine = new();
        PageTableBuilder tables = new(machine.Machine.Access, new Gpa(0x30_0000), 0x10_0000, PagingMode.FiveLevel);
        tables.Map(new Gva(0), new Gpa(0), TestMachine.Mapped, PageRights.Write);
        tables.Map(new Gva(Far), new Gpa(0), TestMachine.Mapped, PageRights.Write);
        machine.State.Cr3 = tables.Cr3;
        machine.State.Cr4 |= Cr4.LA57;
        machine.Cpu.FlushTlb();
        return machine;
    }

    /// <summary>Tables that map <see cref="Linear"/> with all rights; words are indexed by level.</summary>
    private static SparseTables TablesFor(int leaf)
    {
        ulong page = leaf == 1 ? 0x1234_5000u : leaf == 2 ? 0x1220_0000u : 0xC000_0000u;
        SparseTables tables = new(6);
        tables.Addresses[0] = ulong.MaxValue;
        for (int level = 5; level >= 1; level--)
        {
            ulong table = (ulong)(6 - level) * 0x1000;
            tables.Addresses[level] = table + (((Linear >> (3 + (9 * level))) & 511) * 8);
            tables.Words[level] = (level == leaf ? page : table + 0x1000) | P | RW | US | (level == leaf && leaf > 1 ? PS : 0);
        }

        return tables;
    }
}
