using System.CommandLine;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk lab</c>: experiments with the modelled host, by name.</summary>
internal static class LabCommand
{
    public static Command Create(CliHost host, DocumentedHelp help)
    {
        Command command = new("lab", "Named experiments with a modelled Linux host: how KVM gets from a guest address to a host frame, and what goes wrong on the way.")
        {
            LabListCommand.Create(host, help),
            LabRunCommand.Create(host, help),
        };
        help.Document(
            command,
            "quadwalk lab list --row 16",
            "quadwalk lab run pfnmap-without-references",
            "quadwalk lab run all --summary");
        return command;
    }
}
