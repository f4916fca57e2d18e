using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class MultibootImageTests
{
    [Test]
    public void AnElfFileLiesAtItsPhysicalAddresses()
    {
        var image = MultibootImage.Parse(MultibootBuilder.Elf(flags: 3));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(image.Entry, Is.EqualTo(0x10_0010u), "the entry's physical address");
            Assert.That(image.Segments.Select(s => (s.Address, s.MemorySize, s.Contents.Length)), Is.EqualTo(new[] { (0x10_0000u, 0x40u, 0x40), (0x10_2000u, 0x1801u, 4) }));
            Assert.That(image.Start, Is.EqualTo(0x10_0000u));
            Assert.That(image.End, Is.EqualTo(0x10_3801ul));
        }
    }

    [TestCase(0x10_0100u, 0x10_1000u, 0x100, 0x1000u)]
    [TestCase(0u, 0u, 0x180, 0x180u, Description = "the rest of the file, and no more")]
    [TestCase(0x10_0100u, 0u, 0x100, 0x100u)]
    [TestCase(0u, 0x10_2000u, 0x180, 0x2000u)]
    public void AddressFieldsPlaceTheFile(uint loadEnd, uint bssEnd, int contents, uint size)
    {
        var image = MultibootImage.Parse(MultibootBuilder.Flat(loadEnd: loadEnd, bssEnd: bssEnd));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(image.Entry, Is.EqualTo(0x10_00a0u));
            Assert.That(image.Segments.Select(s => (s.Address, s.MemorySize, s.Contents.Length)), Is.EqualTo(new[] { (0x10_0000u, size, contents) }));
            Assert.That(image.Segments[0].Contents.Span[0], Is.EqualTo(0x5a), "from the file offset that load_addr has");
        }
    }

    [TestCase(0, true)]
    [TestCase(4, true)]
    [TestCase(6, false, Description = "not aligned")]
    [TestCase(8180, true, Description = "the last place")]
    [TestCase(8184, false, Description = "reaches beyond 8 KiB")]
    public void TheHeaderIsInTheFirst8KiB(int at, bool found)
    {
        byte[] file = new byte[16_384];
        MultibootBuilder.Header(file, 0, at);

        Assert.That(MultibootImage.IsMultiboot(file), Is.EqualTo(found));
    }

    private static IEnumerable<TestCaseData> BadFiles()
    {
        yield return Case("empty", "no multiboot header", () => []);
        yield return Case("checksum", "no multiboot header", () => Elf(f => f[MultibootBuilder.HeaderAt + 8]++));
        yield return Case("requirement", "0x8 require", () => MultibootBuilder.Elf(8));
        yield return Case("no ELF", "7f 45 4c 46", () => Elf(f => f[0] = 0));
        yield return Case("x86-64", "32-bit one", () => Elf(f => f[18] = 62));
        yield return Case("arm", "e_machine", () => Elf(f => f[18] = 40));
        yield return Case("class", "EI_CLASS", () => Elf(f => f[4] = 2));
        yield return Case("endian", "EI_DATA", () => Elf(f => f[5] = 2));
        yield return Case("entry size", "e_phentsize", () => Elf(f => f[42] = 56));
        yield return Case("nothing to load", "nothing to load", () => Elf(f => f[44] = 0));
        yield return Case("program headers outside", "e_phoff", () => Elf(f => ElfBuilder.Put32(f, 28, uint.MaxValue)));
        yield return Case("contents outside", "PT_LOAD program header 1", () => Elf(f => ElfBuilder.Put32(f, MultibootBuilder.SecondHeader + 4, 0x1fe)));
        yield return Case("file size", "p_filesz", () => Elf(f => ElfBuilder.Put32(f, MultibootBuilder.FirstHeader + 16, 0x41)));
        yield return Case("overlap", "overlap", () => Elf(f => ElfBuilder.Put32(f, MultibootBuilder.SecondHeader + 12, 0x10_003f)));
        yield return Case("beyond 4 GiB", "beyond 4 GiB", () => Elf(f => ElfBuilder.Put32(f, MultibootBuilder.SecondHeader + 12, 0xffff_f000)));
        yield return Case("header below load", "before its file begins", () => MultibootBuilder.Flat(headerAddress: 0xf_ffff));
        yield return Case("load below file", "before its file begins", () => MultibootBuilder.Flat(headerAddress: MultibootBuilder.Start + 0x104));
        yield return Case("load end", "load_end_addr", () => MultibootBuilder.Flat(loadEnd: 0xf_ffff));
        yield return Case("bss end", "bss_end_addr", () => MultibootBuilder.Flat(bssEnd: 0x10_00ff));
        yield return Case("load outside", "outside the file", () => MultibootBuilder.Flat(loadEnd: 0x10_0181, bssEnd: 0));
        yield return Case("nothing", "0x0 bytes", () => MultibootBuilder.Flat(loadEnd: MultibootBuilder.Start, bssEnd: 0));
        yield return Case("fields outside", "address fields", () => MultibootBuilder.Flat()[..0x110]);

        static TestCaseData Case(string name, string expected, Func<byte[]> make) => new TestCaseData(make, expected).SetArgDisplayNames(name);

        static byte[] Elf(Action<byte[]> damage)
        {
            byte[] file = MultibootBuilder.Elf();
            damage(file);
            return file;
        }
    }

    [TestCaseSource(nameof(BadFiles))]
    public void ABadFileIsRefusedInOneLine(Func<byte[]> make, string expected)
    {
        byte[] file = make();

        Assert.That(
            () => MultibootImage.Parse(file),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains(expected).And.Message.Not.Contains("\n"));
    }

    [Test]
    public void DamagedFilesEndInAnImageOrARefusal()
    {
        var random = new Random(0x1bad);
        int refused = 0;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] file = i % 2 == 0 ? MultibootBuilder.Elf() : MultibootBuilder.Flat();
            for (int flips = random.Next(1, 6); flips > 0; flips--)
            {
                int at = i % 2 == 0 ? random.Next(116) : MultibootBuilder.HeaderAt + random.Next(32);
                file[at] = (byte)(random.Next(3) == 0 ? 0xff : random.Next(256));
            }

            try
            {
                var image = MultibootImage.Parse(file);
                Assert.That(image.End, Is.LessThanOrEqualTo(1UL << 32));
            }
            catch (ImageFormatException)
            {
                refused++;
            }
        }

        Assert.That(refused, Is.InRange(1_000, 19_900));
    }

    [TestCase("env", "env")]
    [TestCase("env a b,disk x", "env a b|disk x")]
    [TestCase("a,,b c,,d,e", "a,b c,d|e", Description = "two commas are one")]
    public void ModuleLists(string list, string expected)
    {
        List<string> files = [];

        IReadOnlyList<MultibootModule> modules = MultibootModule.ParseList(list, name =>
        {
            files.Add(name);
            return new byte[] { (byte)files.Count };
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(modules.Select(module => module.CommandLine), Is.EqualTo(expected.Split('|')));
            Assert.That(files, Is.EqualTo(expected.Split('|').Select(line => line.Split(' ')[0])));
            Assert.That(modules.Select(module => (int)module.Contents.Span[0]), Is.EqualTo(Enumerable.Range(1, modules.Count)));
        }
    }
}
