using System.Reflection;
using System.Text.RegularExpressions;
using NUnit.Framework;
using Quadwalk.Cli;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>The catalog of scenarios against the rows of the host-memory table, the tests named after them, and the README.</summary>
[TestFixture]
internal sealed partial class LabCatalogTests
{
    // What is still to come: it can only shrink.
    private static readonly int[] WithoutScenario = [];

    private static readonly int[] WithoutTest = [];

    [Test]
    public void TheRowsAreNumberedFrom1To47() =>
        Assert.That(LabRow.All.Select(row => row.Number), Is.EqualTo(Enumerable.Range(1, 47)));

    [Test]
    public void EveryRowHasAScenario() => Assert.That(
        LabRow.All.Select(row => row.Number).Except(LabSelection.Scenarios.Select(scenario => scenario.Row)), Is.SubsetOf(WithoutScenario));

    [Test]
    public void EveryRowHasATestThatIsNamedAfterIt()
    {
        IEnumerable<int> tested =
            from type in typeof(LabCatalogTests).Assembly.GetTypes()
            from method in type.GetMethods(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.DeclaredOnly)
            let row = RowName().Match(method.Name)
            where row.Success && method.GetCustomAttributes().Any(attribute => attribute is TestAttribute or TestCaseAttribute or TestCaseSourceAttribute)
            select int.Parse(row.Groups[1].Value);
        Assert.That(LabRow.All.Select(row => row.Number).Except(tested), Is.SubsetOf(WithoutTest));
    }

    [Test]
    public void EachScenarioHasANameOfItsOwnARowATitleAndKernels()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(LabSelection.Scenarios.Select(scenario => scenario.Name), Is.Unique);
            Assert.That(LabSelection.Scenarios.Select(scenario => scenario.Title), Is.Unique);
            foreach (LabScenario scenario in LabSelection.Scenarios)
            {
                Assert.That(scenario.Name, Does.Match("^[a-z0-9]+(-[a-z0-9]+)+$"));
                Assert.That(scenario.Title, Does.Match(@"^\S.*\.$"), scenario.Name);
                Assert.That(scenario.Row, Is.InRange(1, 47), scenario.Name);
                Assert.That(scenario.Behaviors, Is.Not.Empty.And.Unique.And.Ordered, scenario.Name);
            }
        }
    }

    [Test]
    public void TheReadmeHasEveryRowWithScenariosOfIt()
    {
        string[] lines = File.ReadAllLines(Path.Combine(GuestSamples.Folder, "..", "..", "README.md"));
        Match[] rows = [.. lines.Select(line => RowLine().Match(line)).Where(match => match.Success)];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(rows.Select(row => (int.Parse(row.Groups[1].Value), row.Groups[2].Value)), Is.EqualTo(LabRow.All.Select(row => (row.Number, row.Mechanism))));
            foreach (Match row in rows)
            {
                int number = int.Parse(row.Groups[1].Value);
                string[] scenarios = [.. LabSelection.Scenarios.Where(scenario => scenario.Row == number).Select(scenario => $"`{scenario.Name}`")];
                string[] named = row.Groups[3].Value.Split(", ", StringSplitOptions.RemoveEmptyEntries);
                Assert.That(named, Is.SubsetOf(scenarios), $"row {number}");
                Assert.That(named.Length == 0, Is.EqualTo(WithoutScenario.Contains(number)), $"row {number}");
            }
        }
    }

    [GeneratedRegex("^Row([0-9]{2})_")]
    private static partial Regex RowName();

    [GeneratedRegex(@"^\| ([0-9]+) \| (.*) \| (.*?) ?\|$")]
    private static partial Regex RowLine();
}
