using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Programs of glibc and musl print what they print on Linux; the expected output was made there.</summary>
[TestFixture]
[Platform("Linux")]
internal sealed class LinuxProgramTests
{
    [Test, Combinatorial]
    public void ProgramsPrintWhatTheyPrintOnLinux([Values("memory", "processes", "threads")] string name, [Values("glibc", "pie", "musl")] string kind)
    {
        CliRun run = LinuxPrograms.Emulate(null, [], LinuxPrograms.Compile(name, kind));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Text, Is.EqualTo(LinuxPrograms.Expected(name)));
            Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        }
    }

    [Test]
    public void FloatingPointTextIsTheSame([Values("glibc", "musl")] string kind)
    {
        if (!new CpuFeatures().Has(CpuFeature.Fpu))
        {
            Assert.Ignore("The C libraries convert with x87, which this processor does not claim yet.");
        }

        CliRun run = LinuxPrograms.Emulate(null, [], LinuxPrograms.Compile("floats", kind));
        Assert.That((run.Text, run.ExitCode, run.Error), Is.EqualTo((LinuxPrograms.Expected("floats"), 0, "")));
    }

    [TestCase("glibc")]
    [TestCase("pie")]
    [TestCase("musl")]
    public void ArgumentsEnvironmentStreamsAndTheStatusPassThrough(string kind)
    {
        CliRun run = LinuxPrograms.Emulate("one\ntwo\n", ["--env", "COLOUR=green"], LinuxPrograms.Compile("hello", kind), "7", "two words");
        Assert.That((run.Text, run.ExitCode, run.Error), Is.EqualTo((LinuxPrograms.Expected("hello"), 7, "to stderr\n")));
    }

    [TestCase("glibc")]
    [TestCase("musl")]
    public void FilesOfAnAllowedFolderCanBeMadeAndChanged(string kind)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("quadwalk-files");
        try
        {
            CliRun run = LinuxPrograms.Emulate(null, ["--allow", $"{folder.FullName}:rw"], LinuxPrograms.Compile("files", kind), folder.FullName);
            string expected = LinuxPrograms.Expected("files");
            Assert.That((run.Text, run.ExitCode, run.Error), Is.EqualTo((expected, 0, "")));
            Assert.That(folder.EnumerateFileSystemInfos(), Is.Empty);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Test]
    public void BadArgumentsGetTheErrorsOfLinuxAndUnknownCallsAreListed()
    {
        CliRun run = LinuxPrograms.Emulate(null, [], LinuxPrograms.Compile("errors"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Text, Is.EqualTo(LinuxPrograms.Expected("errors")));
            Assert.That(run.Error, Is.EqualTo(
                "quadwalk: system call 1000 is not there (-ENOSYS): made 1 times\nquadwalk: system call 1001 is not there (-ENOSYS): made 1 times\n"));
        }
    }

    [Test]
    public void MemoryOfDeadProcessesIsUsedAgain()
    {
        CliRun run = LinuxPrograms.Emulate(null, ["-m", "4M"], LinuxPrograms.Compile("processes"));
        Assert.That((run.Text, run.ExitCode, run.Error), Is.EqualTo((LinuxPrograms.Expected("processes"), 0, "")));
    }

    [Test]
    public void TheSameRunTakesTheSameInstructions()
    {
        string program = LinuxPrograms.Compile("threads");
        CliRun first = LinuxPrograms.Emulate(null, ["--stats=json"], program);
        CliRun second = LinuxPrograms.Emulate(null, ["--stats=json"], program);
        Assert.That(Instructions(first), Is.EqualTo(Instructions(second)).And.GreaterThan(100_000));
    }

    private static long Instructions(CliRun run) =>
        System.Text.Json.JsonDocument.Parse(run.Error).RootElement.GetProperty("instructions").GetInt64();
}
