using System.Diagnostics;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>A headless browser that opens a report and says what it made of it.</summary>
internal static class Chromium
{
    private const int Patience = 120_000;

    private static readonly string? Program = Find();

    /// <summary>
    /// Opens a file, runs a script in a copy of it, and returns the document as it is then, with what the browser said on its console.
    /// The test ends as ignored where there is no browser.
    /// </summary>
    /// <param name="html">The report.</param>
    /// <param name="script">A script that runs at the end of the body.</param>
    /// <param name="width">The window's width in pixels.</param>
    /// <param name="dark">Whether a dark page is preferred.</param>
    public static (string Document, string[] Console) Open(string html, string script, int width, bool dark)
    {
        if (Program is null)
        {
            Assert.Ignore("There is no chromium on PATH: `apt-get install chromium`.");
        }

        string folder = Directory.CreateTempSubdirectory("quadwalk-html").FullName;
        try
        {
            // The report's own policy forbids scripts; that it does is asserted by the test.
            string copy = Path.Combine(folder, "report.html");
            string probed = html.Replace("default-src 'none'; style-src 'unsafe-inline'", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'", StringComparison.Ordinal);
            File.WriteAllText(copy, probed.Replace("</body>", $"<script>{script}</script></body>", StringComparison.Ordinal));
            (string document, string said) = Run(
                "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", $"--user-data-dir={folder}/profile", $"--window-size={width},1200",
                $"--blink-settings=preferredColorScheme={(dark ? 0 : 1)}", "--enable-logging=stderr", "--dump-dom", new Uri(copy).AbsoluteUri);
            return (document, [.. said.Split('\n').Where(line => line.Contains("CONSOLE", StringComparison.Ordinal))]);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static (string Output, string Error) Run(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(Program!, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{Program} did not end within {Patience / 1000} seconds.");
        }

        Assert.That(process.ExitCode, Is.Zero, error.Result);
        return (output.Result, error.Result);
    }

    private static string? Find() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => (string[])[Path.Combine(folder, "chromium"), Path.Combine(folder, "chromium-browser"), Path.Combine(folder, "google-chrome")])
            .FirstOrDefault(File.Exists);
}
