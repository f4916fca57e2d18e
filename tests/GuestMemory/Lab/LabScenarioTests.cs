using System.Globalization;
using NUnit.Framework;
using Quadwalk.Cli;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Each scenario of the lab, those that run guest instructions among them, under each kernel that it is for, on both kinds of host memory.</summary>
[TestFixture]
public sealed class LabScenarioTests
{
    private static IEnumerable<TestCaseData> Runs() =>
        from scenario in LabSelection.Scenarios
        from behavior in scenario.Behaviors
        from memory in new[] { HostMemoryKind.Memfd, HostMemoryKind.Anonymous }
        select new TestCaseData(scenario, behavior, memory).SetName(
            string.Create(CultureInfo.InvariantCulture, $"Row{scenario.Row:00}_Lab_{scenario.Name}({behavior},{memory})"));

    [TestCaseSource(nameof(Runs))]
    public void Holds(LabScenario scenario, KernelBehavior behavior, HostMemoryKind memory)
    {
        if (memory == HostMemoryKind.Memfd && !OperatingSystem.IsLinux())
        {
            Assert.Ignore("there is no memfd outside Linux");
        }

        LabRun run = scenario.Run(behavior, memory);

        Assert.That(run.Held, Is.True, () => $"{run.Error}\n{string.Join('\n', run.Lines.Select(line => $"{line.Kind,-6} {line.Actor,-8} {line.Text}"))}");
        Assert.That(run.Memory, Is.EqualTo(memory));
    }
}
