using System.Text.Json;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary><c>quadwalk tlb</c> and <c>--tlb</c>.</summary>
[TestFixture]
internal sealed class TlbCommandTests
{
    private const int ExitValue = 3;

    [Test]
    public void ContentsAndCountsAreShown([Values("fast", "exact", "strict")] string mode)
    {
        using FlatProgram program = FlatProgram.Of(c => ForgetD(c, flush: true));
        CliRun run = CliRun.Of(program.Tlb("--tlb", mode));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.Zero);
            Assert.That(run.Error, Is.Empty);
            Assert.That(run.Text, Does.StartWith($"TLB {mode}, PCID 0x0, after "));
            Assert.That(run.Text, Does.Match(@"(?m)^0x0 +- 0x1fffff +1 +2M +0x0 +-wxd- +0x0$"));
            Assert.That(run.Text, Does.Match(@"(?m)^flushes, invlpg +1$"));
            Assert.That(run.Text.Contains("walks below a cached"), Is.EqualTo(mode != "fast"));
        }
    }

    [Test]
    public void JsonHasTheSame()
    {
        using FlatProgram program = FlatProgram.Of(c => ForgetD(c, flush: true));
        CliRun run = CliRun.Of(program.Tlb("--format", "json", "--tlb", "exact"));
        using JsonDocument json = JsonDocument.Parse(run.Text);
        JsonElement processor = json.RootElement.GetProperty("processors")[0];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(json.RootElement.GetProperty("mode").GetString(), Is.EqualTo("exact"));
            Assert.That(json.RootElement.GetProperty("stop").GetString(), Is.EqualTo("exit"));
            Assert.That(processor.GetProperty("translations").EnumerateArray().Select(range => range.GetProperty("first").GetString()), Does.Contain("0x0"));
            Assert.That(processor.GetProperty("structures").EnumerateArray().Select(entry => entry.GetProperty("level").GetString()), Does.Contain("PDPTE"));
            Assert.That(
                processor.GetProperty("counts").EnumerateArray().Single(count => count.GetProperty("name").GetString() == "flushes, invlpg").GetProperty("value").GetInt32(),
                Is.EqualTo(1));
        }
    }

    [Test]
    public void AfterSomeInstructionsTheGuestIsLookedAt()
    {
        using FlatProgram program = FlatProgram.Endless();
        CliRun run = CliRun.Of(program.Tlb("--after", "1k"));
        Assert.That((run.ExitCode, run.Text.Split('\n')[0]), Is.EqualTo((0, "TLB fast, PCID 0x0, after 1,000 instructions (limit)")));
    }

    [Test]
    public void StrictModeSaysWhatWasForgottenAndTheGuestGoesOn([Values("run", "trace", "tlb")] string command, [Values] bool flush)
    {
        using FlatProgram program = FlatProgram.Of(c => ForgetD(c, flush));
        CliRun run = CliRun.Of([command, .. program.Run("--tlb", "strict")[1..]]);
        Assert.That(run.ExitCode, Is.EqualTo(command == "tlb" ? 0 : (ExitValue << 1) | 1));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(flush ? 0 : 1));
        if (!flush)
        {
            Assert.That(
                run.ErrorLines[0],
                Does.Match("^quadwalk: stale translation at RIP 0x1000[0-9a-f]+, after [0-9]+ instructions: write to 0x100800 went to 0x[0-9a-f]+ by the TLB, "
                    + "but D was cleared and is not set again: PDE at 0x[0-9a-f]+ was 0x[0-9a-f]+ and is 0x[0-9a-f]+[.] Missing: INVLPG 0x100800"));
        }
    }

    [TestCase("--tlb", "loose", "--tlb 'loose' is not one of its values: give fast or exact or strict")]
    [TestCase("--format", "xml", "--format 'xml' is not one of its values: give text or json")]
    [TestCase("--after", "soon", "--after 'soon' is no number of instructions: give one like 5000, 0x1000, 1_000_000, 10k, 2.5M or 1G")]
    public void AWrongOptionGetsOneLine(string option, string value, string message)
    {
        using FlatProgram program = FlatProgram.Endless();
        CliRun run = CliRun.Of(program.Tlb(option, value));
        Assert.That((run.ExitCode, run.Output.Length), Is.EqualTo((64, 0)));
        Assert.That(run.ErrorLines, Is.EqualTo(new[] { $"quadwalk: {message}" }).Or.Length.EqualTo(1));
        Assert.That(run.Error, Does.Contain(message));
    }

    /// <summary>Writes to its own page, clears D in the PDE that maps it, and writes again, twice.</summary>
    private static void ForgetD(Assembler c, bool flush)
    {
        const ulong Target = FlatProgram.Address + 0x800;
        c.mov(r8, BootAddresses.DirectMap.Value);
        c.mov(rdi, PageTableEntry.AddressMask4K);
        c.mov(__byte_ptr[Target], 1);
        c.mov(rbx, cr3);
        foreach (int shift in (int[])[39, 30, 21])
        {
            c.and(rbx, rdi);
            c.lea(rsi, __[r8 + rbx + (long)(((Target >> shift) & 511) * 8)]);
            c.mov(rbx, __qword_ptr[rsi]);
        }

        c.btr(rbx, 6);
        c.mov(__qword_ptr[rsi], rbx);
        if (flush)
        {
            c.invlpg(__[Target]);
        }

        c.mov(__byte_ptr[Target], 2);
        c.mov(__byte_ptr[Target + 1], 3);
        c.mov(eax, ExitValue);
        c.@out(0xf4, eax);
    }
}
