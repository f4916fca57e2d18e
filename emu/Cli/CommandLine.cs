using System.CommandLine;
using System.Text;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>The command: parses its arguments, runs what they ask for, and turns every way it can end into an exit code.</summary>
internal static class CommandLine
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Runs one command line and returns its exit code; nothing is thrown.</summary>
    public static int Invoke(IReadOnlyList<string> arguments, CliHost host)
    {
        bool debug = arguments.TakeWhile(argument => argument != "--").Contains(RootOptions.Debug);
        try
        {
            return InvokeGuarded(StatsArgument.Normalize(arguments), host);
        }
        catch (CommandException e)
        {
            return Fail(host, e, e.ExitCode, e.Message, debug);
        }
        catch (HostMemoryException e)
        {
            return Fail(host, e, ExitCode.Usage, $"{e.Message}: give a smaller -m or another --host-memory", debug);
        }
        catch (OutputException e)
        {
            return e.IsClosedPipe ? ExitCode.Output : Fail(host, e, ExitCode.Output, e.Message, debug);
        }
        catch (Exception e)
        {
            string message = $"internal error: {e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}";
            return Fail(host, e, ExitCode.Internal, debug ? message : $"{message}: {RootOptions.Debug} shows where", debug);
        }
    }

    private static int InvokeGuarded(IReadOnlyList<string> arguments, CliHost host)
    {
        using StreamWriter output = new(new OutputStream(host.Output), Utf8, leaveOpen: true);
        output.NewLine = "\n";
        RootCommand root = CreateRoot(host, output, out LinuxArguments linux);
        ParseResult parsed = root.Parse(linux.TakeGuestArguments(arguments), new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count != 0 && parsed.Action is not (DocumentedHelp or VersionAction))
        {
            host.Complain(UsageErrors.Describe(parsed));
            return ExitCode.Usage;
        }

        int code = parsed.Invoke(new InvocationConfiguration
        {
            Output = output,
            Error = host.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        });
        output.Flush();
        return code;
    }

    private static RootCommand CreateRoot(CliHost host, TextWriter output, out LinuxArguments linux)
    {
        RootCommand root = new("Runs x86-64 guests, and shows the road from an instruction to a byte of memory.") { HelpName = "quadwalk" };
        DocumentedHelp help = new();
        RootOptions.Attach(root, help);
        root.Add(RunCommand.Create(host, help, out linux));
        root.Add(DiffCommand.Create(host, output, help));
        root.Add(TraceCommand.Create(host, help));
        root.Add(PageCommand.Create(host, help));
        root.Add(MemCommand.Create(host, help));
        root.Add(TlbCommand.Create(host, output, help));
        root.Add(LabCommand.Create(host, help));
        root.Add(InfoCommand.Create(output, help));
        help.Document(
            root,
            "quadwalk run samples/guests/hello.elf",
            "quadwalk run --stats=json -m 2G samples/guests/primes.elf",
            "quadwalk page samples/guests/hello.elf --at _start --access fetch");
        return root;
    }

    private static int Fail(CliHost host, Exception exception, int code, string message, bool debug)
    {
        host.Complain(message);
        if (debug)
        {
            host.Error.WriteLine(exception);
        }

        return code;
    }
}
