using System.CommandLine;
using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk page</c>: walks the guest's page tables for one address and shows every step.</summary>
internal static class PageCommand
{
    public static Command Create(TextWriter output, DocumentedHelp help)
    {
        Command command = new("page", "Show how a guest-virtual address is translated, level by level, or why it faults. Nothing is changed.");
        ImageArguments image = new(command);
        Option<string> at = new("--at")
        {
            Description = "The address: a number, or a symbol of the image like main or table+0x10.",
            HelpName = "GVA",
            Required = true,
        };
        Option<AccessKind> access = new("--access")
        {
            Description = "What is done at the address. [default: read]",
            HelpName = "read|write|fetch",
            CustomParser = result => Parsers.Choice(
                result, [("read", AccessKind.Read), ("write", AccessKind.Write), ("fetch", AccessKind.Execute)]),
        };
        Option<bool> user = new("--user") { Description = "The access is made at CPL 3. Without --user and --supervisor, at the guest's CPL." };
        Option<bool> supervisor = new("--supervisor") { Description = "The access is made below CPL 3." };
        Option<ulong> after = new("--after")
        {
            Description = "Run the guest for N instructions first, its console discarded.",
            HelpName = "N",
            CustomParser = Parsers.Count,
        };
        foreach (Option option in (Option[])[at, access, user, supervisor, after])
        {
            command.Add(option);
        }

        command.Validators.Add(result =>
        {
            if (result.GetValue(user) && result.GetValue(supervisor))
            {
                result.AddError("--user and --supervisor exclude each other: give one");
            }
        });
        command.SetAction(result =>
        {
            bool? isUser = result.GetValue(user) ? true : result.GetValue(supervisor) ? false : null;
            return Execute(output, image.Read(result), result.GetRequiredValue(at), result.GetValue(access), isUser, result.GetValue(after));
        });
        help.Document(
            command,
            "quadwalk page samples/guests/hello.elf --at _start --access fetch",
            "quadwalk page samples/guests/ring3.elf --at 0xffff888000000000 --user",
            "quadwalk page samples/guests/pager.elf --at 0xffff8880d0000000 --after 1M");
        return command;
    }

    private static int Execute(TextWriter output, ImageOptions options, string at, AccessKind kind, bool? user, ulong after)
    {
        using GuestSession session = GuestSession.Open(options);
        Machine machine = session.Machine;
        Gva address = GuestAddress.Parse(at, session.Symbols);
        StopReport? report = after == 0 ? null : machine.Run(after);
        output.WriteLine($"After {machine.Cpu.Counters.Instructions.ToString(CultureInfo.InvariantCulture)} instructions{Ending(report)}.");
        WalkAccess access = new(kind, user ?? machine.Cpu.State.Cpl == 3);
        PageReport.Write(output, machine.Access, machine.Slots, machine.Mmio, machine.Cpu.Paging, address, access, session.Describe(address));
        return ExitCode.Success;
    }

    private static string Ending(StopReport? report) => report?.Reason switch
    {
        null or StopReason.Limit => "",
        StopReason.TripleFault => ", where a triple fault ended the guest",
        StopReason.Exit or StopReason.Halted => ", where the guest ended itself",
        _ => $", where the guest stopped: {report.Message ?? report.Reason.ToString()}",
    };
}
