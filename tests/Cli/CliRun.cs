using System.Text;
using Quadwalk.Cli;

namespace Quadwalk.Tests;

/// <summary>What a command line did, run in this process.</summary>
internal sealed record CliRun(int ExitCode, byte[] Output, string Error)
{
    public string Text => Encoding.UTF8.GetString(Output);

    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public static CliRun Of(params string[] arguments) => With(null, null, default, arguments);

    public static CliRun With(Stream? input, Stream? output, CancellationToken interrupt, params string[] arguments)
    {
        using MemoryStream captured = new();
        using StringWriter error = new() { NewLine = "\n" };
        int code = CommandLine.Invoke(arguments, new CliHost { Input = input, Output = output ?? captured, Error = error, Interrupt = interrupt });
        return new CliRun(code, captured.ToArray(), error.ToString());
    }
}
