using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>What the exact modes cache beside translations, and what strict mode says of a forgotten invalidation.</summary>
[TestFixture]
internal sealed unsafe class TlbExactTests
{
    private const ulong Region = 0x50_0000_0000;
    private const ulong Frames = 0x10_0000;
    private const int Pages = 16;

    private PagedGuest? made;
    private int nextPage;

    private PagedGuest Guest => made!;

    [TearDown]
    public void DisposeGuest()
    {
        made?.Dispose();
        made = null;
    }

    /// <summary>A walk below a cached PDE reads the PTE only (SDM Vol. 3A, 5.10.3.2); each use is of a page not used before.</summary>
    [Test]
    public void WalksBeginBelowWhatIsCached([Values(TlbMode.Exact, TlbMode.Strict)] TlbMode mode)
    {
        Make(mode);
        (string Name, int Reads, Action<Vcpu> Drop)[] cases =
        [
            ("first", 4, _ => { }),
            ("again", 1, _ => { }),
            ("INVLPG of anything", 4, cpu => cpu.FlushTlbPage(new Gva(0))),
            ("INVPCID 0 of an address elsewhere", 1, cpu => cpu.FlushTlbPage(0, new Gva(Region + (1UL << 39)))),
            ("INVPCID 0 of an address below the same PDPTE", 2, cpu => cpu.FlushTlbPage(0, new Gva(Region + (1UL << 21)))),
            ("INVPCID 0 of an address below the same PDE", 4, cpu => cpu.FlushTlbPage(0, new Gva(Region))),
            ("INVPCID 1", 4, cpu => cpu.FlushTlbPcid(0, TlbFlushCause.InvpcidContext)),
            ("INVPCID 1 of another PCID", 1, cpu => cpu.FlushTlbPcid(9, TlbFlushCause.InvpcidContext)),
            ("MOV to CR3", 4, cpu => cpu.AddressSpaceChanged(keep: false)),
            ("everything", 4, cpu => cpu.FlushTlb()),
            ("CR0.WP", 1, cpu => ControlRegisterRules.SetCr0(ref cpu.State, cpu, cpu.State.Cr0 ^ Cr0.WP)),
            ("PKRU", 1, cpu => ProtectionKeys.Set(ref cpu.State, cpu, 4)),
        ];
        foreach ((string name, int reads, Action<Vcpu> drop) in cases)
        {
            drop(Guest.Cpu);
            ulong before = Guest.Cpu.Tlb.Statistics.EntriesRead;
            Assert.That(Use(nextPage++) != null);
            int expected = name == "INVPCID 0 of an address below the same PDPTE" ? 1 : reads;
            Assert.That(Guest.Cpu.Tlb.Statistics.EntriesRead - before, Is.EqualTo(expected), name);
        }

        Assert.That(Guest.Cpu.Tlb.Statistics.StaleUses, Is.Zero);
    }

    /// <summary>A PDE is changed and only a TLB entry of one page is dropped: a page not used before still goes by the old table.</summary>
    [Test]
    public void AForgottenTableEntryLeadsOthersAstray([Values] TlbMode mode)
    {
        Make(mode);
        Guest.Map(Region + PageSize.Size2M, Frames + 0x8000, length: 8 * PageSize.Size4K);
        List<StaleUse> uses = [];
        Guest.Cpu.StaleTranslationUsed += uses.Add;
        Use(0);
        ulong directory = DirectoryEntry();
        (ulong before, ulong after) = (Get(directory), Get(directory + 8));
        Put(directory, after);
        ulong ram = Ram();
        ulong found = (ulong)Use(1) - ram;
        Assert.That(found, Is.EqualTo(mode == TlbMode.Fast ? Frames + 0x9000 : Frames + 0x1000));
        if (mode != TlbMode.Strict)
        {
            Assert.That(uses, Is.Empty);
            return;
        }

        StaleTranslation stale = uses.Single().Translation;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(stale.FromTlb, Is.False);
            Assert.That((stale.ChangedLevel, stale.ChangedEntry.Value), Is.EqualTo((2, directory)));
            Assert.That((stale.Before.Raw | PageTableEntry.ABit, stale.After.Raw | PageTableEntry.ABit), Is.EqualTo((before | PageTableEntry.ABit, after | PageTableEntry.ABit)));
            Assert.That(stale.Now.Gpa.Value, Is.EqualTo(Frames + 0x9000));
            Assert.That(stale.Remedy, Does.Contain("INVLPG 0x5000001000").And.Contain("CR3"));
        }
    }

    /// <summary>What may be cached without harm is no stale use: SDM Vol. 3A, 5.10.4.3.</summary>
    [TestCase(0ul, PageTableEntry.PBit, AccessKind.Read, 0, TestName = "present")]
    [TestCase(PageTableEntry.PBit, PageTableEntry.RWBit, AccessKind.Write, 0, TestName = "writable")]
    [TestCase(PageTableEntry.PBit | PageTableEntry.RWBit, PageTableEntry.ABit, AccessKind.Read, 0, TestName = "A cleared")]
    [TestCase(PageTableEntry.PBit | PageTableEntry.RWBit, PageTableEntry.RWBit, AccessKind.Read, 0, TestName = "read-only, and read")]
    [TestCase(PageTableEntry.PBit | PageTableEntry.RWBit, PageTableEntry.RWBit, AccessKind.Write, 1, TestName = "read-only, and written")]
    [TestCase(PageTableEntry.PBit | PageTableEntry.RWBit, PageTableEntry.DBit, AccessKind.Write, 1, TestName = "D cleared, and written")]
    [TestCase(PageTableEntry.PBit | PageTableEntry.RWBit, PageTableEntry.DBit, AccessKind.Read, 0, TestName = "D cleared, and read")]
    [TestCase(PageTableEntry.PBit, PageTableEntry.PBit, AccessKind.Read, 1, TestName = "not present")]
    [TestCase(PageTableEntry.PBit, 0x1000ul, AccessKind.Read, 1, TestName = "another frame")]
    [TestCase(PageTableEntry.PBit, PageTableEntry.PCDBit, AccessKind.Read, 1, TestName = "another memory type")]
    [TestCase(PageTableEntry.PBit, PageTableEntry.NXBit, AccessKind.Execute, 1, TestName = "not executable")]
    [TestCase(PageTableEntry.PBit | PageTableEntry.NXBit, PageTableEntry.NXBit, AccessKind.Execute, 0, TestName = "executable")]
    public void StrictModeNamesWhatNeedsAnInvalidation(ulong flags, ulong change, AccessKind kind, int expected)
    {
        Make(TlbMode.Strict);
        List<StaleUse> uses = [];
        Guest.Cpu.StaleTranslationUsed += uses.Add;
        ulong entry = Guest.Cpu.Memory.Walk(Region, new WalkAccess(AccessKind.Read, User: false)).EntryAddress.Value;
        Put(entry, Frames | flags);
        Guest.Cpu.FlushTlb();
        Guest.Cpu.Memory.Translate(Region, (flags & PageTableEntry.RWBit) != 0 ? AccessKind.Write : (flags & PageTableEntry.NXBit) != 0 ? AccessKind.Read : kind);
        ulong before = Get(entry);
        Put(entry, before ^ change);
        for (int use = 0; use < 3; use++)
        {
            bool allowed = Guest.Cpu.Memory.Translate(Region + 0x123, kind) != null;
            Assert.That(allowed, "the cached translation, or the tables, allow it");
        }

        Assert.That(uses, Has.Count.EqualTo(expected), "once a page");
        Assert.That(Guest.Cpu.Tlb.Statistics.StaleUses, Is.EqualTo((ulong)expected * 3));
        if (expected != 0)
        {
            StaleTranslation stale = uses[0].Translation;
            using (Assert.EnterMultipleScope())
            {
                Assert.That((stale.ChangedLevel, stale.ChangedEntry.Value), Is.EqualTo((1, entry)));
                Assert.That((stale.Before.Raw, stale.After.Raw), Is.EqualTo((before, before ^ change)));
                Assert.That((stale.Address.Value, stale.Access.Kind, stale.FromTlb), Is.EqualTo((Region + 0x123, kind, true)));
            }
        }
    }

    /// <summary>The instruction is named, a fetch's too, and the run goes on.</summary>
    [Test]
    public void AReportNamesTheInstruction([Values] bool fetch)
    {
        const ulong Page = TestMachine.Data;
        const ulong Other = TestMachine.Data + 0x1000;
        using TestMachine machine = new(tlb: TlbMode.Strict);
        List<StaleUse> uses = [];
        machine.Cpu.StaleTranslationUsed += uses.Add;
        machine.Place(Page, c => c.ret());
        machine.Place(Other, c => c.ret());
        ulong entry = machine.Cpu.Memory.Walk(Page, new WalkAccess(AccessKind.Read, User: false)).EntryAddress.Value;
        ulong raw = machine[entry];
        ulong at = 0;
        machine.Kernel(c =>
        {
            c.mov(rsi, Page);
            c.call(rsi);
            c.mov(rax, __qword_ptr[rsi]);
            c.mov(rdi, entry);
            c.mov(rax, (raw & ~PageTableEntry.AddressMask4K) | Other);
            c.mov(__qword_ptr[rdi], rax);
            Label here = c.CreateLabel();
            c.lea(r8, __[here]);
            c.Label(ref here);
            if (fetch)
            {
                c.call(rsi);
            }
            else
            {
                c.mov(rax, __qword_ptr[rsi]);
            }

            c.mov(rbx, 42);
        });
        at = fetch ? Page : machine.State.Gpr[8];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.Null);
            Assert.That(machine.State.Gpr[GeneralRegister.Rbx], Is.EqualTo(42));
            Assert.That(uses.Select(use => use.Rip.Value), Is.EqualTo(new[] { at }));
            Assert.That(uses.Select(use => use.Translation.Access.Kind), Is.EqualTo(new[] { fetch ? AccessKind.Execute : AccessKind.Read }));
        }
    }

    [Test]
    public void ContentsAreWhatWasUsed([Values] TlbMode mode)
    {
        Make(mode);
        Assert.That(Guest.Cpu.Tlb.Contents(), Is.Empty);
        Use(3);
        Use(1);
        Guest.Cpu.Tlb.Select(5);
        Assert.That(
            Guest.Cpu.Tlb.Contents().Select(entry => (entry.Page.Value, entry.PageShift, entry.Pcid, entry.Frame.Value)),
            Is.EqualTo(new[] { (Region + 0x1000, 12, (ushort)0, Frames + 0x1000), (Region + 0x3000, 12, (ushort)0, Frames + 0x3000) }));
        Assert.That(
            Guest.Cpu.Tlb.StructureContents().Select(entry => entry.Level), Is.EqualTo(mode == TlbMode.Fast ? Array.Empty<int>() : [4, 3, 2]));
    }

    private void Make(TlbMode mode)
    {
        made = new PagedGuest(mode);
        Guest.Map(Region, Frames, length: Pages * PageSize.Size4K);
        Guest.Cpu.State.Cr4 |= Cr4.PKE;
        Guest.Cpu.FlushTlb();
        nextPage = 0;
    }

    private byte* Use(int page) => Guest.Cpu.Memory.Translate(Region + ((ulong)page << 12), AccessKind.Read);

    private ulong Ram()
    {
        Guest.Machine.Slots.TryTranslate(new Gpa(0), out Hva ram, out _);
        return ram.Value;
    }

    private ulong DirectoryEntry()
    {
        ulong table = Guest.Cpu.State.Cr3;
        for (int shift = 39; shift > 21; shift -= 9)
        {
            table = Get(table + (8 * ((Region >> shift) & 511))) & PageTableEntry.AddressMask4K;
        }

        return table + (8 * ((Region >> 21) & 511));
    }

    private ulong Get(ulong gpa) => BitConverter.ToUInt64(Guest.Ram(gpa, 8));

    private void Put(ulong gpa, ulong value) => BitConverter.TryWriteBytes(Guest.Ram(gpa, 8), value);
}
