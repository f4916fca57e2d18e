using System.Diagnostics;
using NUnit.Framework;
using Quadwalk.Cli;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>The engine options of <c>run</c>, and <c>diff</c>.</summary>
[TestFixture]
internal sealed class DiffCommandTests
{
    private static readonly string Hello = GuestSamples.PathOf("hello.elf");

    [Test]
    public void UnicornRunsAGuest()
    {
        UnicornOracle.Require();
        CliRun run = CliRun.Of("run", "--engine", "unicorn", Hello);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Text, Is.EqualTo(GuestSamples.ExpectedOutput("hello")));
            Assert.That(run.Error, Is.Empty);
            Assert.That(run.ExitCode, Is.Zero);
        }
    }

    [TestCase("--engine unicorn needs", "run", "--engine", "qemu")]
    [TestCase("--unicorn is for --engine unicorn: add that", "run", "--unicorn", "/x")]
    [TestCase("no erratum is called 'x'", "run", "--engine", "unicorn", "--tolerate", "x")]
    [TestCase("--engines 'a,b' is no pair of engines", "diff", "--engines", "a,b")]
    [TestCase("diff compares bare machines", "diff", "--machine", "pc")]
    public void WrongUseIsExplained(string message, params string[] arguments)
    {
        CliRun run = CliRun.Of([.. arguments, Hello]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Usage));
            Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
            Assert.That(run.Error, arguments[^1] == "qemu" ? Does.Contain("'qemu'") : Does.Contain(message));
        }
    }

    [Test]
    public void TlbModeAndUnicornDoNotGoTogether()
    {
        CliRun run = CliRun.Of("run", "--engine", "unicorn", "--tlb", "exact", Hello);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Usage));
            Assert.That(run.Error, Does.Contain("leave --tlb out"));
        }
    }

    [Test]
    public void MissingLibraryIsOneLineWithTheRemedy()
    {
        string command = Path.Combine(AppContext.BaseDirectory, "quadwalk.dll");
        ProcessStartInfo start = new("dotnet", [command, "run", "--engine", "unicorn", "--unicorn", "/nowhere/libunicorn.so.2", Hello]) { RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(process.ExitCode, Is.EqualTo(ExitCode.Usage));
            Assert.That(error.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(1));
            Assert.That(error, Does.StartWith("quadwalk: --engine unicorn: libunicorn 2.1.1 or later is needed, and there is no /nowhere/libunicorn.so.2"));
        }
    }

    [TestCase("instruction")]
    [TestCase("block")]
    [TestCase("exit")]
    public void DiffFindsNothingInAGuest(string step)
    {
        UnicornOracle.Require();
        CliRun run = CliRun.Of("diff", "--step", step, Hello);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Text, Does.Match("^no difference in 1222 instructions, [0-9]+ of them by Unicorn, compared [0-9]+ times: the guest ended, Halted\n$"));
            Assert.That(run.ExitCode, Is.Zero);
        }
    }

    [Test]
    public void DiffShowsTheInstructionAndHowToRepeatIt()
    {
        UnicornOracle.Require();
        using FlatProgram program = FlatProgram.Of(c =>
        {
            c.mov(esi, 0x100101);
            c.movaps(xmm1, __xmmword_ptr[rsi]);
            c.hlt();
        });
        CliRun run = CliRun.Of("diff", program.Path, "--load-at", "0x100000", "--tolerate", "sse-alignment");
        CliRun exact = CliRun.Of("diff", program.Path, "--load-at", "0x100000");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Difference));
            Assert.That(run.Text, Does.StartWith("interpreter and unicorn differ after instruction 2, at 0x100005: movaps xmm1,"));
            Assert.That(run.Text, Does.Contain($"again: quadwalk diff {program.Path} --load-at 0x100000 --tolerate sse-alignment --skip 1 --limit 1 --step instruction"));
            Assert.That(exact.ExitCode, Is.Zero, exact.Text);
        }
    }
}
