using NUnit.Framework;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class UsageTests
{
    [TestCase("", "no command was given")]
    [TestCase("walk", "there is no command 'walk': use run, diff, trace, page, mem, tlb, lab, info")]
    [TestCase("--walk", "there is no option '--walk'")]
    [TestCase("run", "'IMAGE' missing")]
    [TestCase("run --walk", "there is no option '--walk'")]
    [TestCase("run --walk a.elf", "there is no option '--walk'")]
    [TestCase("run a.elf b.elf", "'b.elf' is one argument too many")]
    [TestCase("run a.elf --limit", "missing for option: '--limit'")]
    [TestCase("run a.elf --limit 1x", "--limit '1x' is no number of instructions")]
    [TestCase("run a.elf --ring 1", "--ring '1' is not one of its values: give 0 or 3")]
    [TestCase("run a.elf --mem-path magic", "--mem-path 'magic' is not one of its values")]
    [TestCase("run a.elf --cpu v9", "--cpu: there is no processor model 'v9': give v1, v2, v3, max")]
    [TestCase("run a.elf --cpu max,+magic", "--cpu: this processor has no feature 'magic': it has 3dnowprefetch abm adx")]
    [TestCase("trace a.elf --cpu max,avx", "--cpu: 'avx' is no change to a processor model")]
    [TestCase("run a.elf --cpu max,phys-bits=64", "--cpu: 'phys-bits=64' is no physical-address width: give phys-bits=36 to phys-bits=52")]
    [TestCase("page a.elf --at 1 --cpu max,-lm", "--cpu: this processor cannot do without lm")]
    [TestCase("info --cpu v2,+xsavec,-xsave", "--cpu: xsavec was added, and what it needs was taken away")]
    [TestCase("run a.elf --host-memory disk", "--host-memory 'disk' is not one of its values: give auto or memfd or anonymous")]
    [TestCase("run a.elf --stats=xml", "--stats 'xml' is not one of its values: give text or json")]
    [TestCase("run a.elf --at here", "--at 'here' is no address")]
    [TestCase("run a.elf -m 128", "did you mean 128M?")]
    [TestCase("run a.elf -m 0", "give 4M or more")]
    [TestCase("run a.elf -m 4194305", "no whole number of 4096-byte pages")]
    [TestCase("run a.elf -m lots", "-m 'lots' is no size")]
    [TestCase("page a.elf", "'--at' is required")]
    [TestCase("page a.elf --at 1 --user --supervisor", "--user and --supervisor exclude each other")]
    [TestCase("lab", "lab needs to be told what: use list, run")]
    [TestCase("lab walk", "there is no command 'walk': use list, run")]
    [TestCase("lab run", "'NAME' missing")]
    [TestCase("lab run all --counter all", "there is no option '--counter'")]
    [TestCase("lab run all --kernel 6.11", "--kernel '6.11' is not one of its values: give 6.12 or 6.13 or proposed")]
    [TestCase("lab run all --memory disk", "--memory 'disk' is not one of its values: give auto or memfd or anonymous")]
    [TestCase("lab run all --replay 0010", "--replay '0010' is no order of steps: give it as a failing run prints it, like 1:0010")]
    [TestCase("lab run all --replay 1:0 --seed 1", "--replay and --seed exclude each other")]
    [TestCase("lab run all --mirror --memory anonymous", "--mirror maps frames more than once, which --memory anonymous cannot")]
    [TestCase("lab run all --counters none", "--counters 'none' is not one of its values: give changed or all")]
    [TestCase("lab run all --format html", "--format 'html' is not one of its values: give text or json")]
    [TestCase("lab list --row 48", "--row '48' is no row: give 1 to 47")]
    [TestCase("lab list extra", "'extra' is one argument too many")]
    [TestCase("page a.elf --at 1 --access look", "--access 'look' is not one of its values")]
    public void AWrongCommandLineGives64AndOneLine(string line, string says)
    {
        CliRun run = CliRun.Of(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(64));
            Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
            Assert.That(run.Error, Does.StartWith("quadwalk: ").And.Contain(says).And.Contain("--help"));
            Assert.That(run.Output, Is.Empty);
        }
    }

    [TestCase("run")]
    [TestCase("page")]
    [TestCase("mem")]
    [TestCase("lab")]
    [TestCase("info")]
    public void HelpNamesEveryCommandAndEachHasExamplesAndExitCodes(string command)
    {
        CliRun root = CliRun.Of("--help");
        CliRun own = CliRun.Of(command, "--help");
        using (Assert.EnterMultipleScope())
        {
            Assert.That((root.ExitCode, own.ExitCode), Is.EqualTo((0, 0)));
            Assert.That(root.Text, Does.Match($@"(?m)^  {command}\b").And.Contain("Examples:").And.Contain("triple fault"));
            Assert.That(own.Text, Does.Contain($"\n  quadwalk {command}").And.Contain("Exit codes:"));
        }
    }

    [Test]
    public void VersionIsOneLine() =>
        Assert.That(CliRun.Of("--version").Text, Does.Match(@"\Aquadwalk \d+\.\d+\.\d+\n\z"));

    [Test]
    public void InfoSaysWhatThereIs() =>
        Assert.That(CliRun.Of("info").Text, Does.Contain("interpreter").And.Contain("userspace").And.Match(@"(?m)^memfd +(yes|no)$").And.Contain("MAXPHYADDR 46"));
}
