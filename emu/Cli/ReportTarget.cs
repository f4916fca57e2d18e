using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>Brings a report to where it was asked for: standard output, or a file that appears when it is complete.</summary>
internal static class ReportTarget
{
    /// <summary>Calls <paramref name="write"/>, which returns the exit code, with the stream.</summary>
    /// <param name="host">Standard output.</param>
    /// <param name="path">The file; null for standard output.</param>
    /// <param name="write">Writes the report.</param>
    /// <exception cref="CommandException">The file cannot be written.</exception>
    public static int Write(CliHost host, string? path, Func<Stream, int> write)
    {
        if (path is null)
        {
            using OutputStream standard = new(host.Output);
            return write(standard);
        }

        try
        {
            using TraceFile file = TraceFile.Create(path);
            int code = write(file.Stream);
            file.Complete();
            return code;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException { ParamName: "path" })
        {
            throw new CommandException(ExitCode.Output, $"--output {path}: it cannot be written: {e.Message.ReplaceLineEndings(" ")}");
        }
    }
}
