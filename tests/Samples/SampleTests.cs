using System.Diagnostics;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>Each sample program prints what lies beside it in expected.txt.</summary>
[TestFixture]
public sealed class SampleTests
{
    [TestCase("embed", "Embed")]
    [TestCase("lab", "Lab")]
    [TestCase("mmio-device", "MmioDevice")]
    [TestCase("page-walk", "PageWalk")]
    public void PrintsItsExpectedOutput(string folder, string project) => Run(folder, project);

    [Test]
    public void UnicornSamplePrintsItsExpectedOutput()
    {
        UnicornOracle.Require();
        Run("unicorn-paging", "UnicornPaging", Unicorn.Net.UnicornLibrary.LoadedFrom!);
    }

    private static void Run(string folder, string project, params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet", [BuiltBeside(project), .. arguments]) { RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        string expected = File.ReadAllText(Path.Combine(GuestSamples.Folder, "..", folder, "expected.txt"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(output, Is.EqualTo(expected));
            Assert.That(process.ExitCode, Is.Zero);
        }
    }

    /// <summary>The sample built with the same configuration as these tests: artifacts/bin/PROJECT/CONFIGURATION.</summary>
    private static string BuiltBeside(string project)
    {
        DirectoryInfo configuration = new(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        return Path.Combine(configuration.Parent!.Parent!.FullName, project, configuration.Name, project + ".dll");
    }
}
