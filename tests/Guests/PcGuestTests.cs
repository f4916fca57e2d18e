using System.Text;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// Every image of samples/guests/pc on a <see cref="MachineKind.Pc"/>: its output byte for byte, and how it ends. The expected
/// output is what QEMU prints too, but for the checks that the folder's README lists: <see cref="QemuGuestTests"/> holds it to that.
/// </summary>
public sealed class PcGuestTests
{
    private const ulong MostInstructions = 2_000_000_000;

    private const string Folder = "pc";

    public static IEnumerable<TestCaseData> Runs =>
        GuestSamples.ImagesIn(Folder).Select(image => new TestCaseData(Path.GetFileNameWithoutExtension(image)).SetArgDisplayNames(image));

    [TestCaseSource(nameof(Runs))]
    public void PrintsWhatIsExpected(string guest)
    {
        string name = Path.Combine(Folder, guest);
        (StopReport report, string output) = Run(name, guest is "smp" or "shootdown" ? 4 : 1);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(output, Is.EqualTo(GuestSamples.ExpectedOutput(name)));
            Assert.That(output, Does.Match("SUMMARY: [1-9][0-9]* tests, 0 failed\n$"));
            Assert.That(report, Is.EqualTo(new StopReport(StopReason.Exit, 1)));
        }
    }

    [TestCase(1, ExpectedResult = "1 processors")]
    [TestCase(2, ExpectedResult = "2 processors")]
    [TestCase(8, ExpectedResult = "8 processors")]
    public string ProcessorsStart(int processors)
    {
        (StopReport report, string output) = Run(Path.Combine(Folder, "smp"), processors);
        Assert.That(report, Is.EqualTo(new StopReport(StopReason.Exit, 1)), output);
        return output.Split('\n')[0];
    }

    private static (StopReport Report, string Output) Run(string name, int processors)
    {
        using MemoryStream console = new();
        using Machine machine = new(new MachineOptions { Kind = MachineKind.Pc, Processors = processors, Console = console });
        MultibootImage image = MultibootImage.Parse(File.ReadAllBytes(GuestSamples.PathOf(name + ".elf")));
        MultibootStart.Enter(machine, MultibootLoader.Load(machine, image, name, "one two"));
        return (machine.Run(MostInstructions), Encoding.UTF8.GetString(console.ToArray()));
    }
}
