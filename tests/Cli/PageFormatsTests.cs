using System.Text.Json;
using NUnit.Framework;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class PageFormatsTests
{
    [Test]
    public void JsonOfAWriteToAReadOnlyPageNamesTheEntryTheBitAndTheRule()
    {
        using JsonDocument json = Json("hello.elf", "--at", "_start", "--access", "write");
        JsonElement root = json.RootElement;
        JsonElement failure = root.GetProperty("failure");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Inline(failure), Is.EqualTo(
                """{"rule":"write_to_read_only_page","vector":14,"error_code":"0x3","level":1,"entry_address":"0x312008","entry":"0x201001","bits":[1],"text":"PTE at 0x312008 = 0x0000000000201001: R/W is 0 and the access is a supervisor write with CR0.WP = 1."}"""));
            Assert.That(root.GetProperty("translation").ValueKind, Is.EqualTo(JsonValueKind.Null));
            Assert.That(Inline(root.GetProperty("access")), Is.EqualTo("""{"kind":"write","user":false}"""));
            Assert.That(root.GetProperty("symbol").GetString(), Is.EqualTo("_start"));
            Assert.That(root.GetProperty("steps").GetArrayLength(), Is.EqualTo(4));
            Assert.That(Inline(root.GetProperty("steps")[3]), Is.EqualTo(
                """{"level":1,"name":"PTE","entry_address":"0x312008","entry":"0x201001","flags":["P"],"rights":{"user":false,"write":false,"execute":true},"sets":[]}"""));
        }
    }

    [Test]
    public void JsonOfATranslationHasThePageAndWhatAnswersThere()
    {
        using JsonDocument memory = Json("hello.elf", "--at", "0x402010");
        using JsonDocument device = Json("hello.elf", "--at", "0xffff8880d0000005", "--access", "write");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Inline(memory.RootElement.GetProperty("translation")), Is.EqualTo(
                """{"gpa":"0x202010","page":"0x202000","page_size":"0x1000","user":false,"write":false,"execute":false,"slot":{"id":0,"first":"0x0","last":"0x7ffffff","writable":true,"offset":"0x202010"},"device":null}"""));
            Assert.That(Inline(memory.RootElement.GetProperty("steps")[3].GetProperty("sets")), Is.EqualTo("""["A"]"""));
            Assert.That(memory.RootElement.GetProperty("failure").ValueKind, Is.EqualTo(JsonValueKind.Null));
            Assert.That(Inline(device.RootElement.GetProperty("translation").GetProperty("device")), Is.EqualTo(
                """{"name":"Uart16550","first":"0xd0000000","last":"0xd0000007","offset":"0x5"}"""));
            Assert.That(Inline(device.RootElement.GetProperty("steps")[2].GetProperty("sets")), Is.EqualTo("""["A","D"]"""));
        }
    }

    [TestCase("0x800000000000", "read", """{"rule":"non_canonical","vector":13,"error_code":"0x0","bits":[],"text":"0x800000000000 is not canonical: bits 63:47 are not all equal."}""")]
    [TestCase("0x5000", "read", """{"rule":"not_present","vector":14,"error_code":"0x0","level":2,"entry_address":"0x311000","entry":"0x0","bits":[0],""")]
    [TestCase("0x402000", "fetch", """{"rule":"execute_of_no_execute_page","vector":14,"error_code":"0x11","level":1,"entry_address":"0x312010","entry":"0x8000000000202001","bits":[63],""")]
    public void JsonOfAFailure(string at, string access, string begins)
    {
        using JsonDocument json = Json("hello.elf", "--at", at, "--access", access);
        Assert.That(Inline(json.RootElement.GetProperty("failure")), Does.StartWith(begins));
    }

    [Test]
    public void JsonOfPaePagingHasItsRegistersAndBeginsAtAPdpte()
    {
        using JsonDocument json = Json("pc/paging32.elf", "--machine", "pc", "--after", "60k", "--at", "0x48000010");
        JsonElement root = json.RootElement;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(root.GetProperty("paging").GetProperty("mode").GetString(), Is.EqualTo("PAE"));
            Assert.That(root.GetProperty("paging").GetProperty("pdptes")[1].GetString(), Is.EqualTo("0x2005001"));
            Assert.That(root.GetProperty("steps").EnumerateArray().Select(step => step.GetProperty("name").GetString()), Is.EqualTo(new[] { "PDPTE", "PDE", "PTE" }));
            Assert.That(root.GetProperty("translation").GetProperty("gpa").GetString(), Is.EqualTo("0x100010"));
        }
    }

    [Test]
    public void JsonWithoutPagingHasNoSteps()
    {
        using JsonDocument json = Json("pc/paging32.elf", "--machine", "pc", "--at", "0x1000");
        Assert.That(json.RootElement.GetProperty("steps").GetArrayLength(), Is.Zero);
        Assert.That(json.RootElement.GetProperty("translation").GetProperty("gpa").GetString(), Is.EqualTo("0x1000"));
    }

    [TestCase("--format yaml", "--format 'yaml' is not one of its values: give text or json or html", 64)]
    [TestCase("-o /", "--output /: it cannot be written", 74)]
    public void AWrongCommandLineIsOneLine(string options, string says, int code)
    {
        CliRun run = CliRun.Of(["page", GuestSamples.PathOf("hello.elf"), "--at", "_start", .. options.Split(' ')]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((run.ExitCode, run.ErrorLines.Length, run.Output.Length), Is.EqualTo((code, 1, 0)));
            Assert.That(run.Error, Does.Contain(says));
        }
    }

    [TestCase("mem")]
    [TestCase("page")]
    public void AnInterruptedGuestIsReportedAsItStands(string command)
    {
        using FlatProgram endless = FlatProgram.Endless();
        using CancellationTokenSource interrupt = new(TimeSpan.FromMilliseconds(300));
        string[] at = command == "page" ? ["--at", "0x100000"] : [];
        CliRun run = CliRun.With(null, null, interrupt.Token, [command, endless.Path, "--load-at", "0x100000", "--after", "1T", .. at]);
        Assert.That(run.ExitCode, Is.EqualTo(130));
        Assert.That(run.Text, Does.Contain("where it was interrupted.").And.Contain("supervisor rwx"));
    }

    private static JsonDocument Json(string guest, params string[] options)
    {
        CliRun run = CliRun.Of(["page", GuestSamples.PathOf(guest), "--format", "json", .. options]);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        return JsonDocument.Parse(run.Text);
    }

    private static string Inline(JsonElement element) => JsonSerializer.Serialize(element, JsonOptions);

    private static readonly JsonSerializerOptions JsonOptions = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
