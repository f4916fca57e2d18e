using System.Reflection;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Cli;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class ExitCodeTests
{
    [TestCase(0u, 1)]
    [TestCase(1u, 3)]
    [TestCase(21u, 43)]
    [TestCase(127u, 255)]
    [TestCase(128u, 1)]
    public void AGuestThatExitsGivesItsOwnOddStatus(uint value, int code)
    {
        using FlatProgram program = FlatProgram.Exiting(value);
        CliRun run = CliRun.Of(program.Run());
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(code));
            Assert.That(run.Error, Is.Empty);
        }
    }

    [Test]
    public void AGuestThatHaltsGivesZero()
    {
        using FlatProgram program = FlatProgram.Of(0xf4);
        Assert.That(CliRun.Of(program.Run()).ExitCode, Is.Zero);
    }

    [Test]
    public void AGuestThatSleepsForeverGives70()
    {
        using FlatProgram program = FlatProgram.Of(0xfb, 0xf4);
        CliRun run = CliRun.Of(program.Run());
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(70));
            Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
            Assert.That(run.Error, Does.StartWith("quadwalk: the guest cannot go on at 0x100002 after 2 instructions: halted with interrupts on"));
        }
    }

    [Test]
    public void ATripleFaultGives100AndItsCause()
    {
        using FlatProgram program = FlatProgram.Of(0x0f, 0x0b);
        CliRun run = CliRun.Of(program.Run());
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(100));
            Assert.That(run.Error, Does.StartWith("quadwalk: Triple fault at RIP 0x100000").And.Contain("#UD"));
        }
    }

    [TestCase("1", 1)]
    [TestCase("5000", 5000)]
    [TestCase("10k", 10_000)]
    public void ALimitGives124AfterExactlySoManyInstructions(string limit, int instructions)
    {
        using FlatProgram program = FlatProgram.Endless();
        CliRun run = CliRun.Of(program.Run("--limit", limit));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(124));
            Assert.That(run.Error, Is.EqualTo($"quadwalk: stopped by --limit at 0x100000 after {instructions} instructions: give a higher limit, or none\n"));
        }
    }

    [Test]
    public void AnInterruptGives130()
    {
        using FlatProgram program = FlatProgram.Endless();
        using CancellationTokenSource interrupt = new(TimeSpan.FromMilliseconds(50));
        CliRun run = CliRun.With(null, null, interrupt.Token, program.Run());
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(130));
            Assert.That(run.Error, Does.StartWith("quadwalk: interrupted at 0x100000 after "));
        }
    }

    [TestCase(32, "")]
    [TestCase(28, "quadwalk: the output cannot be written: no more\n")]
    public void OutputThatCannotBeWrittenEndsTheRunWith74AndAClosedPipeDoesSoSilently(int errno, string error)
    {
        using FlatProgram program = FlatProgram.Of(assembler =>
        {
            Label again = assembler.CreateLabel();
            assembler.mov(eax, (uint)'x');
            assembler.Label(ref again);
            assembler.@out(0xe9, al);
            assembler.jmp(again);
        });
        using FailingStream output = new(errno);
        CliRun run = CliRun.With(null, output, default, program.Run());
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.EqualTo(74));
            Assert.That(run.Error, Is.EqualTo(error));
        }
    }

    [TestCase("--help")]
    [TestCase("info")]
    [TestCase("--version")]
    public void AClosedPipeUnderTheOtherCommandsGives74(string command)
    {
        using FailingStream output = new(32);
        CliRun run = CliRun.With(null, output, default, command);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((74, "")));
    }

    [Test]
    public void AnUnexpectedExceptionGives70InOneLineAndItsStackOnDemand()
    {
        CliRun plain = CliRun.With(null, new BrokenStream(), default, "info");
        CliRun debug = CliRun.With(null, new BrokenStream(), default, "info", "--debug");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(plain.ExitCode, Is.EqualTo(70));
            Assert.That(plain.Error, Is.EqualTo("quadwalk: internal error: InvalidOperationException: broken: --debug shows where\n"));
            Assert.That(debug.ExitCode, Is.EqualTo(70));
            Assert.That(debug.Error, Does.Contain("   at Quadwalk."));
        }
    }

    [Test]
    public void MoreMemoryThanTheProcessorCanAddressGives64()
    {
        using FlatProgram program = FlatProgram.Endless();
        CliRun run = CliRun.Of(program.Run("-m", "64T"));
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((64, "quadwalk: -m 0x400000000000 is more RAM than the processor can address: give at most 65535G\n")));
    }

    [Test]
    public void MoreMemoryThanTheHostGivesIsAnErrorOfUsageWhereTheHostRefusesIt()
    {
        using FlatProgram program = FlatProgram.Endless();
        CliRun run = CliRun.Of(program.Run("-m", "60T", "--host-memory", "anonymous", "--limit", "1"));
        Assert.That(run.ExitCode, Is.AnyOf(64, 124), run.Error);
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
    }

    [Test]
    public void EveryCodeOfQuadwalkIsEvenAndDocumented()
    {
        int[] codes =
        [
            .. typeof(ExitCode).GetFields(BindingFlags.Public | BindingFlags.Static).Where(field => field.IsLiteral)
                .Select(field => (int)field.GetRawConstantValue()!).Where(code => code != ExitCode.Success).Order(),
        ];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(codes, Has.All.Matches<int>(code => code % 2 == 0));
            Assert.That(ExitCode.Meanings.Skip(1).Select(meaning => int.Parse(meaning.Code)), Is.EqualTo(codes));
        }
    }

    private sealed class FailingStream(int errno) : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count) => throw new IOException("no more", errno);

        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("no more", errno);
    }

    private sealed class BrokenStream : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new InvalidOperationException("broken");
    }
}
