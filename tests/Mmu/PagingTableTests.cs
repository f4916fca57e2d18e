using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The table of what the sweeps span is up to date.</summary>
[TestFixture]
internal sealed class PagingTableTests
{
    private static string Golden { get; } = Path.GetFullPath(Path.Combine(GuestSamples.Folder, "..", "..", "tests", "Golden", "paging.md"));

    [Test]
    public void TheTableIsUpToDate()
    {
        string made = PagingTable.Write(PagingSweepTests.Samples, SweepPairsOf.Sweep);
        string there = File.Exists(Golden) ? File.ReadAllText(Golden) : "";
        if (there != made)
        {
            string generated = Path.Combine(TestContext.CurrentContext.WorkDirectory, "paging.md");
            File.WriteAllText(generated, made);
            string[] before = there.Split('\n'), after = made.Split('\n');
            Assert.Fail($"tests/Golden/paging.md is not what the sweeps are now: look at the changes, then\n  cp '{generated}' '{Golden}'\n"
                + string.Join('\n', before.Except(after).Select(line => $"- {line}").Concat(after.Except(before).Select(line => $"+ {line}"))));
        }
    }
}
