using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class MemoryTypeReportTests
{
    private const byte Bits = 40;
    private const ulong Physical = (1UL << Bits) - 1;

    // What SeaBIOS sets, and WC and WP over a frame buffer.
    private static readonly MemoryTypeRanges ranges = new(
        0xC06,
        [0x0606_0606_0606_0606, 0x0606_0606_0606_0606, 0, .. Enumerable.Repeat(0x0505_0505_0505_0505ul, 8)],
        [0xC000_0000, (Physical & ~0x3FFF_FFFFul) | 0x800, 0x8000_0001, (Physical & ~0xFF_FFFFul) | 0x800, 0x8000_0005, (Physical & ~0x7F_FFFFul) | 0x800],
        Bits);

    [TestCase(0x20_1000ul, 0ul, 12, "WB: PAT entry 0 (WB), MTRR default (WB)")]
    [TestCase(0xA_4000ul, 0ul, 12, "UC: PAT entry 0 (WB), MTRR fixed 0xa4000..0xa7fff (UC)")]
    [TestCase(0x1_2345ul, 8ul, 12, "WT: PAT entry 1 (WT), MTRR fixed 0x10000..0x1ffff (WB)")]
    [TestCase(0xF_E123ul, 0ul, 12, "WP: PAT entry 0 (WB), MTRR fixed 0xfe000..0xfefff (WP)")]
    [TestCase(0xD000_0000ul, 0x10ul, 21, "UC: PAT entry 2 (UC-), MTRR 0 (UC)")]
    [TestCase(0x8080_0000ul, 0ul, 12, "WC: PAT entry 0 (WB), MTRR 1 (WC)")]
    [TestCase(0x8000_0000ul, 0ul, 12, "UC: PAT entry 0 (WB), MTRR 1 and 2 (UC, since their overlap is undefined)")]
    [TestCase(0x20_0000ul, 0x1018ul, 21, "UC: PAT entry 7 (UC), MTRR default (WB)")]
    [TestCase(0x15_0000ul, 0ul, 21, "WB: PAT entry 0 (WB), MTRR default (WB); the page spans fixed MTRRs of types UC, WP, WB, and is cached as pages of 4 KiB")]
    [TestCase(0x9000_0000ul, 0ul, 30, "WB: PAT entry 0 (WB), MTRR default (WB); the page spans MTRR types UC, WC, WB, which is undefined")]
    public void APageInOneLine(ulong address, ulong flags, int shift, string line) =>
        Assert.That(MemoryTypeReport.Of(Typing(), Page(address, flags, shift)).ToString(), Is.EqualTo(line));

    [Test]
    public void OtherProcessorsAndStates()
    {
        WalkResult page = Page(0x20_1000, 0x10, 12);
        MemoryTypeRanges off = new(0x406, new ulong[11], [], Bits);
        using (Assert.EnterMultipleScope())
        {
            Assert.That($"{MemoryTypeReport.Of(Typing() with { CacheDisabled = true }, page)}", Is.EqualTo("UC: CR0.CD is 1"));
            Assert.That($"{MemoryTypeReport.Of(Typing() with { Pat = null }, page)}", Is.EqualTo("UC: PCD 1, PWT 0, MTRR default (WB)"));
            Assert.That($"{MemoryTypeReport.Of(Typing() with { Ranges = off }, page)}", Is.EqualTo("UC: PAT entry 2 (UC-), MTRRs off (UC)"));
            Assert.That($"{MemoryTypeReport.Of(Typing() with { Ranges = MemoryTypeRanges.Absent }, page)}", Is.EqualTo("UC: PAT entry 2 (UC-), no MTRRs (WB)"));
            Assert.That($"{MemoryTypeReport.Of(Typing(), page with { Level = 0 })}", Is.EqualTo("WB: no paging (WB), MTRR default (WB)"));
            Assert.That($"{MemoryTypeReport.Of(Typing() with { Pat = null }, page with { Level = 0 })}", Is.EqualTo("WB: no paging, MTRR default (WB)"));
        }
    }

    [Test]
    public void OtherAccesses()
    {
        PatSelection pat = new(MemoryType.WB, 0, PatSource.Page);
        PagingState state = new(0x8001_0001, 0x1008, 0x20, 0xD00, false, Bits);
        Gpa at = new(0x20_0000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(MemoryTypeReport.Describe(EptMemoryType.OfAccess(0x37, pat, false), at), Is.EqualTo("PAT entry 0 (WB), EPT entry (WB)"));
            Assert.That(MemoryTypeReport.Describe(EptMemoryType.OfAccess(0x77, pat, false), at), Is.EqualTo("EPT entry (WB), which ignores the PAT"));
            Assert.That(MemoryTypeReport.Describe(EptMemoryType.OfStructure(0x1006, false), at), Is.EqualTo("EPTP (WB)"));
            Assert.That(MemoryTypeReport.Describe(Typing().OfRootEntry(state, at), at), Is.EqualTo("PAT entry 1 by CR3 (WT), MTRR default (WB)"));
            Assert.That(MemoryTypeReport.Describe(Typing().OfRootEntry(state with { Cr4 = 0x2_0020 }, at), at), Is.EqualTo("PAT entry 0 with CR4.PCIDE (WB), MTRR default (WB)"));
        }
    }

    private static MemoryTyping Typing() => new(CacheDisabled: false, new PageAttributeTable(PageAttributeTable.ResetValue), ranges);

    private static WalkResult Page(ulong address, ulong flags, int shift) => new()
    {
        Gpa = new Gpa(address),
        Entry = new PageTableEntry((address >> shift << shift) | flags | 1),
        PageShift = shift,
        Level = ((shift - 12) / 9) + 1,
    };
}
