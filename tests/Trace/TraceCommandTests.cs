using System.Text;
using NUnit.Framework;
using Quadwalk.Cli;

namespace Quadwalk.Tests;

/// <summary>A flat guest at 0x100000: <c>mov al, '!'; out 0xe9, al; hlt</c>, and one that prints a line and loops.</summary>
[TestFixture]
public sealed class TraceCommandTests
{
    private const string Whole = """
        0000000000100000: mov al, 0x21                                  ; rax=0000000000000021
        0000000000100002: out 0xe9, al
        0000000000100004: hlt

        """;

    private DirectoryInfo folder = null!;

    [SetUp]
    public void MakeImages()
    {
        folder = Directory.CreateTempSubdirectory();
        File.WriteAllBytes(PathOf("prints"), [0xb0, 0x21, 0xe6, 0xe9, 0xf4]);
        File.WriteAllBytes(PathOf("loops"), [0xb0, 0x0a, 0xe6, 0xe9, 0xeb, 0xfe]);
    }

    [TearDown]
    public void RemoveImages() => folder.Delete(recursive: true);

    [Test]
    public void To_standard_output_with_the_console_as_lines() => Assert.That(Run("prints"), Is.EqualTo((0, Whole + "console: !\n", "")));

    [Test]
    public void To_a_file_with_the_console_as_it_is()
    {
        (int, string, string) outcome = Run("prints", "--output", PathOf("trace"));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcome, Is.EqualTo((0, "!", "")));
            Assert.That(File.ReadAllText(PathOf("trace")), Is.EqualTo(Whole));
        }
    }

    [TestCase("--count 2", 0, "02")]
    [TestCase("--skip 1", 0, "24")]
    [TestCase("--from 0x100002", 0, "24")]
    [TestCase("--to 0x100002", 0, "0")]
    [TestCase("--range 0x100000-0x100001 --range 0x100004-0x100005", 0, "04")]
    [TestCase("--limit 1", 124, "0")]
    public void Filters(string options, int code, string expected)
    {
        (int actual, string output, _) = Run("prints", options.Split(' '));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(actual, Is.EqualTo(code));
            Assert.That(output.Split('\n').Where(line => line.StartsWith('0')).Select(line => line[15]), Is.EqualTo(expected));
        }
    }

    [Test]
    public void Interrupted_the_file_has_what_was_traced()
    {
        using CancellationTokenSource interrupt = new();
        using Trigger output = new(interrupt);
        using StringWriter error = new();

        int code = CommandLine.Invoke(
            ["trace", "--at", "0x100000", "--limit", "1M", "--output", PathOf("trace"), PathOf("loops")],
            new CliHost { Output = output, OutputIsTerminal = true, Error = error, Interrupt = interrupt.Token });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(130));
            Assert.That(error.ToString(), Does.Contain("has the 2 instructions traced until the interruption"));
            Assert.That(
                File.ReadAllText(PathOf("trace")),
                Is.EqualTo("0000000000100000: mov al, 0xa                                   ; rax=000000000000000a\n0000000000100002: out 0xe9, al\n"));
        }
    }

    [TestCase("--range main", 64, "--range 'main' is no range")]
    [TestCase("--from 2 --to 1", 64, "--from and --to: the range from 0x2 to 0x1 is empty")]
    [TestCase("--count 0", 64, "--count 0 would print nothing")]
    [TestCase("--skip x", 64, "--skip 'x' is no number")]
    [TestCase("--output /", 74, "--output /: it cannot be written")]
    public void Refused(string options, int code, string message)
    {
        (int actual, string output, string error) = Run("prints", options.Split(' '));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(actual, Is.EqualTo(code));
            Assert.That(error, Does.StartWith("quadwalk: " + message));
            Assert.That(output, Is.Empty);
        }
    }

    private (int Code, string Output, string Error) Run(string image, params string[] options)
    {
        using MemoryStream output = new();
        using StringWriter error = new();
        int code = CommandLine.Invoke(["trace", "--at", "0x100000", .. options, PathOf(image)], new CliHost { Output = output, Error = error });
        return (code, Encoding.UTF8.GetString(output.ToArray()), error.ToString());
    }

    private string PathOf(string name) => Path.Combine(folder.FullName, name);

    /// <summary>A terminal whose user presses Ctrl-C at the first line.</summary>
    private sealed class Trigger(CancellationTokenSource interrupt) : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => interrupt.Cancel();
    }
}
