using System.ComponentModel;
using System.Diagnostics;

using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The committed images are what build.sh makes of the committed sources.</summary>
public sealed class RebuildTests
{
    [TestCase("")]
    [TestCase("pc")]
    public void TheRecordedCompilerGivesTheCommittedBytes(string folder)
    {
        string recorded = File.ReadAllText(GuestSamples.PathOf("gcc-version.txt"));
        string present = $"{FirstLine("gcc")}\n{FirstLine("ld")}\n";
        if (present != recorded)
        {
            Assert.Ignore($"The images were built with {recorded.Trim()}; here is {present.Trim()}.");
        }

        DirectoryInfo output = Directory.CreateTempSubdirectory("quadwalk-guests");
        try
        {
            (int status, string text) = Run("sh", GuestSamples.PathOf(Path.Combine(folder, "build.sh")), output.FullName);
            Assert.That(status, Is.Zero, text);

            string[] rebuilt = [.. output.EnumerateFiles().Select(file => file.Name).Order(StringComparer.Ordinal)];
            using (Assert.EnterMultipleScope())
            {
                Assert.That(rebuilt, Is.EquivalentTo((string[])[.. GuestSamples.ImagesIn(folder), .. Recorded(folder)]));
                foreach (string name in rebuilt)
                {
                    byte[] fresh = File.ReadAllBytes(Path.Combine(output.FullName, name));
                    Assert.That(fresh.AsSpan().SequenceEqual(File.ReadAllBytes(GuestSamples.PathOf(Path.Combine(folder, name)))), name);
                }
            }
        }
        finally
        {
            output.Delete(recursive: true);
        }
    }

    private static string[] Recorded(string folder) => folder.Length == 0 ? ["gcc-version.txt"] : [];

    private static string FirstLine(string tool)
    {
        try
        {
            return Run(tool, "--version").Text.Split('\n')[0];
        }
        catch (Win32Exception)
        {
            return $"no {tool}";
        }
    }

    private static (int Status, string Text) Run(string file, params string[] arguments)
    {
        ProcessStartInfo start = new(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, text + errors.GetAwaiter().GetResult());
    }
}
