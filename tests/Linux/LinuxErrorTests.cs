using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>Programs that cannot be run, or that die.</summary>
[TestFixture]
[Platform("Linux")]
internal sealed class LinuxErrorTests
{
    [Test]
    public void AMissingProgramGives66()
    {
        CliRun run = LinuxPrograms.Emulate(null, [], "/no/such/program", "--its", "own");
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((66, "quadwalk: /no/such/program: there is no such file: check the path\n")));
    }

    [Test]
    public void AFileThatIsNoProgramGives66()
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, "just text\n");
        CliRun run = LinuxPrograms.Emulate(null, [], path);
        File.Delete(path);
        Assert.That(run.ExitCode, Is.EqualTo(66));
        Assert.That(run.ErrorLines.Single(), Does.StartWith($"quadwalk: {path}: the ELF header").And.Contain("7f 45 4c 46"));
    }

    [Test]
    public void ADynamicallyLinkedProgramIsNamedSo()
    {
        string path = LinuxPrograms.Compile("hello", "dynamic");
        CliRun run = LinuxPrograms.Emulate(null, [], path);
        Assert.That(run.ExitCode, Is.EqualTo(66));
        Assert.That(run.ErrorLines.Single(), Does.StartWith($"quadwalk: {path}: dynamically linked: needs INTERP /lib").And.Contain("-static"));
    }

    [TestCase("*(volatile int *)0x123 = 1;", 139, "SIGSEGV at RIP 0x[0-9a-f]+: #PF\\(0x6\\) at 0x123: ")]
    [TestCase("((void (*)(void))\"\\xc3\")();", 139, "SIGSEGV at RIP 0x[0-9a-f]+: #PF\\(0x15\\) at 0x[0-9a-f]+: ")]
    [TestCase("__asm__ volatile(\"hlt\");", 139, "SIGSEGV at RIP 0x[0-9a-f]+: #GP\\(0x0\\): the instruction is allowed at CPL 0 only")]
    [TestCase("__asm__ volatile(\"mov $0xffffffffff002000, %rax; jmp *%rax\");", 139, "SIGSEGV at RIP 0xffffffffff002000: #PF")]
    [TestCase("__asm__ volatile(\"int $0x80\");", 139, "SIGSEGV at RIP 0x[0-9a-f]+: #GP")]
    [TestCase("__asm__ volatile(\"in $0x60, %al\");", 139, "SIGSEGV at RIP 0x[0-9a-f]+: #GP")]
    [TestCase("__builtin_trap();", 132, "SIGILL at RIP 0x[0-9a-f]+: #UD: the instruction is there to raise it")]
    [TestCase("volatile int zero = 0; zero = 7 / zero;", 136, "SIGFPE at RIP 0x[0-9a-f]+: #DE: the divisor is 0")]
    [TestCase("__builtin_abort();", 134, "SIGABRT$")]
    [TestCase("for (;;) { char *more = malloc(1 << 20); for (int i = 0; i < 256; i++) more[i * 4096] = 1; }", 137, "SIGKILL: guest RAM ran out, 8 MiB")]
    [TestCase("volatile char deep[9 << 20]; deep[0] = 1;", 139, "SIGSEGV")]
    [TestCase("__asm__ volatile(\"mov $15, %eax; xor %esp, %esp; syscall\");", 139, "SIGSEGV")]
    public void AProgramThatDiesSaysWhyInOneLine(string statement, int status, string says)
    {
        string source = Path.Combine(Path.GetTempPath(), $"quadwalk-{Guid.NewGuid():n}.c");
        string program = Path.ChangeExtension(source, ".out");
        try
        {
            File.WriteAllText(source, $"#include <stdlib.h>\nint main(void) {{ {statement} return 0; }}\n");
            (int compiled, _, string error) = LinuxPrograms.Run("gcc", null, ["-static", "-w", "-O0", "-o", program, source]);
            Assert.That(compiled, Is.Zero, error);
            CliRun run = LinuxPrograms.Emulate(null, ["-m", "8M"], program);
            Assert.That(run.ExitCode, Is.EqualTo(status), run.Error);
            Assert.That(run.ErrorLines.Single(), Does.Match($"^quadwalk: killed by {says}"));
        }
        finally
        {
            File.Delete(source);
            File.Delete(program);
        }
    }

    [Test]
    public void AForkBombIsBounded()
    {
        CliRun run = LinuxPrograms.Emulate(null, ["--limit", "30M"], "/usr/bin/busybox", "sh", "-c", "f() { f & f; }; f");
        Assert.That(run.ExitCode, Is.Not.EqualTo(70), run.Error);
    }

    [Test]
    public void TheLimitHolds()
    {
        CliRun run = LinuxPrograms.Emulate(null, ["--limit", "100k"], LinuxPrograms.Compile("threads"));
        Assert.That(run.ExitCode, Is.EqualTo(124));
        Assert.That(run.Error, Does.Contain("after 100000 instructions"));
    }

    [Test]
    public void AWaitForInputCanBeInterrupted()
    {
        using CancellationTokenSource interrupt = new(500);
        using Silent silent = new();
        CliRun run = CliRun.With(silent, null, interrupt.Token, "run", "--personality", "linux", LinuxPrograms.Compile("hello"));
        Assert.That(run.ExitCode, Is.EqualTo(130), run.Error);
    }

    [TestCase("--env bad /bin/true", "--env 'bad' is no variable")]
    [TestCase("--allow /no/such/path /bin/true", "--allow '/no/such/path': there is no such file or folder")]
    [TestCase("--seed x /bin/true", "--seed 'x' is no seed")]
    [TestCase("--ring 3 /bin/true", "--load-at and --ring are not for --personality linux")]
    public void WrongOptionsGive64(string options, string says)
    {
        CliRun run = LinuxPrograms.Emulate(null, [], options.Split(' '));
        Assert.That(run.ExitCode, Is.EqualTo(64));
        Assert.That(run.ErrorLines.Single(), Does.Contain(says));
    }

    [Test]
    public void OptionsOfThePersonalityNeedIt()
    {
        CliRun run = CliRun.Of("run", "--env", "A=B", "/bin/true");
        Assert.That((run.ExitCode, run.ErrorLines.Length), Is.EqualTo((64, 1)));
    }

    private sealed class Silent : Stream
    {
        private readonly ManualResetEventSlim never = new();

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            never.Wait(5000);
            return 0;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
