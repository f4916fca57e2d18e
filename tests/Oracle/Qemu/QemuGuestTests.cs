using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>
/// The guests of samples/guests/pc on QEMU: what they print is what is expected of Quadwalk (<see cref="PcGuestTests"/>), but for the lines of
/// <see cref="QemuDifferences"/>, each of which must differ still.
/// </summary>
[TestFixture]
internal sealed partial class QemuGuestTests
{
    private static readonly TimeSpan longestRun = TimeSpan.FromSeconds(60), straying = TimeSpan.FromSeconds(20);

    private static readonly string[] ofPaging = ["paging", "paging32", "smap", "walks", "walks32", "walks57"];

    /// <summary>The races of <c>shootdown</c> do not end in TCG within the time a test has.</summary>
    public static IEnumerable<TestCaseData> Guests => GuestSamples.ImagesIn("pc").Where(image => image != "shootdown.elf").Select(image =>
    {
        string guest = Path.GetFileNameWithoutExtension(image);
        TestCaseData data = new TestCaseData(guest).SetArgDisplayNames(image);
        return ofPaging.Contains(guest) ? data : data.SetCategory("Full");
    });

    [TestCaseSource(nameof(Guests))]
    public void PrintsTheSameUnderQemu(string guest)
    {
        string version = QemuSystem.Require();
        QemuDifference[] known = [.. QemuDifferences.All.Where(difference => difference.Guest == guest)];
        string name = Path.Combine("pc", guest);
        string output = QemuSystem.Run(GuestSamples.PathOf(name + ".elf"), guest == "smp" ? 4 : 1, known.Any(difference => difference.AndAllAfter) ? straying : longestRun);
        string[] expected = [.. Lines(GuestSamples.ExpectedOutput(name))];
        string? last = known.SingleOrDefault(difference => difference.AndAllAfter)?.Checks[0];
        string[] compared = last is null ? expected : [.. expected.TakeWhile(line => CheckOf(line) != last)];
        string[] knownLines = [.. known.Where(difference => !difference.AndAllAfter).SelectMany(difference => difference.Checks)];
        string[] different = [.. Missing(compared, [.. Lines(output)]).Select(CheckOf)];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(output, Is.Not.Empty);
            Assert.That(Missing(expected[compared.Length..], [.. Lines(output)]).Count > 0, Is.EqualTo(last is not null), "whether the rest differs");
            Assert.That(different, version.StartsWith(QemuDifferences.Version, StringComparison.Ordinal) ? Is.EquivalentTo(knownLines) : Is.SubsetOf(knownLines), output);
        }
    }

    [Test]
    public void EachDifferenceIsOfAGuestAndNamesLinesOfItsOutput()
    {
        using (Assert.EnterMultipleScope())
        {
            foreach (QemuDifference difference in QemuDifferences.All)
            {
                string[] checks = [.. Lines(GuestSamples.ExpectedOutput(Path.Combine("pc", difference.Guest))).Select(CheckOf)];
                Assert.That(difference.Checks, Is.SubsetOf(checks), difference.Guest);
            }
        }
    }

    [GeneratedRegex("^(?:PASS: )?(.*?)(?:: [0-9]+ accesses, .*)?$")]
    private static partial Regex Check();

    private static string CheckOf(string line) => Check().Match(line).Groups[1].Value;

    /// <summary>The summary counts what the other lines say.</summary>
    private static IEnumerable<string> Lines(string output) =>
        output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !line.StartsWith("SUMMARY", StringComparison.Ordinal));

    /// <summary>The lines of one text that a longest common subsequence with another leaves out.</summary>
    private static List<string> Missing(string[] lines, string[] other)
    {
        int[,] common = new int[lines.Length + 1, other.Length + 1];
        for (int i = lines.Length - 1; i >= 0; i--)
        {
            for (int j = other.Length - 1; j >= 0; j--)
            {
                common[i, j] = lines[i] == other[j] ? common[i + 1, j + 1] + 1 : Math.Max(common[i + 1, j], common[i, j + 1]);
            }
        }

        List<string> missing = [];
        for (int i = 0, j = 0; i < lines.Length;)
        {
            if (j < other.Length && lines[i] == other[j])
            {
                (i, j) = (i + 1, j + 1);
            }
            else if (j < other.Length && common[i, j + 1] >= common[i + 1, j])
            {
                j++;
            }
            else
            {
                missing.Add(lines[i++]);
            }
        }

        return missing;
    }
}
