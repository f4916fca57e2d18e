using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The programs of samples/linux, compiled once each in a folder that goes with the process, and what runs them.</summary>
internal static class LinuxPrograms
{
    private const int Patience = 60_000;

    private static readonly Lock Compiling = new();
    private static readonly Dictionary<(string Name, string Kind), string> Compiled = [];
    private static readonly string Output = Directory.CreateTempSubdirectory("quadwalk-linux").FullName;

    public static string Folder { get; } = Path.GetFullPath(Path.Combine(GuestSamples.Folder, "..", "linux"));

    public static string Expected(string name) => File.ReadAllText(Path.Combine(Folder, name + ".expected"));

    /// <summary>The path of a program, or the end of the test where there is no compiler for it.</summary>
    /// <param name="name">The name of its source.</param>
    /// <param name="kind">glibc, pie, musl, or dynamic.</param>
    public static string Compile(string name, string kind = "glibc")
    {
        lock (Compiling)
        {
            if (Compiled.TryGetValue((name, kind), out string? path))
            {
                return path;
            }

            path = Path.Combine(Output, $"{name}-{kind}");
            string compiler = kind == "musl" ? "musl-gcc" : "gcc";
            string link = kind switch { "pie" => "-static-pie", "dynamic" => "-pie", _ => "-static" };
            (int status, byte[] text, string error) = Run(compiler, null, [link, "-O2", "-w", "-pthread", "-o", path, Path.Combine(Folder, name + ".c"), "-lm"]);
            Assert.That(status, Is.Zero, Encoding.UTF8.GetString(text) + error);
            return Compiled[(name, kind)] = path;
        }
    }

    /// <summary>Runs a program under the Linux personality.</summary>
    public static CliRun Emulate(string? input, string[] options, params string[] program)
    {
        using MemoryStream stream = new(Encoding.UTF8.GetBytes(input ?? ""));
        using CancellationTokenSource patience = new(Patience);
        return CliRun.With(stream, null, patience.Token, ["run", "--personality", "linux", .. options, .. program]);
    }

    /// <summary>Gives a process its input, which it need not read.</summary>
    private static void Feed(Process process, string? input)
    {
        try
        {
            process.StandardInput.Write(input ?? "");
            process.StandardInput.Close();
        }
        catch (IOException)
        {
        }
    }

    /// <summary>Runs a program of the host; ends the test where there is none.</summary>
    public static (int Status, byte[] Output, string Error) Run(string file, string? input, string[] arguments)
    {
        ProcessStartInfo start = new(file, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Clear();
        start.Environment["PATH"] = "/usr/bin:/bin";
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            Feed(process, input);
            using MemoryStream output = new();
            process.StandardOutput.BaseStream.CopyTo(output);
            process.WaitForExit();
            return (process.ExitCode, output.ToArray(), errors.GetAwaiter().GetResult());
        }
        catch (Win32Exception)
        {
            Assert.Ignore($"There is no {file} here: ./test installs it.");
            throw;
        }
    }
}
