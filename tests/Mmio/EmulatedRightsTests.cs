using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>The hypervisor's walk keeps the rules of the processor's: rights, accessed and dirty bits, read-only slots.</summary>
[TestFixture]
public sealed class EmulatedRightsTests
{
    private const ulong DevicePage = 0x60_0000;
    private const ulong Accessed = 1 << 5, Dirty = 1 << 6;
    private const ulong Smap = Cr4.SMAP, Smep = Cr4.SMEP;

    public sealed record Rule(string Name, PageRights Code, PageRights Data, byte Cpl, ulong Cr4, bool Ac, bool WriteProtect, string Read, string Write);

    private const PageRights User = PageRights.User, Writable = PageRights.Write, All = User | Writable;
    private const string Done = "Branch";

    private static readonly Rule[] Rules =
    [
        new("supervisor", Writable, Writable, 0, 0, false, true, Done, Done),
        new("supervisor, read-only page", Writable, PageRights.None, 0, 0, false, true, Done, "#PF(3) 600010"),
        new("supervisor, read-only page, WP clear", Writable, PageRights.None, 0, 0, false, false, Done, Done),
        new("user", All, All, 3, 0, false, true, Done, Done),
        new("user, read-only page", All, User, 3, 0, false, true, Done, "#PF(7) 600010"),
        new("user, read-only page, WP clear", All, User, 3, 0, false, false, Done, "#PF(7) 600010"),
        new("user to a supervisor page", All, Writable, 3, 0, false, true, "#PF(5) 600010", "#PF(7) 600010"),
        new("user code on a supervisor page", Writable, All, 3, 0, false, true, "#PF(15) 4000000000", "#PF(15) 4000000000"),
        new("supervisor to a user page", Writable, All, 0, 0, false, true, Done, Done),
        new("SMAP", Writable, All, 0, Smap, false, true, "#PF(1) 600010", "#PF(3) 600010"),
        new("SMAP with AC", Writable, All, 0, Smap, true, true, Done, Done),
        new("SMAP, user", All, All, 3, Smap, true, true, Done, Done),
        new("SMAP, code on a user page", All, Writable, 0, Smap, false, true, Done, Done),
        new("SMEP, code on a user page", All, Writable, 0, Smep, false, true, "#PF(11) 4000000000", "#PF(11) 4000000000"),
        new("code that may not be executed", Writable | PageRights.NoExecute, Writable, 0, 0, false, true, "#PF(11) 4000000000", "#PF(11) 4000000000"),
    ];

    private static IEnumerable<TestCaseData> Cases() => Rules.Select(rule => new TestCaseData(rule).SetArgDisplayNames(rule.Name));

    [TestCaseSource(nameof(Cases))]
    public void RightsAreTheProcessors(Rule rule)
    {
        foreach (bool write in (bool[])[false, true])
        {
            using EmulatedGuest guest = Make(rule.Code, rule.Data);
            guest.Place(c => Access(c, write));
            guest.State.Cr0 = (guest.State.Cr0 & ~Cr0.WP) | (rule.WriteProtect ? Cr0.WP : 0);
            guest.State.Cr4 |= rule.Cr4;
            guest.State.Cpl = rule.Cpl;
            guest.Cpu.Rflags = Rflags.Fixed | (rule.Ac ? Rflags.AC : 0);
            guest.Cpu.FlushTlb();
            string outcome = guest.Emulate() == BlockExit.Branch ? Done : guest.Fault;
            string expected = write ? rule.Write : rule.Read;
            using (Assert.EnterMultipleScope())
            {
                Assert.That(outcome, Is.EqualTo(expected));
                Assert.That(guest.Device.Log, expected == Done ? Is.EqualTo(write ? "w4@10=00000000" : "r4@10=10111213") : Is.Empty);
            }
        }
    }

    [Test]
    public void APrivilegeLevelIsNotRemembered()
    {
        using EmulatedGuest guest = Make(All, Writable);
        guest.Place(c => Access(c, write: true));
        foreach (byte cpl in (byte[])[0, 3, 0, 3])
        {
            guest.State.Cpl = cpl;
            guest.Cpu.ContextChanged();
            Assert.That(guest.Emulate(), Is.EqualTo(cpl == 0 ? BlockExit.Branch : BlockExit.Fault));
        }
    }

    [TestCase(false, 0ul)]
    [TestCase(true, Dirty)]
    public void TheWalkSetsAccessedAndDirty(bool write, ulong dirty)
    {
        using EmulatedGuest guest = Make(Writable, Writable);
        guest.Place(c => Access(c, write));
        Assert.That(Entries(guest, DevicePage).Concat(Entries(guest, EmulatedGuest.Code)).Aggregate((a, b) => a | b) & (Accessed | Dirty), Is.Zero);
        Assert.That(guest.Emulate(), Is.EqualTo(BlockExit.Branch));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Entries(guest, DevicePage).Select(entry => entry & Accessed), Is.All.EqualTo(Accessed));
            Assert.That(Entries(guest, EmulatedGuest.Code).Select(entry => entry & Accessed), Is.All.EqualTo(Accessed));
            Assert.That(Entries(guest, DevicePage).Last() & Dirty, Is.EqualTo(dirty));
            Assert.That(Entries(guest, EmulatedGuest.Code).Last() & Dirty, Is.Zero);
        }
    }

    [Test]
    public void ARefusedWriteLeavesThePageClean()
    {
        using EmulatedGuest guest = Make(Writable, PageRights.None);
        guest.Place(c => Access(c, write: true));
        Assert.That(guest.Emulate(), Is.EqualTo(BlockExit.Fault));
        Assert.That(Entries(guest, DevicePage).Last() & (Accessed | Dirty), Is.Zero);
    }

    /// <summary>A read-only slot is read as memory; a write to it finds no device.</summary>
    [Test]
    public void ARomIsReadAsMemoryAndItsWritesAreDropped([Values] bool throughProcessor)
    {
        const ulong Rom = 0xF000_0000, RomFrame = 0x14_0000;
        using EmulatedGuest guest = Make(Writable, Writable);
        Assert.That(guest.Paged.Machine.Slots.TryTranslate(new Gpa(RomFrame), out Hva frame, out _));
        guest.Paged.Machine.Slots.Add(new Gpa(Rom), 0x1000, frame, MemslotFlags.ReadOnly);
        guest.Paged.Map(DevicePage, Rom);
        Span<byte> bytes = guest.Paged.Ram(RomFrame, 0x1000);
        bytes.Fill(0x5A);
        guest.Place(c => c.xadd(__[rbx], ecx));
        guest.State.Gpr[GeneralRegister.Rcx] = 1;
        guest.State.Rip = EmulatedGuest.Code;
        Assert.That(throughProcessor ? guest.Paged.Machine.Run(1).Reason == StopReason.Limit : guest.Emulate() == BlockExit.Branch);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.State.Gpr[GeneralRegister.Rcx], Is.EqualTo(0x5A5A_5A5Au));
            Assert.That(guest.Paged.Ram(RomFrame, 0x1000).IndexOfAnyExcept((byte)0x5A), Is.EqualTo(-1));
            Assert.That((guest.Bus.UnclaimedReads, guest.Bus.UnclaimedWrites), Is.EqualTo((0ul, 1ul)));
        }
    }

    /// <summary>The write of a read-modify-write goes where the read came from, whatever the device did to the page tables meanwhile.</summary>
    [Test]
    public void AModificationEndsWhereItBegan([Values] bool acrossPages)
    {
        using EmulatedGuest guest = Make(Writable, Writable);
        guest.Paged.Map(DevicePage + 0x1000, EmulatedGuest.DeviceGpa + 0x2000);
        guest.Place(c => c.not(__dword_ptr[rbx]));
        guest.State.Gpr[GeneralRegister.Rbx] = DevicePage + (acrossPages ? 0xFFEul : 0x10);
        guest.Device.Reading = () =>
        {
            guest.Paged.Unmap(DevicePage);
            guest.Paged.Unmap(DevicePage + 0x1000);
        };
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.Emulate(), Is.EqualTo(BlockExit.Branch));
            Assert.That(guest.Device.Log, Is.EqualTo(acrossPages ? "r2@ffe=feff r2@2000=0001 w2@ffe=0100 w2@2000=fffe" : "r4@10=10111213 w4@10=efeeedec"));
        }
    }

    /// <summary>One translation serves the read and the write of a read-modify-write.</summary>
    [TestCase(0x10ul, 2)]
    [TestCase(0xFFEul, 3)]
    public void AModificationWalksOnce(ulong offset, int walks)
    {
        using EmulatedGuest guest = Make(Writable, Writable);
        guest.Paged.Map(DevicePage + 0x1000, EmulatedGuest.DeviceGpa + 0x2000);
        guest.Place(c => c.@lock.not(__dword_ptr[rbx]));
        guest.State.Gpr[GeneralRegister.Rbx] = DevicePage + offset;
        ulong before = guest.Cpu.Counters.Walks;
        Assert.That(guest.Emulate(), Is.EqualTo(BlockExit.Branch));
        Assert.That(guest.Cpu.Counters.Walks - before, Is.EqualTo((ulong)walks), "one for the code, one for each page of the operand");
    }

    [TestCase("f08b03", Description = "lock mov eax, [rbx]")]
    [TestCase("f08903", Description = "lock mov [rbx], eax")]
    [TestCase("f03903", Description = "lock cmp [rbx], eax")]
    [TestCase("f0a4", Description = "lock movsb")]
    public void ALockThatIsNotAllowedTouchesNothing(string code)
    {
        using EmulatedGuest guest = Make(Writable, Writable);
        guest.Place(Convert.FromHexString(code));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.Emulate(), Is.EqualTo(BlockExit.Fault));
            Assert.That(guest.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.InvalidOpcode));
            Assert.That(guest.Device.Log, Is.Empty);
        }
    }

    private static EmulatedGuest Make(PageRights code, PageRights data)
    {
        EmulatedGuest guest = new();
        guest.Paged.Map(EmulatedGuest.Code, EmulatedGuest.CodeFrame, code);
        guest.Paged.Map(DevicePage, EmulatedGuest.DeviceGpa, data);
        foreach (ulong gva in (ulong[])[EmulatedGuest.Code, DevicePage])
        {
            foreach (ulong entry in Addresses(guest, gva))
            {
                BitConverter.TryWriteBytes(guest.Paged.Ram(entry, 8), BitConverter.ToUInt64(guest.Paged.Ram(entry, 8)) & ~(Accessed | Dirty));
            }
        }

        guest.State.Gpr[GeneralRegister.Rbx] = DevicePage + 0x10;
        guest.State.Gpr[GeneralRegister.Rsi] = guest.State.Gpr[GeneralRegister.Rdi] = DevicePage + 0x10;
        return guest;
    }

    private static void Access(Iced.Intel.Assembler c, bool write)
    {
        if (write)
        {
            c.mov(__dword_ptr[rbx], 0);
        }
        else
        {
            c.mov(eax, __[rbx]);
        }
    }

    private static IEnumerable<ulong> Entries(EmulatedGuest guest, ulong gva) =>
        Addresses(guest, gva).Select(entry => BitConverter.ToUInt64(guest.Paged.Ram(entry, 8)));

    /// <summary>Where the four entries of a 4 KiB page's walk lie.</summary>
    private static List<ulong> Addresses(EmulatedGuest guest, ulong gva)
    {
        List<ulong> addresses = [];
        ulong table = guest.Paged.Pages.Cr3;
        for (int shift = 39; shift >= 12; shift -= 9)
        {
            addresses.Add(table + (8 * ((gva >> shift) & 511)));
            table = BitConverter.ToUInt64(guest.Paged.Ram(addresses[^1], 8)) & 0x000F_FFFF_FFFF_F000;
        }

        return addresses;
    }
}
