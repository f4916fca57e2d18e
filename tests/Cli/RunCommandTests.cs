using System.Text.Json;
using Iced.Intel;
using NUnit.Framework;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class RunCommandTests
{
    [Test]
    public void EveryByteOfTheConsoleReachesTheOutput()
    {
        using FlatProgram program = FlatProgram.Of(assembler =>
        {
            Label again = assembler.CreateLabel();
            assembler.xor(eax, eax);
            assembler.Label(ref again);
            assembler.@out(0xe9, al);
            assembler.inc(al);
            assembler.jne(again);
            assembler.hlt();
        });
        CliRun run = CliRun.Of(program.Run());
        Assert.That(run.Output, Is.EqualTo(Enumerable.Range(0, 256).Select(value => (byte)value)));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void TheGuestReadsItsInputThroughTheUart(bool seekable)
    {
        using FlatProgram program = FlatProgram.Of(Echo);
        using MemoryStream bytes = new([.. Enumerable.Range(1, 5000).Select(value => (byte)((value % 255) + 1)), 0]);
        CliRun run = CliRun.With(seekable ? bytes : new Unseekable(bytes), null, default, program.Run());
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.Zero);
            Assert.That(run.Output, Is.EqualTo(bytes.ToArray()[..5000]));
        }
    }

    [Test]
    public void InputThatNeverComesHoldsNothingUp()
    {
        using FlatProgram program = FlatProgram.Of(Echo);
        CliRun run = CliRun.With(new Silent(), null, default, program.Run("--limit", "1000"));
        Assert.That(run.ExitCode, Is.EqualTo(124));
    }

    [Test]
    public void StatisticsAreExact()
    {
        using FlatProgram program = FlatProgram.Of(assembler =>
        {
            assembler.mov(eax, 7);
            assembler.mov(ecx, eax);
            assembler.@out(0xf4, eax);
        });
        CliRun run = CliRun.Of(program.Run("--stats=json"));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
        JsonElement json = JsonDocument.Parse(run.Error).RootElement;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                json.EnumerateObject().Select(property => property.Name),
                Is.EqualTo(
                [
                    "instructions", "walks", "tlb_hits", "tlb_misses", "mmio_exits", "exceptions", "seconds", "mips", "stop", "exit_code",
                ]));
            Assert.That(json.GetProperty("instructions").GetUInt64(), Is.EqualTo(3));
            Assert.That(json.GetProperty("walks").GetUInt64(), Is.EqualTo(1));
            Assert.That(json.GetProperty("mmio_exits").GetUInt64(), Is.Zero);
            Assert.That(json.GetProperty("exceptions").GetUInt64(), Is.Zero);
            Assert.That(json.GetProperty("seconds").GetDouble(), Is.Positive);
            Assert.That(json.GetProperty("stop").GetString(), Is.EqualTo("exit"));
            Assert.That(json.GetProperty("exit_code").GetInt32(), Is.EqualTo(15));
        }
    }

    [TestCase("--stats", "x.elf")]
    [TestCase("--stats", "json", "x.elf")]
    [TestCase("x.elf", "--stats")]
    public void StatsTakesNoImageForItsValue(params string[] arguments)
    {
        CliRun run = CliRun.Of(["run", .. arguments]);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((66, "quadwalk: x.elf: there is no such file: check the path\n")));
    }

    [Test]
    public void StatisticsForAPersonNameEveryCount()
    {
        using FlatProgram program = FlatProgram.Exiting(0);
        CliRun run = CliRun.Of(program.Run("--stats"));
        Assert.That(
            run.ErrorLines.Select(line => line[..13].TrimEnd()),
            Is.EqualTo(["instructions", "walks", "TLB hits", "TLB misses", "MMIO exits", "exceptions", "seconds", "MIPS", "stop", "exit code"]));
    }

    [Test]
    public void ASampleGuestPrintsWhatItShould()
    {
        CliRun run = CliRun.Of("run", GuestSamples.PathOf("hello.elf"));
        Assert.That((run.ExitCode, run.Text, run.Error), Is.EqualTo((0, GuestSamples.ExpectedOutput("hello"), "")));
    }

    [TestCase("0", 0)]
    [TestCase("3", 100)]
    public void TheRingCanBeChosen(string ring, int code)
    {
        // HLT is privileged: at CPL 3 it faults, and without an IDT that ends the guest.
        using FlatProgram program = FlatProgram.Of(0xf4);
        Assert.That(CliRun.Of(program.Run("--ring", ring)).ExitCode, Is.EqualTo(code));
    }

    // Until a zero byte comes: reads the UART's LSR until a character is there, and prints it.
    private static void Echo(Assembler assembler)
    {
        Label again = assembler.CreateLabel();
        Label end = assembler.CreateLabel();
        assembler.Label(ref again);
        assembler.mov(dx, 0x3fd);
        assembler.@in(al, dx);
        assembler.test(al, 1);
        assembler.je(again);
        assembler.mov(dx, 0x3f8);
        assembler.@in(al, dx);
        assembler.test(al, al);
        assembler.je(end);
        assembler.@out(0xe9, al);
        assembler.jmp(again);
        assembler.Label(ref end);
        assembler.hlt();
    }

    private class Unseekable(Stream inner) : MemoryStream
    {
        public override bool CanSeek => false;

        public override int Read(Span<byte> buffer) => inner.Read(buffer[..Math.Min(buffer.Length, 700)]);

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    }

    private sealed class Silent() : Unseekable(Null)
    {
        public override int Read(byte[] buffer, int offset, int count)
        {
            Thread.Sleep(Timeout.Infinite);
            return 0;
        }
    }
}
