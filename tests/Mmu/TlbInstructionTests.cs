using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>
/// Which instruction drops what of two PCIDs (SDM Vol. 3A, 5.10.4.1). Both have the same tables: a page is used under each, then remapped, then
/// comes the instruction under the second.
/// </summary>
[TestFixture]
internal sealed class TlbInstructionTests
{
    private const ulong Old = 1, New = 2;
    private const ulong First = TestMachine.Data;
    private const ulong Second = TestMachine.Data + 0x1000;
    private const ulong Descriptor = TestMachine.Data + 0x2000;
    private const ulong Keep = 1UL << 63;

    /// <summary>What is then read under the second PCID and under the first: of a page that is not global, and of one that is.</summary>
    public static IEnumerable<TestCaseData> Instructions()
    {
        yield return Case("nothing", Old, Old, Old, Old, (c, _) => c.nop());
        yield return Case("invlpg", New, Old, New, New, (c, _) => c.invlpg(__[First]));
        yield return Case("mov cr3, bit 63", Old, Old, Old, Old, (c, root) => Load(c, root | 2 | Keep));
        yield return Case("mov cr3", New, Old, Old, Old, (c, root) => Load(c, root | 2));
        yield return Case("mov cr3 of the first and back", Old, New, Old, Old, (c, root) =>
        {
            Load(c, root | 1);
            Load(c, root | 2 | Keep);
        });
        yield return Case("invpcid 0 of the first", Old, New, Old, Old, (c, _) => Invpcid(c, 0, 1, First));
        yield return Case("invpcid 0 of the second", New, Old, Old, Old, (c, _) => Invpcid(c, 0, 2, First + 0x800));
        yield return Case("invpcid 0 of another page", Old, Old, Old, Old, (c, _) => Invpcid(c, 0, 2, Second));
        yield return Case("invpcid 0 of another pcid", Old, Old, Old, Old, (c, _) => Invpcid(c, 0, 3, First));
        yield return Case("invpcid 1 of the first", Old, New, Old, Old, (c, _) => Invpcid(c, 1, 1, 0));
        yield return Case("invpcid 1 of the second", New, Old, Old, Old, (c, _) => Invpcid(c, 1, 2, 0));
        yield return Case("invpcid 2", New, New, New, New, (c, _) => Invpcid(c, 2, 0, 0));
        yield return Case("invpcid 3", New, New, Old, Old, (c, _) => Invpcid(c, 3, 0, 0));
        yield return Case("cr4.pge", New, New, New, New, (c, _) => Toggle(c, Cr4.PGE));
        yield return Case("cr4.smep from 0 to 1", New, Old, New, New, (c, _) => Toggle(c, Cr4.SMEP));
        yield return Case("cr4.osxmmexcpt", Old, Old, Old, Old, (c, _) => Toggle(c, Cr4.OSXMMEXCPT));

        static TestCaseData Case(string name, ulong second, ulong first, ulong globalSecond, ulong globalFirst, Action<Assembler, ulong> write) =>
            new TestCaseData(second, first, globalSecond, globalFirst, write).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Instructions))]
    public void OfTwoPcids(ulong second, ulong first, ulong globalSecond, ulong globalFirst, Action<Assembler, ulong> write)
    {
        foreach (TlbMode mode in Enum.GetValues<TlbMode>())
        {
            Assert.That(Run(mode, global: false, write), Is.EqualTo((second, first)), $"{mode}");
            Assert.That(Run(mode, global: true, write), Is.EqualTo((globalSecond, globalFirst)), $"{mode}, global");
        }
    }

    /// <summary>Changes of rights drop no translation and take effect at once.</summary>
    [Test]
    public void ChangesOfRightsAreSeenThroughWhatIsCached([Values] TlbMode mode)
    {
        using TestMachine machine = new(tlb: mode);
        machine[EntryOf(machine, First)] &= ~PageTableEntry.RWBit;
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            c.mov(rbx, cr0);
            c.mov(rax, rbx);
            c.and(eax, ~0x1_0000);
            c.mov(cr0, rax);
            c.mov(__qword_ptr[First], 7);
            c.mov(cr0, rbx);
            c.mov(__qword_ptr[First], 9);
        });
        Assert.That((machine.Handled, machine.State.Cr2, machine[First]), Is.EqualTo((14, First, 7ul)));
    }

    [Test]
    public void WrpkruWalksNothingAndBindsAtOnce([Values] TlbMode mode)
    {
        using TestMachine machine = new(tlb: mode);
        const ulong Page = TestMachine.UserData + 0x1000;
        machine[EntryOf(machine, Page)] |= 5UL << 59;
        machine.State.Cr4 |= Cr4.PKE;
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            Wrpkru(c, 0);
            c.mov(__qword_ptr[Page], 3);
        });
        ulong walks = machine.Cpu.Counters.Walks;
        machine.Kernel(c =>
        {
            Wrpkru(c, 0x5555_5555 & ~(3u << 10));
            c.mov(rbx, __qword_ptr[Page]);
            Wrpkru(c, 0);
            c.mov(__qword_ptr[Page], 4);
            Wrpkru(c, 2u << 10);
            c.mov(rcx, __qword_ptr[Page]);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.Null);
            Assert.That(machine.Cpu.Counters.Walks, Is.EqualTo(walks));
            Assert.That((machine.State.Gpr[GeneralRegister.Rbx], machine.State.Gpr[GeneralRegister.Rcx]), Is.EqualTo((3ul, 4ul)));
        }

        machine.Kernel(c => c.mov(__qword_ptr[Page], 5));
        Assert.That((machine.Handled, machine.State.Cr2, machine[Page]), Is.EqualTo((14, Page, 4ul)));
    }

    [Test]
    public void TheKeysOfAWordAreThoseOfItsPairsOfBits()
    {
        OperandSource source = new(3);
        for (int i = 0; i < 1000; i++)
        {
            uint word = (uint)source.NextBits() & (uint)source.NextBits() & (uint)source.NextBits();
            uint expected = 0;
            for (int key = 0; key < 16; key++)
            {
                expected |= ((word >> (2 * key)) & 3) != 0 ? 1u << key : 0;
            }

            Assert.That(ProtectionKeys.KeysOf(word), Is.EqualTo(expected));
            Assert.That(ProtectionKeys.Gather((word | (word >> 1)) & 0x5555_5555), Is.EqualTo(expected));
        }
    }

    private static (ulong Second, ulong First) Run(TlbMode mode, bool global, Action<Assembler, ulong> write)
    {
        using TestMachine machine = new(tlb: mode);
        machine[First] = Old;
        machine[Second] = New;
        ulong root = machine.State.Cr3;
        ulong entry = EntryOf(machine, First);
        machine[entry] |= global ? PageTableEntry.GBit : 0;
        machine.State.Cr4 |= Cr4.PCIDE;
        machine.State.Cr3 = root | 1;
        machine.Cpu.FlushTlb();
        machine.Kernel(c =>
        {
            c.mov(rbx, __qword_ptr[First]);
            Load(c, root | 2);
            c.mov(rcx, __qword_ptr[First]);
            c.mov(rdi, entry);
            c.mov(rax, (machine[entry] & ~PageTableEntry.AddressMask4K) | Second);
            c.mov(__qword_ptr[rdi], rax);
            write(c, root);
            c.mov(r8, __qword_ptr[First]);
            Load(c, root | 1 | Keep);
            c.mov(r9, __qword_ptr[First]);
        });
        Assert.That(machine.Handled, Is.Null);
        Assert.That((machine.State.Gpr[GeneralRegister.Rbx], machine.State.Gpr[GeneralRegister.Rcx]), Is.EqualTo((Old, Old)));
        return (machine.State.Gpr[8], machine.State.Gpr[9]);
    }

    private static void Load(Assembler c, ulong value)
    {
        c.mov(rax, value);
        c.mov(cr3, rax);
    }

    private static void Toggle(Assembler c, ulong bit)
    {
        c.mov(rax, cr4);
        c.xor(rax, (int)bit);
        c.mov(cr4, rax);
    }

    private static void Wrpkru(Assembler c, uint value)
    {
        c.xor(ecx, ecx);
        c.xor(edx, edx);
        c.mov(eax, value);
        c.wrpkru();
    }

    private static void Invpcid(Assembler c, int type, ulong pcid, ulong address)
    {
        c.mov(rax, pcid);
        c.mov(__qword_ptr[Descriptor], rax);
        c.mov(rax, address);
        c.mov(__qword_ptr[Descriptor + 8], rax);
        c.mov(eax, type);
        c.invpcid(rax, __[Descriptor]);
    }

    private static ulong EntryOf(TestMachine machine, ulong gva) =>
        machine.Cpu.Memory.Walk(gva, new WalkAccess(AccessKind.Read, User: false, Implicit: true)).EntryAddress.Value;
}
