using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class ElfImageTests
{
    private const ulong Ram = 1 << 20;

    [Test]
    public void A_good_file_gives_its_segments_entry_ring_and_symbols()
    {
        byte[] file = new ElfBuilder { Entry = ElfBuilder.Code + 2 }.Build();

        ElfImage image = ElfImage.Parse(file, Ram);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(image.Entry, Is.EqualTo(new Gva(0x401002)));
            Assert.That(image.Ring, Is.EqualTo(3));
            Assert.That(image.Segments, Has.Count.EqualTo(2));
            Assert.That(image.Segments[0].Rights, Is.EqualTo(SegmentRights.Read | SegmentRights.Execute));
            Assert.That(image.Segments[0].Contents.ToArray(), Is.EqualTo(new byte[] { 0x31, 0xc0, 0x0f, 0x05, 0x90, 0x90, 0xeb, 0xfe }));
            Assert.That(image.Segments[1].Rights, Is.EqualTo(SegmentRights.Read | SegmentRights.Write));
            Assert.That(image.Segments[1].Contents.ToArray(), Is.EqualTo(new byte[] { 1, 2, 3, 4 }));
            Assert.That(image.Segments[1].MemorySize, Is.EqualTo(0x1800));
            Assert.That(image.Segments[1].Last, Is.EqualTo(new Gva(0x4037ff)));
            Assert.That(image.Symbols.Count, Is.EqualTo(3));
            Assert.That(image.Symbols[0], Is.EqualTo(new Symbol("_start", new Gva(0x401000), 8, true)));
        }
    }

    [Test]
    public void Segments_come_sorted_by_address()
    {
        byte[] file = new ElfBuilder { CodeAddress = 0xffff_ffff_8000_0000, Symbols = [] }.Build();

        ElfImage image = ElfImage.Parse(file, Ram);

        Assert.That(image.Segments.Select(s => s.Address.Value), Is.EqualTo(new[] { 0x402000UL, 0xffff_ffff_8000_0000 }));
    }

    [TestCase(0u, 0)]
    [TestCase(3u, 3)]
    [TestCase(null, 0)]
    public void The_note_chooses_the_ring_and_zero_is_the_default(uint? note, int ring) =>
        Assert.That(ElfImage.Parse(new ElfBuilder { Ring = note }.Build(), Ram).Ring, Is.EqualTo(ring));

    [Test]
    public void Notes_of_others_are_passed_over()
    {
        var builder = new ElfBuilder();
        byte[] file = builder.Build();
        file[builder.NoteAt + 12] = (byte)'q';

        Assert.That(ElfImage.Parse(file, Ram).Ring, Is.Zero);
    }

    [Test]
    public void A_file_without_sections_has_no_symbols() =>
        Assert.That(ElfImage.Parse(new ElfBuilder { HasSections = false }.Build(), Ram).Symbols.Count, Is.Zero);

    [Test]
    public void A_page_that_segments_share_counts_once()
    {
        byte[] file = new ElfBuilder { DataAddress = ElfBuilder.Code + 0x10, Symbols = [] }.Build();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(ElfImage.Parse(file, 2 * 4096).Segments, Has.Count.EqualTo(2));
            Assert.That(Refusal(file, 2 * 4096 - 1), Does.Contain("does not fit in the RAM"));
        }
    }

    private static IEnumerable<TestCaseData> BadFiles()
    {
        const int code = ElfBuilder.CodeHeader, data = ElfBuilder.DataHeader, note = ElfBuilder.NoteHeader;
        yield return Case("magic", "7f 45 4c 46", (f, _) => f[0] = 0);
        yield return Case("32-bit class", "EI_CLASS", (f, _) => f[4] = 1);
        yield return Case("big endian", "EI_DATA", (f, _) => f[5] = 2);
        yield return Case("ident version", "EI_VERSION", (f, _) => f[6] = 0);
        yield return Case("object file", "e_type", (f, _) => f[16] = 1);
        yield return Case("position independent", "ET_DYN", (f, _) => f[16] = 3);
        yield return Case("arm", "e_machine", (f, _) => f[18] = 183);
        yield return Case("version", "e_version", (f, _) => f[20] = 2);
        yield return Case("header size", "e_ehsize", (f, _) => f[52] = 52);
        yield return Case("program header size", "e_phentsize", (f, _) => f[54] = 32);
        yield return Case("no program headers", "e_phnum", (f, _) => f[56] = 0);
        yield return Case("too many program headers", "e_phnum", (f, _) => ElfBuilder.Put16(f, 56, 0xffff));
        yield return Case("program headers leave the file", "e_phnum", (f, _) => ElfBuilder.Put16(f, 56, 1000));
        yield return Case("program headers on the file header", "e_phoff", (f, _) => ElfBuilder.Put64(f, 32, 0));
        yield return Case("program header offset wraps", "e_phoff", (f, _) => ElfBuilder.Put64(f, 32, ulong.MaxValue - 8));
        yield return Case("sections on the file header", "e_shoff", (f, _) => ElfBuilder.Put64(f, 40, 32));
        yield return Case("section offset wraps", "e_shoff", (f, _) => ElfBuilder.Put64(f, 40, ulong.MaxValue));
        yield return Case("section header size", "e_shentsize", (f, _) => f[58] = 40);
        yield return Case("extended section numbers", "e_shnum", (f, _) => f[60] = 0);
        yield return Case("sections nowhere", "e_shnum", (f, _) => ElfBuilder.Put64(f, 40, 0));
        yield return Case("interpreter", "PT_INTERP", (f, _) => f[note] = 3);
        yield return Case("dynamic", "PT_DYNAMIC", (f, _) => f[note] = 2);
        yield return Case("file size over memory size", "p_filesz", (f, _) => ElfBuilder.Put64(f, code + 40, 7));
        yield return Case("contents leave the file", "PT_LOAD program header 1", (f, _) => ElfBuilder.Put64(f, data + 8, (ulong)f.Length - 3));
        yield return Case("contents offset wraps", "PT_LOAD program header 1", (f, _) => ElfBuilder.Put64(f, data + 8, ulong.MaxValue));
        yield return Case("contents size wraps", "PT_LOAD program header 1", (f, _) =>
        {
            ElfBuilder.Put64(f, data + 32, ulong.MaxValue);
            ElfBuilder.Put64(f, data + 40, ulong.MaxValue);
        });
        yield return Case("memory size wraps", "wraps or is not canonical", (f, _) => ElfBuilder.Put64(f, data + 40, ulong.MaxValue));
        yield return Case("address not canonical", "wraps or is not canonical", (f, _) => ElfBuilder.Put64(f, data + 16, 0x8000_0000_0000));
        yield return Case("segment ends in the hole", "wraps or is not canonical", (f, _) => ElfBuilder.Put64(f, data + 16, 0x7fff_ffff_f000));
        yield return Case("segment ends beyond 2^64", "wraps or is not canonical", (f, _) => ElfBuilder.Put64(f, data + 16, 0xffff_ffff_ffff_f000));
        yield return Case("segments overlap", "overlap", (f, _) => ElfBuilder.Put64(f, data + 16, ElfBuilder.Code + 7));
        yield return Case("segment larger than RAM", "does not fit in the RAM", (f, _) => ElfBuilder.Put64(f, data + 40, Ram));
        yield return Case("entry in data", "executable segment", (f, _) => ElfBuilder.Put64(f, 24, ElfBuilder.Data));
        yield return Case("entry just past the code", "executable segment", (f, _) => ElfBuilder.Put64(f, 24, ElfBuilder.Code + 8));
        yield return Case("note leaves the file", "PT_NOTE program header 2", (f, _) => ElfBuilder.Put64(f, note + 32, 1 << 20));
        yield return Case("note name too long", "PT_NOTE program header 2", (f, b) => ElfBuilder.Put32(f, b.NoteAt, uint.MaxValue));
        yield return Case("note data too long", "PT_NOTE program header 2", (f, b) => ElfBuilder.Put32(f, b.NoteAt + 4, uint.MaxValue));
        yield return Case("ring note of two bytes", "4-byte word", (f, b) => ElfBuilder.Put32(f, b.NoteAt + 4, 2));
        yield return Case("ring 1", "asks for ring 1", (f, b) => f[b.NoteAt + 24] = 1);
        yield return Case("symbol size", "sh_entsize", (f, b) => f[b.SectionsAt + 64 + 56] = 16);
        yield return Case("symbols leave the file", "symbol table, section 1", (f, b) => ElfBuilder.Put64(f, b.SectionsAt + 64 + 32, 24UL << 50));
        yield return Case("half a symbol", "sh_entsize", (f, b) => ElfBuilder.Put64(f, b.SectionsAt + 64 + 32, 25));
        yield return Case("string table out of range", "sh_link 9", (f, b) => f[b.SectionsAt + 64 + 40] = 9);
        yield return Case("symbol table as its own names", "not a string table", (f, b) => f[b.SectionsAt + 64 + 40] = 1);
        yield return Case("names leave the file", "string table, section 2", (f, b) => ElfBuilder.Put64(f, b.SectionsAt + 128 + 24, ulong.MaxValue));
        yield return Case("last name unterminated", "not terminated", (f, b) => f[b.SymbolsAt - 1] = (byte)'x');
        yield return Case("two symbol tables", "second symbol table", (f, b) => f[b.SectionsAt + 128 + 4] = 2);

        static TestCaseData Case(string name, string expected, Action<byte[], ElfBuilder> damage) =>
            new TestCaseData(damage, expected).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(BadFiles))]
    public void A_bad_file_is_refused_in_one_line_that_says_where(object damage, string expected)
    {
        var builder = new ElfBuilder();
        byte[] file = builder.Build();
        ((Action<byte[], ElfBuilder>)damage)(file, builder);

        string? message = Refusal(file, Ram);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(message, Does.Contain(expected));
            Assert.That(message, Does.Not.Contain("\n"));
        }
    }

    [Test]
    public void Notes_that_disagree_and_notes_that_overlap_are_refused()
    {
        byte[] file = new ElfBuilder { HasSections = false }.Build();
        byte[] second = [.. file, .. file[^28..]];
        second[^4] = 0;
        ElfBuilder.Put64(second, ElfBuilder.NoteHeader + 32, 56);
        byte[] overlapping = [.. file, .. Enumerable.Repeat(file[^28..], 20).SelectMany(note => note)];
        for (int header = ElfBuilder.DataHeader; header <= ElfBuilder.NoteHeader; header += 56)
        {
            ElfBuilder.Put32(overlapping, header, 4);
            ElfBuilder.Put64(overlapping, header + 8, (ulong)file.Length - 28);
            ElfBuilder.Put64(overlapping, header + 32, 21 * 28);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Refusal(second, Ram), Does.Contain("ring 3 and for ring 0"));
            Assert.That(Refusal(overlapping, Ram), Does.Contain("longer than the file"));
        }
    }

    [TestCase("", "7f 45 4c 46")]
    [TestCase("int main", "7f 45 4c 46")]
    [TestCase("\u007fELF", "0x40 bytes at file offset 0x0")]
    public void A_short_file_is_told_apart_from_one_that_is_no_ELF(string text, string expected) =>
        Assert.That(Refusal(System.Text.Encoding.ASCII.GetBytes(text), Ram), Does.Contain(expected));

    [TestCase(true)]
    [TestCase(false)]
    public void A_file_cut_short_anywhere_is_refused(bool hasSections)
    {
        byte[] file = new ElfBuilder { HasSections = hasSections }.Build();
        int[] accepted = [.. Enumerable.Range(0, file.Length).Where(length => Refusal(file[..length], Ram) is null)];

        Assert.That(accepted, Is.Empty);
    }

    [Test]
    public void Twenty_thousand_damaged_files_end_in_an_image_or_a_refusal_within_bounded_memory()
    {
        byte[] good = new ElfBuilder().Build();
        var random = new Random(16550);
        int refused = 0;
        long most = 0;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] file = [.. good];
            for (int flips = random.Next(1, 5); flips > 0; flips--)
            {
                file[random.Next(file.Length)] = (byte)(random.Next(3) == 0 ? 0xff : random.Next(256));
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            refused += Refusal(file, Ram) is null ? 0 : 1;
            most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(refused, Is.InRange(1_000, 19_000), "the damage reached both outcomes");
            Assert.That(most, Is.LessThan(64 * 1024));
        }
    }

    [Test]
    public void Many_symbols_that_share_one_long_name_cost_no_more_than_the_file()
    {
        string name = new('n', 200_000);
        var builder = new ElfBuilder { Symbols = [(name, ElfBuilder.Code, 0, 0x12), .. Enumerable.Repeat(("", ElfBuilder.Code, 0UL, (byte)0x12), 20_000)] };
        byte[] file = builder.Build();
        for (int i = 1; i <= 20_001; i++)
        {
            ElfBuilder.Put32(file, builder.SymbolsAt + i * 24, 1);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        ElfImage image = ElfImage.Parse(file, Ram);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(image.Symbols.Count, Is.EqualTo(20_001));
            Assert.That(allocated, Is.LessThan(8L * file.Length));
            Assert.That(image.Symbols[0].Name, Has.Length.EqualTo(1024));
        }
    }

    private static string? Refusal(byte[] file, ulong ram)
    {
        try
        {
            _ = ElfImage.Parse(file, ram);
            return null;
        }
        catch (ImageFormatException refusal)
        {
            return refusal.Message;
        }
    }
}
