using System.Text.Json;
using NUnit.Framework;
using Quadwalk.Cli;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary><c>quadwalk lab</c>.</summary>
[TestFixture]
internal sealed class LabCommandTests
{
    private const string Race = "foreign-reference-race";

    [Test]
    public void ARunIsShownWithItsStepsItsExpectationsAndWhatItCost()
    {
        CliRun run = CliRun.Of("lab", "run", "pfnmap-without-references", "--memory", "anonymous");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.Zero);
            Assert.That(run.Error, Is.Empty);
            Assert.That(run.Text, Does.StartWith("""
                pfnmap-without-references, row 1: A frame with a struct page and no references is refused by 6.12 and mapped by 6.13.
                kernel 6.12, anonymous
                  step  vcpu0
                     1  fault: read the sequence and the slot

                """));
            Assert.That(run.Text, Does.Contain("\nkernel 6.13, anonymous\n"));
            Assert.That(run.Text, Does.Contain("\n  held  the guest's fault: Fault\n").And.Contain("\n  held  the guest's fault: Fixed\n"));
            Assert.That(run.Text, Does.Match(@"(?m)^stage-2 installs +0 +1 +\+1$").And.Not.Contain("guest TLB flushes"));
            Assert.That(run.Text, Does.EndWith("""

                held    row  1  6.12      anonymous  pfnmap-without-references: 3 expectations
                held    row  1  6.13      anonymous  pfnmap-without-references: 3 expectations

                """));
        }
    }

    [Test]
    public void TheReadmeShowsWhatIsPrinted()
    {
        string[] readme = File.ReadAllLines(Path.Combine(GuestSamples.Folder, "..", "..", "README.md"));
        int command = Array.FindIndex(readme, line => line.StartsWith("    $ ./quadwalk lab run ", StringComparison.Ordinal));
        string printed = Words(CliRun.Of(readme[command].Trim().Split(' ')[2..]).Text);

        string[] shown = Words(string.Join('\n', readme.Skip(command + 1).TakeWhile(line => line.Length > 0))).Split(" ... ");

        Assert.That(shown, Has.Length.EqualTo(2));
        Assert.That(shown.Where(part => !printed.Contains(part, StringComparison.Ordinal)), Is.Empty);

        static string Words(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }

    [Test]
    public void AllCountersAreShownOnDemand() => Assert.That(
        CliRun.Of("lab", "run", "pfnmap-without-references", "--counters", "all").Text, Does.Match(@"(?m)^guest TLB flushes +0 +0 +0$"));

    [Test]
    public void OneKernelAloneIsRunOnDemand()
    {
        string text = CliRun.Of("lab", "run", "row3", "--kernel", "6.13").Text;
        Assert.That(text, Does.Contain("kernel 6.13, ").And.Not.Contain("kernel 6.12, "));
    }

    [Test]
    public void TheOrderInWhichARuleWasBrokenIsATableAndIsTakenAgainAsPrinted()
    {
        CliRun all = CliRun.Of("lab", "run", Race, "--kernel", "6.12");
        string again = all.Text.Split('\n').Single(line => line.Contains("again: ")).Split("again: quadwalk ")[1];
        CliRun replayed = CliRun.Of(again.Split(' '));
        string[] table = Table(all.Text);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(all.ExitCode, Is.Zero);
            Assert.That(table, Has.Length.GreaterThan(5));
            Assert.That(table[0], Does.Match("^ +step +vcpu0 +driver$"));
            Assert.That(replayed.ExitCode, Is.Zero);
            Assert.That(replayed.Text, Does.Contain(": 1 order of steps, the last breaks a rule"));
            Assert.That(Table(replayed.Text), Is.EqualTo(table));
        }

        static string[] Table(string text) => [.. text.Split('\n').SkipWhile(line => !line.EndsWith("driver", StringComparison.Ordinal)).TakeWhile(line => !line.Contains("again:"))];
    }

    [Test]
    public void AnOrderThatBreaksNothingFailsWhatExpectsABreakAndGives2()
    {
        CliRun run = CliRun.Of("lab", "run", Race, "--kernel", "6.12", "--replay", "1:1");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(2));
            Assert.That(run.Text, Does.Contain("\nFAILED  some order of steps ends with \"FreedForeignFrame\"\n"));
            Assert.That(run.Text, Does.EndWith($"FAILED  row  3  6.12      {MemoryName}  {Race}: 1 of 1 expectation\n"));
            Assert.That(run.Error, Is.Empty);
        }
    }

    [TestCase("1:2", "party 2 cannot take step 1: the order is of another scenario")]
    [TestCase("7:0", "there is no exploration 7 to replay: the scenario has 1")]
    public void AnOrderOfAnotherScenarioIsToldAsSuch(string key, string says)
    {
        CliRun run = CliRun.Of("lab", "run", Race, "--kernel", "6.13", "--replay", key);
        Assert.That((run.ExitCode, run.Text.Contains(says)), Is.EqualTo((2, true)), run.Text);
    }

    [Test]
    public void ASeedTakesOneOrderAndTheSameOneEachTime()
    {
        CliRun[] runs = [.. Enumerable.Range(0, 2).Select(_ => CliRun.Of("lab", "run", Race, "--kernel", "6.13", "--seed", "42"))];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(runs[0].ExitCode, Is.Zero);
            Assert.That(runs[0].Text, Does.Contain(": 1 order of steps, which breaks no rule").And.Contain("again: "));
            Assert.That(runs[1].Text, Is.EqualTo(runs[0].Text));
        }
    }

    [Test]
    public void JsonHasTheSame()
    {
        using JsonDocument json = JsonDocument.Parse(CliRun.Of("lab", "run", "row3", "--format", "json", "--memory", "anonymous").Text);
        JsonElement[] runs = [.. json.RootElement.GetProperty("runs").EnumerateArray()];
        JsonElement race = runs.First(run => run.GetProperty("scenario").GetString() == Race);
        JsonElement exploration = race.GetProperty("lines")[0].GetProperty("exploration");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(runs.Select(run => run.GetProperty("held").GetBoolean()), Is.All.True);
            Assert.That(runs.Select(run => run.GetProperty("memory").GetString()), Is.All.EqualTo("anonymous"));
            Assert.That(race.GetProperty("kernel").GetString(), Is.EqualTo("6.12"));
            Assert.That(race.GetProperty("error").ValueKind, Is.EqualTo(JsonValueKind.Null));
            Assert.That(race.GetProperty("lines").EnumerateArray().Select(line => line.GetProperty("kind").GetString()), Is.EqualTo(new[] { "explored", "held" }));
            Assert.That(exploration.GetProperty("problem").GetString(), Does.Contain("FreedForeignFrame"));
            Assert.That(exploration.GetProperty("steps").GetArrayLength(), Is.GreaterThan(5));
            Assert.That(exploration.GetProperty("replay").GetString(), Does.Match("^1:[01]+$"));
            Assert.That(runs[0].GetProperty("counters").EnumerateArray().Select(counter => counter.GetProperty("name").GetString()), Does.Contain("free frames"));
            Assert.That(json.RootElement.GetProperty("total").GetProperty("runs").GetInt32(), Is.EqualTo(runs.Length));
            Assert.That(json.RootElement.GetProperty("total").GetProperty("failed").GetInt32(), Is.Zero);
            Assert.That(json.RootElement.GetProperty("complete").GetBoolean(), Is.True);
        }
    }

    [Test]
    public void TheListHasEveryRowAndEveryScenario()
    {
        string text = CliRun.Of("lab", "list").Text;
        using JsonDocument json = JsonDocument.Parse(CliRun.Of("lab", "list", "--format", "json").Text);
        JsonElement[] rows = [.. json.RootElement.GetProperty("rows").EnumerateArray()];
        string[] names = [.. rows.SelectMany(row => row.GetProperty("scenarios").EnumerateArray()).Select(scenario => scenario.GetProperty("name").GetString()!)];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(rows.Select(row => row.GetProperty("row").GetInt32()), Is.EqualTo(Enumerable.Range(1, 47)));
            Assert.That(names, Is.EqualTo(LabSelection.Scenarios.Select(scenario => scenario.Name)));
            Assert.That(LabRow.All.Select(row => row.Mechanism), Is.All.Matches<string>(part => text.Contains(part!, StringComparison.Ordinal)));
            Assert.That(names, Is.All.Matches<string>(part => text.Contains(part!, StringComparison.Ordinal)));
        }
    }

    [Test]
    public void TheListOfARowIsThatRowAlone() => Assert.That(
        CliRun.Of("lab", "list", "--row", "2").Text,
        Does.Match(@"\A  2  .*\n       noncompound-tails  6\.12 6\.13\n         .*\n\z"));

    [TestCase("pfnmap-without-refs", "there is no scenario 'pfnmap-without-refs': did you mean pfnmap-without-references? `quadwalk lab list` shows them all")]
    [TestCase("Race", $"there is no scenario 'Race': did you mean ")]
    [TestCase("zzzzzzzzzzzzzz", "there is no scenario 'zzzzzzzzzzzzzz': `quadwalk lab list` shows them all")]
    [TestCase("row99", "there is no row 'row99' with a scenario: `quadwalk lab list` shows the rows")]
    public void AWrongNameGives66AndTheNearest(string name, string says)
    {
        CliRun run = CliRun.Of("lab", "run", name);
        Assert.That((run.ExitCode, run.Output.Length, run.ErrorLines.Length), Is.EqualTo((66, 0, 1)));
        Assert.That(run.Error, Does.StartWith($"quadwalk: {says}"));
    }

    [TestCase("--kernel 6.13 --replay 1:0 row3", "--replay is the order of one run, and this would make 2")]
    [TestCase("--kernel proposed noncompound-tails", "--kernel proposed: noncompound-tails is for 6.12 and 6.13 alone")]
    public void WhatDoesNotGoTogetherGives64(string arguments, string says)
    {
        CliRun run = CliRun.Of(["lab", "run", .. arguments.Split(' ')]);
        Assert.That((run.ExitCode, run.Output.Length, run.ErrorLines.Length), Is.EqualTo((64, 0, 1)));
        Assert.That(run.Error, Does.StartWith($"quadwalk: {says}"));
    }

    [Test]
    public void AFileHasWhatStandardOutputWouldHave([Values("list", "run noncompound-tails")] string command, [Values("text", "json")] string format)
    {
        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"lab-{Guid.NewGuid():N}");
        string[] arguments = ["lab", .. command.Split(' '), "--format", format];
        try
        {
            CliRun toFile = CliRun.Of([.. arguments, "-o", path]);
            Assert.That((toFile.ExitCode, toFile.Output.Length, toFile.Error), Is.EqualTo((0, 0, "")));
            Assert.That(File.ReadAllBytes(path), Is.EqualTo(CliRun.Of(arguments).Output));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void AFileThatCannotBeWrittenGives74()
    {
        string folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        CliRun run = CliRun.Of("lab", "run", "noncompound-tails", "-o", Path.Combine(folder, "lab.txt"));
        Assert.That((run.ExitCode, run.ErrorLines.Length), Is.EqualTo((74, 1)));
        Assert.That(run.Error, Does.EndWith($"it cannot be written: there is no folder '{folder}'\n"));
    }

    [Test]
    public void AnInterruptEndsItWith130AndLeavesJsonWhole()
    {
        using CancellationTokenSource interrupt = new();
        interrupt.Cancel();
        CliRun run = CliRun.With(null, null, interrupt.Token, "lab", "run", "row3", "--format", "json");
        using JsonDocument json = JsonDocument.Parse(run.Text);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(130));
            Assert.That(run.Error, Is.EqualTo("quadwalk: interrupted in foreign-reference-frees, after 0 of 4 runs\n"));
            Assert.That(json.RootElement.GetProperty("complete").GetBoolean(), Is.False);
            Assert.That(json.RootElement.GetProperty("runs").GetArrayLength(), Is.Zero);
        }
    }

    [Test]
    public void TheSummaryHasALineForEachRunThatHeldAndFailuresInFull()
    {
        CliRun held = CliRun.Of("lab", "run", "row2", "row3", "--summary");
        CliRun failed = CliRun.Of("lab", "run", Race, "--summary", "--seed", "1", "--kernel", "6.12");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(held.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(6).And.All.StartsWith("held    row  "));
            Assert.That(failed.ExitCode == 0 || failed.Text.Contains("orders  "));
        }
    }

    [Test]
    [Platform("Linux")]
    public void MappingsAreMadeRealOnDemand()
    {
        CliRun run = CliRun.Of("lab", "run", "foreign-reference-frees", "--mirror");
        Assert.That((run.ExitCode, run.Text.Contains("kernel 6.13, memfd")), Is.EqualTo((0, true)), run.Text);
    }

    private static string MemoryName => OperatingSystem.IsLinux() ? "memfd    " : "anonymous";
}
