using System.Text.Json;
using System.Text.RegularExpressions;
using NUnit.Framework;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed partial class HtmlReportTests
{
    // What a person sees of the page, measured where it is laid out.
    private const string Probe = """
        const seen = {
          wide: document.documentElement.scrollWidth > innerWidth,
          columns: new Set([...document.querySelectorAll('.level')].map(e => e.getBoundingClientRect().left)).size,
          cards: document.querySelectorAll('.card').length,
          cutOff: [...document.querySelectorAll('.card, .card li, .box, h1, p')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0).length,
          itself: [...document.querySelectorAll('.card li')].filter(e => e.innerText.includes('itself')).map(e => e.closest('.card').id + ' ' + e.querySelector('.ix').innerText),
          shared: [...document.querySelectorAll('.seen')].filter(e => e.innerText.includes('shared')).map(e => e.closest('.card').id),
          walked: [...document.querySelectorAll('li.walked')].filter(e => e.offsetHeight > 0).map(e => e.closest('.card').id + ' ' + e.querySelector('.step').innerText),
          broken: [...document.querySelectorAll('a')].filter(e => !document.getElementById(e.hash.slice(1))).length,
          chips: new Set([...document.querySelectorAll('.legend .chip')].map(e => e.innerText)).size,
          lettered: [...document.querySelectorAll('.chip')].every(e => /r[w-][x-]|faults/.test(e.textContent)),
          background: getComputedStyle(document.body).backgroundColor,
          resources: performance.getEntriesByType('resource').length,
        };
        document.body.dataset.seen = JSON.stringify(seen);
        """;

    [Test]
    public void TheTablesOfAGuestAreAPictureOfFourColumnsWithRecursiveAndSharedTablesMarked()
    {
        using FlatProgram program = Recursive();
        string html = Html("mem", program);
        JsonElement seen = Look(html, width: 1280, dark: false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen.GetProperty("columns").GetInt32(), Is.EqualTo(4));
            Assert.That(seen.GetProperty("cards").GetInt32(), Is.EqualTo(11));
            Assert.That(Strings(seen, "itself"), Is.EqualTo(new[] { "t30b000 300" }));
            Assert.That(Strings(seen, "shared"), Is.EqualTo(new[] { "t30e000" }));
            Assert.That(seen.GetProperty("chips").GetInt32(), Is.EqualTo(9));
            Assert.That(html, Does.Contain("faults: reserved bits"));
            Assert.That(seen.GetProperty("background").GetString(), Is.EqualTo("rgb(246, 247, 249)"));
        }
    }

    [Test]
    public void AWalkIsHighlightedAndAPhoneInTheDarkShowsOneColumn()
    {
        using FlatProgram program = Recursive();
        string html = Html("page", program, "--at", "0xffff964b2592c000");
        JsonElement seen = Look(html, width: 400, dark: true);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen.GetProperty("columns").GetInt32(), Is.EqualTo(1));
            Assert.That(Strings(seen, "walked"), Is.EqualTo(new[] { "t30b000 \u25c6 step 1, 2, 3, 4" }));
            Assert.That(seen.GetProperty("background").GetString(), Is.EqualTo("rgb(18, 21, 26)"));
        }
    }

    [Test]
    public void ThousandsOfTablesMakeAFileOfBoundedSizeThatSaysWhatItLeavesOut()
    {
        CliRun run = CliRun.Of("page", GuestSamples.PathOf("pager.elf"), "--after", "8M", "--at", "0x401000", "--access", "write", "--format", "html");
        JsonElement seen = Look(run.Text, width: 1280, dark: false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Output, Has.Length.InRange(100_000, 4_000_000));
            Assert.That(run.Text, Does.Match("Left out: the entries of [0-9,]+ tables of [0-9,]+ tables"));
            Assert.That(Strings(seen, "walked"), Has.Length.EqualTo(4));
            Assert.That(run.Text, Does.Contain("Faults: #PF(0x3)").And.Contain("\u2190 faults here"));
        }
    }

    [Test]
    public void TextOfTheGuestIsEscaped()
    {
        string folder = Directory.CreateTempSubdirectory("quadwalk-html").FullName;
        try
        {
            string image = Path.Combine(folder, "<b>&\"guest'.elf");
            File.Copy(GuestSamples.PathOf("hello.elf"), image);
            string html = CliRun.Of("mem", image, "--format", "html").Text;
            Assert.That(html, Does.Contain("&lt;b&gt;&amp;&quot;guest&#39;.elf").And.Not.Contain("<b>&"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    public void WithoutPagingThereIsNoPicture() =>
        Assert.That(
            CliRun.Of("mem", GuestSamples.PathOf("pc/paging32.elf"), "--machine", "pc", "--format", "html").Text,
            Does.Contain("Paging is off (CR0.PG is 0)").And.Not.Contain("id=\"tables\"").And.EndWith("</html>\n"));

    /// <summary>A guest that adds to its PML4 a recursive entry, a second one for the direct map's table, and one with reserved bits.</summary>
    private static FlatProgram Recursive() => FlatProgram.Of(assembler =>
    {
        assembler.mov(rax, cr3);
        assembler.and(rax, -4096);
        assembler.mov(rbx, 0xffff_8880_0000_0000);
        assembler.add(rbx, rax);
        assembler.or(rax, 3);
        assembler.mov(__[rbx + (8 * 300)], rax);
        assembler.mov(rcx, __[rbx + (8 * 273)]);
        assembler.mov(__[rbx + (8 * 280)], rcx);
        assembler.mov(rcx, 0x000f_0000_0000_1003);
        assembler.mov(__[rbx + (8 * 290)], rcx);
        assembler.hlt();
    });

    private static string Html(string command, FlatProgram program, params string[] more)
    {
        CliRun run = CliRun.Of([command, program.Path, "--load-at", "0x100000", "--after", "100", "--format", "html", .. more]);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        return run.Text;
    }

    private static string[] Strings(JsonElement seen, string name) => [.. seen.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];

    /// <summary>Opens a report, holds it to what is true of each, and returns what was measured.</summary>
    private static JsonElement Look(string html, int width, bool dark)
    {
        Assert.That(html, Does.Contain("default-src 'none'; style-src 'unsafe-inline'").And.Not.Contain("<script").And.Not.Contain("http://").And.Not.Contain("https://"));
        (string document, string[] console) = Chromium.Open(html, Probe, width, dark);
        Match data = SeenAttribute().Match(document);
        Assert.That(data.Success, $"the script did not run: {string.Join('\n', console)}");
        JsonElement seen = JsonDocument.Parse(System.Net.WebUtility.HtmlDecode(data.Groups[1].Value)).RootElement;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(console, Is.Empty);
            Assert.That(seen.GetProperty("resources").GetInt32(), Is.Zero);
            Assert.That(seen.GetProperty("wide").GetBoolean(), Is.False, "the page scrolls sideways");
            Assert.That(seen.GetProperty("cutOff").GetInt32(), Is.Zero);
            Assert.That(seen.GetProperty("broken").GetInt32(), Is.Zero, "links that lead nowhere");
            Assert.That(seen.GetProperty("lettered").GetBoolean(), "a colour stands alone");
        }

        return seen;
    }

    [GeneratedRegex("data-seen=\"([^\"]*)\"")]
    private static partial Regex SeenAttribute();
}
