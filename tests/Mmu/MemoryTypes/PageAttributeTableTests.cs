using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Which entry of the PAT each access goes by: found by walks of each mode and page size (SDM Vol. 3A, "Paging and Memory Typing").</summary>
[TestFixture]
internal sealed class PageAttributeTableTests
{
    /// <summary>Eight entries that tell themselves apart as far as six types do.</summary>
    private const ulong Pat = 0x0007_0504_0601_0507;

    private const ulong Cr0 = 0x8001_0001, Pse = 0x10, Pae = 0x20, Pcide = 1 << 17, LongMode = 0xD00;

    [Test]
    public void AfterResetItHasTheSdmsTypes()
    {
        PageAttributeTable pat = new(PageAttributeTable.ResetValue);
        Assert.That(Enumerable.Range(0, 8).Select(i => MemoryTypeEncoding.Name(pat[i])), Is.EqualTo(SdmMemoryTypes.PatAfterReset));
        Assert.That(() => pat[8], Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => pat[-1], Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    /// <summary>The PAT flag is bit 7 of a PTE and bit 12 of every larger page, that of 32-bit paging with 4 MiB too.</summary>
    [Test]
    public void APageIsTypedByItsOwnEntry(
        [Values("4-level 4K", "4-level 2M", "4-level 1G", "PAE 4K", "PAE 2M", "32-bit 4K", "32-bit 4M")] string page,
        [Range(0, 7)] int index,
        [Values(0ul, 0x18ul)] ulong above)
    {
        ulong flags = ((index & 1) != 0 ? 8u : 0) | ((index & 2) != 0 ? 0x10u : 0);
        bool large = !page.EndsWith("4K", StringComparison.Ordinal);
        flags |= (index & 4) != 0 ? large ? 0x1000u : 0x80u : 0;
        flags |= large ? 0x83u : 0x3;
        (WalkResult walk, int shift) = Walk(page, flags, above);
        MemoryTyping typing = new(CacheDisabled: false, new PageAttributeTable(Pat), MemoryTypeRanges.Absent);
        PatSelection selection = typing.SelectionOf(walk);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((walk.Failure, walk.PageShift), Is.EqualTo((WalkFailure.None, shift)));
            Assert.That(selection, Is.EqualTo(new PatSelection((MemoryType)(byte)(Pat >> (8 * index)), index, PatSource.Page)));
            Assert.That(typing with { Pat = null } is { } without ? without.SelectionOf(walk).Index : -1, Is.EqualTo(index & 3));
        }
    }

    [TestCase(Pae, LongMode, 0x1018ul, ExpectedResult = "3 Cr3", TestName = "4-level")]
    [TestCase(Pae, LongMode, 0x1008ul, ExpectedResult = "1 Cr3", TestName = "4-level, PWT")]
    [TestCase(Pae, LongMode, 0x1010ul, ExpectedResult = "2 Cr3", TestName = "4-level, PCD")]
    [TestCase(Pae | Pcide, LongMode, 0x1018ul, ExpectedResult = "0 Cr3WithPcid", TestName = "4-level with PCIDs: bits 4:3 are the PCID's")]
    [TestCase(Pae, 0x800ul, 0x1018ul, ExpectedResult = "3 Cr3", TestName = "PAE: the PDPTEs when they are loaded")]
    [TestCase(Pse, 0ul, 0x1010ul, ExpectedResult = "2 Cr3", TestName = "32-bit")]
    public string TheRootIsTypedByCr3(ulong cr4, ulong efer, ulong cr3)
    {
        PatSelection selection = new PageAttributeTable(Pat).ForRoot(new PagingState(Cr0, cr3, cr4, efer, false, 40));
        Assert.That(selection.Type, Is.EqualTo((MemoryType)(byte)(Pat >> (8 * selection.Index))));
        return $"{selection.Index} {selection.Source}";
    }

    /// <summary>Bits 7 and 12 of an entry that references a table select nothing.</summary>
    [TestCase(0x1003ul, 0)]
    [TestCase(0x108Bul, 1)]
    [TestCase(0x1013ul, 2)]
    [TestCase(0x101Bul, 3)]
    public void ATableIsTypedByTheEntryAbove(ulong above, int index) =>
        Assert.That(new PageAttributeTable(Pat).ForTable(new PageTableEntry(above)),
            Is.EqualTo(new PatSelection((MemoryType)(byte)(Pat >> (8 * index)), index, PatSource.EntryAbove)));

    [Test]
    public void WithoutPagingTheTypeIsTheMtrrs()
    {
        SparseTables tables = new(0);
        NoWalkObserver none = default;
        WalkResult walk = PageWalker.Walk(ref tables, new PagingState(1, 0, 0, 0, false, 40), new Gva(0x1234), new WalkAccess(AccessKind.Read, false), ref none);
        MemoryTypeRanges through = new(0x804, new ulong[11], [], 40);
        MemoryTypeDecision decision = new MemoryTyping(false, new PageAttributeTable(0), through).OfPage(walk);
        Assert.That((decision.Type, decision.Pat.Source), Is.EqualTo((MemoryType.WT, PatSource.NoPaging)));
    }

    [Test]
    public void CacheDisableMakesEverythingUncacheable()
    {
        (WalkResult walk, _) = Walk("4-level 4K", 3, 0);
        MemoryTypeRanges back = new(0x806, new ulong[11], [], 40);
        MemoryTyping typing = new(CacheDisabled: true, new PageAttributeTable(Pat), back);
        PagingState state = new(Cr0, 0x1000, Pae, LongMode, false, 40);
        MemoryTypeDecision[] all = [typing.OfPage(walk), typing.OfRootEntry(state, new Gpa(0x1000)), typing.OfTableEntry(new PageTableEntry(3), new Gpa(0x2000))];
        Assert.That(all.Select(decision => (decision.Type, decision.Cause)), Is.All.EqualTo((MemoryType.UC, MemoryTypeCause.CacheDisabled)));
        Assert.That((typing with { CacheDisabled = false }).OfRootEntry(state, new Gpa(0x1000)).Type, Is.EqualTo(MemoryType.UC), "PAT entry 0 is UC-");
    }

    private static (WalkResult Walk, int Shift) Walk(string page, ulong leafFlags, ulong above)
    {
        const ulong leaf = 0x4000_0000;
        above |= 3;
        (ulong cr4, ulong efer, int shift, ulong[] entries) = page switch
        {
            "4-level 4K" => (Pae, LongMode, 12, (ulong[])[0x2000 | above, 0x3000 | above, 0x4000 | above, leaf | leafFlags]),
            "4-level 2M" => (Pae, LongMode, 21, [0x2000 | above, 0x3000 | above, leaf | leafFlags]),
            "4-level 1G" => (Pae, LongMode, 30, [0x2000 | above, leaf | leafFlags]),
            "PAE 4K" => (Pae, 0x800ul, 12, [0x2000 | above, leaf | leafFlags]),
            "PAE 2M" => (Pae, 0x800ul, 21, [leaf | leafFlags]),
            "32-bit 4K" => (Pse, 0ul, 12, [0x2000 | above, leaf | leafFlags]),
            _ => (Pse, 0ul, 22, [leaf | leafFlags]),
        };
        SparseTables tables = new(entries.Length);
        for (int i = 0; i < entries.Length; i++)
        {
            tables.Addresses[i] = 0x1000ul * (ulong)(i + 1);
            tables.Words[i] = entries[i];
        }

        PagingState state = new(Cr0, 0x1000, cr4, efer, false, 40, Pdptes: new PdpteRegisters(0x1001, 0, 0, 0));
        NoWalkObserver none = default;
        return (PageWalker.Walk(ref tables, state, new Gva(0), new WalkAccess(AccessKind.Read, false), ref none), shift);
    }
}
