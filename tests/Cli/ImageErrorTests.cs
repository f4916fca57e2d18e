using NUnit.Framework;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class ImageErrorTests
{
    [TestCase("run", "/nonexistent/image.elf", "there is no such file")]
    [TestCase("page --at 0", "/nonexistent/image.elf", "there is no such file")]
    [TestCase("run", "/", "this is a directory")]
    public void APathWithoutAnImageGives66(string command, string path, string says) =>
        RequireImageError(CliRun.Of([.. command.Split(' '), path]), $"quadwalk: {path}: {says}");

    [TestCase(0, "this is no ELF file")]
    [TestCase(3, "this is no ELF file")]
    [TestCase(4, "")]
    [TestCase(63, "")]
    [TestCase(100, "")]
    [TestCase(200, "")]
    public void AFileCutShortGives66(int length, string says)
    {
        using FlatProgram file = FlatProgram.Of(new ElfBuilder().Build()[..length]);
        RequireImageError(CliRun.Of("run", file.Path), $"quadwalk: {file.Path}: {says}");
    }

    [Test]
    public void AFileOfSomethingElseGives66AndSaysHowToLoadIt()
    {
        using FlatProgram file = FlatProgram.Of([.. "#!/bin/sh\n"u8]);
        CliRun run = CliRun.Of("run", file.Path);
        RequireImageError(run, $"quadwalk: {file.Path}: ");
        Assert.That(run.Error, Does.Contain("--load-at"));
    }

    [TestCase("0x800000000000")]
    [TestCase("0xfffffffffffffffe")]
    [TestCase("0x7000000")]
    public void AFlatBinaryThatLiesNowhereGives66(string address)
    {
        using FlatProgram file = FlatProgram.Of(0x90, 0x90, 0xf4);
        RequireImageError(CliRun.Of("run", file.Path, "-m", "64M", "--load-at", address), $"quadwalk: {file.Path}: ");
    }

    [Test]
    public void AnEmptyFlatBinaryGives66()
    {
        using FlatProgram file = FlatProgram.Of([]);
        RequireImageError(CliRun.Of("run", file.Path, "--load-at", "0x100000"), $"quadwalk: {file.Path}: the flat image is empty");
    }

    private static void RequireImageError(CliRun run, string start)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(66));
            Assert.That(run.ErrorLines, Has.Length.EqualTo(1), run.Error);
            Assert.That(run.Error, Does.StartWith(start));
            Assert.That(run.Output, Is.Empty);
        }
    }
}
