using System.Text.Json;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary><c>quadwalk page --stages</c>: RAM of 128 MiB lies at host-physical 1 GiB, the tables at 2 GiB.</summary>
[TestFixture]
internal sealed class PageStagesTests
{
    /// <summary>With pages of 2 MiB by EPT each guest-physical address takes three entries: 4 x 3 + 4 + 3.</summary>
    [Test]
    public void ATranslationShowsEveryEntryOfBothStages()
    {
        string[] lines = Lines("hello.elf", "--at", "_start");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(lines[..6], Is.EqualTo(
                """
                After 0 instructions.
                Supervisor read at 0x401000 (_start)
                CR3 0x30f000, WP 1, PGE 1, SMEP 0, SMAP 0, AC 0, NXE 1, MAXPHYADDR 46
                EPTP 0x8000001e: 4 levels, WB, root at host-physical 0x80000000

                 #  host-physical   value               flags                          entry
                """.Split('\n')));
            Assert.That(lines[18..], Is.EqualTo(
                """
                13  0x000080000000  0x0000000080001407  R W X -- ---- -- - -           nested PML4E of the guest PTE's address
                14  0x000080001000  0x0000000080002407  R W X -- ---- -- - -           nested PDPTE of the guest PTE's address
                15  0x000080002008  0x00000000402000b7  R W X WB ---- PS - -           nested PDE of the guest PTE's address
                16  0x000040312008  0x0000000000201001  P -- -- --- --- - - --- - --   guest PTE, guest-physical 0x312008
                17  0x000080000000  0x0000000080001407  R W X -- ---- -- - -           nested PML4E of the final address
                18  0x000080001000  0x0000000080002407  R W X -- ---- -- - -           nested PDPTE of the final address
                19  0x000080002008  0x00000000402000b7  R W X WB ---- PS - -           nested PDE of the final address

                page   4 KiB: 4 KiB by the guest, 2 MiB by EPT; byte at guest-physical 0x201000, host-physical 0x40201000
                rights supervisor r-x: supervisor r-x by the guest, rwx by EPT
                host   memslot 0 (0x0..0x7ffffff), offset 0x201000
                type   WB: PAT entry 0 (WB), EPT entry (WB)
                sets   A in the guest PML4E, A in the guest PDPTE, A in the guest PDE, A in the guest PTE; nothing was changed here
                """.Split('\n')));
        }
    }

    [Test]
    public void AFaultOfTheGuestEndsTheWalkAtItsEntry()
    {
        string[] lines = Lines("hello.elf", "--at", "0x5000");
        Assert.That(lines[^3..], Is.EqualTo(new[]
        {
            "12  0x000040311000  0x0000000000000000  - -- -- --- --- - - --  - --   guest PDE, guest-physical 0x311000",
            "",
            "#PF(0x0). PDE at 0x311000 = 0x0000000000000000: P is 0.",
        }));
    }

    /// <summary>The qualification by SDM Vol. 3C, table 28-7: a write, linear address valid, to the final address; a page R/W and NX by the guest.</summary>
    [Test]
    public void APageOfADeviceExitsToTheHypervisor()
    {
        string[] lines = Lines("hello.elf", "--at", "0xffff8880d0000005", "--access", "write");
        Assert.That(lines[^4..], Is.EqualTo(
            """

            EPT violation at 0xd0000005: EPT PDPTE at 0x80001018 = 0x0000000000000000: R, W and X are 0.
            exit   no memslot: EPT violation, qualification 0xd82 (write, linear address valid, final address, writable page, execute disable page), exits to the hypervisor
            host   no memslot: MMIO, Uart16550 at 0xd0000000, offset 0x5
            """.Split('\n')));
    }

    [Test]
    public void PdpteRegistersAreNotInMemory()
    {
        string[] lines = Lines("pc/paging32.elf", "--machine", "pc", "--after", "60k", "--at", "0x48000010");
        Assert.That(lines[6], Is.EqualTo(" 1  a register      0x0000000002005001  P -- -- --- --- - - --  - --   guest PDPTE, guest-physical 0x2003008"));
        Assert.That(lines[^4], Is.EqualTo("rights user r-x: user r-x by the guest, rwx by EPT"));
    }

    [Test]
    public void WithoutPagingOnlyEptTranslates()
    {
        string[] lines = Lines("pc/paging32.elf", "--machine", "pc", "--at", "0x1000");
        Assert.That(lines.Count(line => line.Contains("nested", StringComparison.Ordinal)), Is.EqualTo(3));
        Assert.That(lines, Has.Some.EqualTo("page   2 MiB: no paging in the guest, 2 MiB by EPT; byte at guest-physical 0x1000, host-physical 0x40001000"));
    }

    [Test]
    public void JsonHasTheSame()
    {
        using JsonDocument translated = Json("--at", "_start");
        using JsonDocument device = Json("--at", "0xffff8880d0000005", "--access", "write");
        using JsonDocument absent = Json("--at", "0x5000");
        JsonElement steps = translated.RootElement.GetProperty("steps");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(steps.GetArrayLength(), Is.EqualTo(19));
            Assert.That(Inline(steps[15]), Is.EqualTo(
                """{"stage":"guest","role":"guest PTE","level":1,"name":"PTE","guest_physical":"0x312008","host_physical":"0x40312008","entry":"0x201001","flags":["P"],"sets":["A"]}"""));
            Assert.That(Inline(steps[18]), Is.EqualTo(
                """{"stage":"ept","role":"nested PDE of the final address","level":2,"name":"PDE","guest_physical":null,"host_physical":"0x80002008","entry":"0x402000b7","flags":["R","W","X","WB","PS"],"sets":[]}"""));
            Assert.That(Inline(translated.RootElement.GetProperty("translation")), Is.EqualTo(
                """{"gpa":"0x201000","hpa":"0x40201000","page_size":"0x1000","guest_page_size":"0x1000","ept_page_size":"0x200000","user":false,"write":false,"execute":true,"slot":{"id":0,"first":"0x0","last":"0x7ffffff","writable":true,"offset":"0x201000"},"device":null}"""));
            Assert.That(Inline(translated.RootElement.GetProperty("eptp")), Is.EqualTo("""{"value":"0x8000001e","levels":4,"memory_type":"WB","root":"0x80000000"}"""));
            Assert.That(Outcomes(translated), Is.EqualTo("translation"));
            Assert.That(Outcomes(device), Is.EqualTo("exit"));
            Assert.That(Outcomes(absent), Is.EqualTo("failure"));
            Assert.That(Inline(device.RootElement.GetProperty("exit")), Does.StartWith("""{"reason":"EPT violation","number":48,"qualification":"0xd82","""));
            Assert.That(absent.RootElement.GetProperty("failure").GetProperty("rule").GetString(), Is.EqualTo("not_present"));
        }
    }

    [Test]
    public void HtmlIsRefused()
    {
        CliRun run = CliRun.Of("page", GuestSamples.PathOf("hello.elf"), "--at", "_start", "--stages", "--format", "html");
        Assert.That((run.ExitCode, run.Output.Length), Is.EqualTo((64, 0)));
        Assert.That(run.Error, Does.Contain("--stages is written as text or json: leave out --format html"));
    }

    private static string Outcomes(JsonDocument json) => string.Join(
        ' ', new[] { "translation", "failure", "exit" }.Where(name => json.RootElement.GetProperty(name).ValueKind != JsonValueKind.Null));

    private static string[] Lines(string guest, params string[] options)
    {
        CliRun run = CliRun.Of(["page", GuestSamples.PathOf(guest), "--stages", .. options]);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        return run.Text.TrimEnd('\n').Split('\n');
    }

    private static JsonDocument Json(params string[] options)
    {
        CliRun run = CliRun.Of(["page", GuestSamples.PathOf("hello.elf"), "--stages", "--format", "json", .. options]);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        return JsonDocument.Parse(run.Text);
    }

    private static string Inline(JsonElement element) => JsonSerializer.Serialize(element);
}
