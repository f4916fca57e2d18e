using System.ComponentModel;
using System.Diagnostics;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The qemu-system-x86_64 of the host, which ./test installs.</summary>
internal static class QemuSystem
{
    private static readonly Lazy<string?> version = new(FindVersion);

    /// <summary>Skips the test where there is no QEMU, and gives its version.</summary>
    public static string Require()
    {
        if (version.Value is null)
        {
            Assert.Ignore("There is no qemu-system-x86_64: on Debian 'apt-get install qemu-system-x86' brings it.");
        }

        return version.Value!;
    }

    /// <summary>What a multiboot image prints on the machine that samples/guests/pc/README.md gives, until it ends or the time is up.</summary>
    public static string Run(string image, int processors, TimeSpan most)
    {
        ProcessStartInfo start = new("qemu-system-x86_64",
        [
            "-accel", "tcg", "-cpu", "max", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-device", "pc-testdev", "-no-reboot",
            "-display", "none", "-monitor", "none", "-m", "128M", "-serial", "stdio", "-append", "one two", "-smp", $"{processors}",
            "-kernel", image,
        ])
        { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(most))
        {
            process.Kill();
            process.WaitForExit();
        }

        TestContext.Out.Write(errors.GetAwaiter().GetResult());
        return output.GetAwaiter().GetResult();
    }

    private static string? FindVersion()
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo("qemu-system-x86_64", ["--version"]) { RedirectStandardOutput = true })!;
            string text = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return text.Split("version ").ElementAtOrDefault(1)?.Split(' ', '\n')[0];
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
