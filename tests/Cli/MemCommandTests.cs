using System.Text.Json;
using NUnit.Framework;
using Quadwalk.Cli;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class MemCommandTests
{
    private static readonly (string Guest, string[] Options)[] Guests =
    [
        ("hello.elf", []),
        ("ring3.elf", ["--after", "1M"]),
        ("pager.elf", ["--after", "2M", "--limit", "10k"]),
        ("pc/paging.elf", ["--machine", "pc", "--after", "300k"]),
        ("pc/paging32.elf", ["--machine", "pc", "--after", "20k"]),
        ("pc/paging32.elf", ["--machine", "pc", "--after", "60k"]),
    ];

    [TestCase("hello.elf", "", """
        After 0 instructions.
        4-level paging, CR3 0x30f000

        first               last                size      rights
        0x0000000000400000  0x0000000000400fff  4 KiB     supervisor r--
        0x0000000000401000  0x0000000000401fff  4 KiB     supervisor r-x
        0x0000000000402000  0x0000000000402fff  4 KiB     supervisor r--
        0x0000000000403000  0x0000000000403fff  4 KiB     supervisor rw-
        0xffff888000000000  0xffff8880ffffffff  4 GiB     supervisor rw-
        0xffffffffff000000  0xffffffffff000fff  4 KiB     supervisor rw-
        0xffffffffff001000  0xffffffffff001fff  4 KiB     supervisor r--
        0xffffffffff002000  0xffffffffff002fff  4 KiB     supervisor r-x
        0xffffffffff004000  0xffffffffff007fff  16 KiB    supervisor rw-
        0xffffffffff009000  0xffffffffff00cfff  16 KiB    supervisor rw-
        0xffffffffff100000  0xffffffffff1fffff  1 MiB     supervisor rw-

        11 ranges: 4,195,388 KiB mapped by 271 pages of 4 KiB and 2,048 of 2 MiB.

        """)]
    [TestCase("ring3.elf", "--after 1M --at 0x400000-0x402800 --limit 2", """
        After 728 instructions, where the guest ended itself.
        4-level paging, CR3 0x30e000

        first               last                size      rights
        0x0000000000400000  0x0000000000400fff  4 KiB     user r--
        0x0000000000401000  0x0000000000401fff  4 KiB     user r-x

        3 ranges between 0x400000 and 0x4027ff: 12 KiB mapped by 3 pages of 4 KiB.
        Left out: 1 of 3 ranges, for --limit 2.

        """)]
    [TestCase("pager.elf", "--after 2M --at handle_page_fault --pages", """
        After 2000000 instructions.
        4-level paging, CR3 0x30f000

        address             guest-physical  size   level  entry at        value               flags                          rights
        0x0000000000401000  0x000000201000  4 KiB  PTE    0x000000312008  0x0000000000201021  P -- -- --- --- A - --- - --  supervisor r-x

        4 KiB mapped by 1 page of 4 KiB between 0x401180 and 0x4012c8.

        """)]
    [TestCase("pc/paging.elf", "--machine pc --after 300k", """
        After 300000 instructions.
        4-level paging, CR3 0x106000

        first               last                size      rights
        0x0000000000000000  0x00000000ffffffff  4 GiB     supervisor rwx
        0x0000510000000000  0x000051003fffffff  1 GiB     supervisor rw-
        0x00007f0000000000  0x00007f0000000fff  4 KiB     user r-x
        0x00007f0000200000  0x00007f0000200fff  4 KiB     user rw-

        4 ranges: 5,242,888 KiB mapped by 2 pages of 4 KiB, 2,048 of 2 MiB and 1 of 1 GiB.

        """)]
    [TestCase("hello.elf", "--at 0xffff888000001234", """
        After 0 instructions.
        4-level paging, CR3 0x30f000

        first               last                size      rights
        0xffff888000000000  0xffff8880ffffffff  4 GiB     supervisor rw-

        1 range between 0xffff888000001234 and 0xffff888000001234: 2 MiB mapped by 1 page of 2 MiB.

        """)]
    [TestCase("hello.elf", "--frame 0x201abc", """
        After 0 instructions.
        4-level paging, CR3 0x30f000
        Frame 0x201000: memslot 0 (0x0..0x7ffffff), offset 0x201000

        frame at            guest-physical  size   level  entry at        value               flags                          rights
        0x0000000000401000  0x000000201000  4 KiB  PTE    0x000000312008  0x0000000000201001  P -- -- --- --- - - --- - --  supervisor r-x
        0xffff888000201000  0x000000200000  2 MiB  PDE    0x000000314008  0x8000000000200183  P RW -- --- --- - - PS  G NX  supervisor rw-

        Frame 0x201000 is mapped at 2 addresses.

        """)]
    [TestCase("hello.elf", "--frame 0x3f0000000", """
        After 0 instructions.
        4-level paging, CR3 0x30f000
        Frame 0x3f0000000: no memslot and no device: reads give all ones, writes go nowhere

        Frame 0x3f0000000 is not mapped.

        """)]
    [TestCase("pc/paging32.elf", "--machine pc", """
        After 0 instructions.
        Paging is off (CR0.PG is 0): each linear address is the guest-physical one, and no table says more.

        """)]
    public void AGuestIsListed(string guest, string options, string expected) =>
        Assert.That(Mem(guest, options.Split(' ', StringSplitOptions.RemoveEmptyEntries)), Is.EqualTo(expected));

    [TestCaseSource(nameof(Guests))]
    public void EveryRangeAgreesWithWalksAtItsEnds((string Guest, string[] Options) of)
    {
        bool pc = of.Guest.StartsWith("pc/", StringComparison.Ordinal);
        using GuestSession session = GuestSession.Open(new ImageOptions { Path = GuestSamples.PathOf(of.Guest), Kind = pc ? MachineKind.Pc : MachineKind.Bare });
        int after = Array.IndexOf(of.Options, "--after");
        if (after >= 0 && Number.TryParseScaled(of.Options[after + 1], Number.Thousand, out ulong count))
        {
            session.Machine.Run(count);
        }

        using JsonDocument json = JsonDocument.Parse(Mem(of.Guest, [.. of.Options, "--format", "json"]));
        JsonElement[] ranges = [.. json.RootElement.GetProperty("ranges").EnumerateArray()];
        Assert.That(ranges, Is.Not.Empty);
        ulong mapped = 0;
        using (Assert.EnterMultipleScope())
        {
            foreach (JsonElement range in ranges)
            {
                (ulong first, ulong last) = (Hex(range, "first"), Hex(range, "last"));
                PageRights? rights = RightsAt(session.Machine, first);
                Assert.That(rights, Is.EqualTo(RightsOf(range)), $"0x{first:x}");
                Assert.That(RightsAt(session.Machine, last), Is.EqualTo(rights), $"0x{last:x}");
                Assert.That(RightsAt(session.Machine, last + 1), Is.Not.EqualTo(rights), $"behind 0x{last:x}");
                Assert.That(first == 0 || RightsAt(session.Machine, first - 1) != rights, $"before 0x{first:x}");
                Assert.That(Hex(range, "size"), Is.EqualTo(last - first + 1));
                mapped += last - first + 1;
            }

            Assert.That(Hex(json.RootElement.GetProperty("total"), "mapped"), Is.EqualTo(mapped));
            Assert.That(json.RootElement.GetProperty("total").GetProperty("ranges").GetInt64(), Is.EqualTo(ranges.Length));
            Assert.That(json.RootElement.GetProperty("left_out").GetInt64(), Is.Zero);
            Assert.That(json.RootElement.GetProperty("complete").GetBoolean());
        }
    }

    [Test]
    public void JsonHasThePagesOfAWindowAndWhatWasLeftOut()
    {
        using JsonDocument json = JsonDocument.Parse(Mem("hello.elf", ["--pages", "--at", "0x401000-", "--limit", "2", "--format", "json"]));
        JsonElement root = json.RootElement;
        Assert.That(root.GetProperty("pages")[0].ToString(), Is.EqualTo("""
            {
                  "gva": "0x401000",
                  "gpa": "0x201000",
                  "size": "0x1000",
                  "level": 1,
                  "entry_address": "0x312008",
                  "entry": "0x201001",
                  "flags": [
                    "P"
                  ],
                  "user": false,
                  "write": false,
                  "execute": true
                }
            """));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(root.GetProperty("window").GetProperty("last").GetString(), Is.EqualTo("0xffffffffffffffff"));
            Assert.That(root.GetProperty("paging").GetProperty("mode").GetString(), Is.EqualTo("4-level"));
            Assert.That(root.GetProperty("total").GetProperty("pages").GetInt32(), Is.EqualTo(2318));
            Assert.That((root.GetProperty("listed").GetInt32(), root.GetProperty("left_out").GetInt32()), Is.EqualTo((2, 2316)));
        }
    }

    [Test]
    public void JsonHasTheMappingsOfAFrame()
    {
        using JsonDocument json = JsonDocument.Parse(Mem("hello.elf", ["--frame", "0xd0000010", "--format", "json"]));
        JsonElement root = json.RootElement;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(root.GetProperty("frame").GetProperty("gpa").GetString(), Is.EqualTo("0xd0000000"));
            Assert.That(root.GetProperty("frame").GetProperty("device").GetProperty("name").GetString(), Is.EqualTo("Uart16550"));
            Assert.That(root.GetProperty("frame").GetProperty("slot").ValueKind, Is.EqualTo(JsonValueKind.Null));
            Assert.That(root.GetProperty("mappings")[0].GetProperty("address").GetString(), Is.EqualTo("0xffff8880d0000000"));
            Assert.That(root.GetProperty("total").GetProperty("mappings").GetInt32(), Is.EqualTo(1));
        }
    }

    [Test]
    public void JsonOfAGuestWithoutPagingIsEmpty()
    {
        using JsonDocument json = JsonDocument.Parse(Mem("pc/paging32.elf", ["--machine", "pc", "--format", "json"]));
        Assert.That(json.RootElement.GetProperty("paging").GetProperty("mode").GetString(), Is.EqualTo("none"));
        Assert.That(json.RootElement.GetProperty("ranges").GetArrayLength(), Is.Zero);
    }

    [TestCase("", "2 ranges: 256 TiB mapped by 68,719,476,736 pages of 4 KiB.")]
    [TestCase("--pages", "Left out: 68,719,475,736 of 68,719,476,736 pages, for --limit 1000.")]
    [TestCase("--frame 0", "Frame 0x0 is not mapped.")]
    [TestCase("--frame 0x30b000", "Frame 0x30b000 is mapped at 68,719,476,736 addresses.")]
    [TestCase("--format html", "itself")]
    public void AGuestWhoseOnlyTableIsItsOwnIsListedAtOnce(string options, string says)
    {
        using FlatProgram program = OneTable();
        CliRun run = CliRun.Of(["mem", program.Path, "--load-at", "0x100000", "--after", "10k", .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.Zero, run.Error);
            Assert.That(run.Output, Has.Length.LessThan(4 << 20));
            Assert.That(run.Text, Does.Contain(says));
        }
    }

    [TestCase("--format xml", "--format 'xml' is not one of its values: give text or json or html", 64)]
    [TestCase("--frame 0x1000 --pages", "--pages and --frame exclude each other", 64)]
    [TestCase("--frame here", "--frame 'here' is no address", 64)]
    [TestCase("--frame 0x10000000000000", "--frame 0x10000000000000 is no guest-physical address: MAXPHYADDR is 46", 64)]
    [TestCase("--limit 0", "--limit 0 would list nothing", 64)]
    [TestCase("--limit x", "--limit 'x' is no number of lines", 64)]
    [TestCase("--at 0x2000-0x1000", "--at 0x2000-0x1000 is empty", 64)]
    [TestCase("--at nowhere", "--at 'nowhere' is no symbol of the image", 64)]
    [TestCase("--at 0x800000000000", "--at 0x800000000000 is not a range of canonical addresses: give one up to 0x7fffffffffff or from 0xffff800000000000 on", 64)]
    [TestCase("--at 0x1000-0x800000001000", "is not a range of canonical addresses", 64)]
    [TestCase("-o /", "--output /: it cannot be written", 74)]
    [TestCase("-o /proc/nothing/here", "--output /proc/nothing/here: it cannot be written", 74)]
    public void AWrongCommandLineIsOneLine(string options, string says, int code)
    {
        CliRun run = CliRun.Of(["mem", GuestSamples.PathOf("hello.elf"), .. options.Split(' ')]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(code));
            Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
            Assert.That(run.Error, Does.StartWith("quadwalk: ").And.Contain(says));
            Assert.That(run.Output, Is.Empty);
        }
    }

    [Test]
    public void AddressesEndAt4GiBOutsideLongMode()
    {
        CliRun run = CliRun.Of("mem", GuestSamples.PathOf("pc/paging32.elf"), "--machine", "pc", "--after", "60k", "--at", "0x100000000");
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((64, "quadwalk: --at 0x100000000 reaches beyond 0xffffffff, where linear addresses end in this paging mode\n")));
    }

    [Test]
    public void AFileAppearsCompleteOrStaysAsItWas()
    {
        string folder = Directory.CreateTempSubdirectory("quadwalk-mem").FullName;
        try
        {
            string file = Path.Combine(folder, "out.txt");
            File.WriteAllText(file, "old");
            CliRun wrong = CliRun.Of("mem", GuestSamples.PathOf("hello.elf"), "--at", "0x800000000000", "-o", file);
            string kept = File.ReadAllText(file);
            CliRun right = CliRun.Of("mem", GuestSamples.PathOf("hello.elf"), "-o", file);
            using (Assert.EnterMultipleScope())
            {
                Assert.That((wrong.ExitCode, kept), Is.EqualTo((64, "old")));
                Assert.That((right.ExitCode, right.Text, right.Error), Is.EqualTo((0, "", "")));
                Assert.That(File.ReadAllText(file), Is.EqualTo(Mem("hello.elf", [])));
                Assert.That(Directory.GetFileSystemEntries(folder), Is.EqualTo(new[] { file }));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>A guest that makes every entry of its PML4 reference the PML4.</summary>
    internal static FlatProgram OneTable() => FlatProgram.Of(assembler =>
    {
        assembler.mov(rax, cr3);
        assembler.and(rax, -4096);
        assembler.mov(rdi, 0xffff_8880_0000_0000);
        assembler.add(rdi, rax);
        assembler.or(rax, 3);
        assembler.mov(ecx, 512);
        assembler.rep.stosq();
        assembler.hlt();
    });

    private static string Mem(string guest, string[] options)
    {
        CliRun run = CliRun.Of(["mem", GuestSamples.PathOf(guest), .. options]);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        return run.Text;
    }

    private static ulong Hex(JsonElement element, string name) => Convert.ToUInt64(element.GetProperty(name).GetString(), 16);

    private static PageRights RightsOf(JsonElement range) =>
        (range.GetProperty("user").GetBoolean() ? PageRights.User : 0)
        | (range.GetProperty("write").GetBoolean() ? PageRights.Write : 0)
        | (range.GetProperty("execute").GetBoolean() ? 0 : PageRights.NoExecute);

    private static PageRights? RightsAt(Machine machine, ulong address)
    {
        UnchangedTables tables = new(machine.Access);
        PagingState state = machine.Cpu.Paging with { AlignmentCheck = true };
        if (!state.IsLongMode && address > uint.MaxValue)
        {
            return null;
        }

        NoWalkObserver nobody = default;
        WalkResult result = PageWalker.Walk(ref tables, state, new Gva(address), new WalkAccess(AccessKind.Read, User: false), ref nobody);
        return result.Succeeded ? result.Rights & (PageRights.User | PageRights.Write | PageRights.NoExecute) : null;
    }
}
