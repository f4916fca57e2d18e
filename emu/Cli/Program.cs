using System.Text;

namespace Quadwalk.Cli;

internal static class Program
{
    private static int Main(string[] args)
    {
        using Interrupts interrupts = new();
        using StreamWriter error = new(System.Console.OpenStandardError(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) { AutoFlush = true };
        return CommandLine.Invoke(args, new CliHost
        {
            Input = StandardStreams.OpenInput(),
            Output = StandardStreams.OpenOutput(),
            Error = error,
            OutputIsTerminal = !System.Console.IsOutputRedirected,
            ErrorIsTerminal = !System.Console.IsErrorRedirected,
            Interrupt = interrupts.Token,
        });
    }
}
