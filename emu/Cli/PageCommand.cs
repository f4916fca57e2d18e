using System.CommandLine;
using System.Text;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk page</c>: walks the guest's page tables for one address and shows every step.</summary>
internal static class PageCommand
{
    private const string Format = """
        JSON:
          One object. Addresses, sizes in bytes, entries and registers are strings of hexadecimal digits with 0x, other numbers are numbers.
            instructions, address, symbol, access {kind, user}, paging {mode, cr0, cr3, cr4, efer, ...}
            steps        [{level, name, entry_address, entry, flags [P, RW, ...], rights {user, write, execute} so far, sets [A, D]}]
            translation  {gpa, page, page_size, user, write, execute, slot {id, first, last, writable, offset}, device {name, first, last, offset}}
            failure      {rule, vector, error_code, level, entry_address, entry, bits [63, ...], text}
            memory_type  the page's and what decided it, in words
          One of translation and failure is null; slot and device are null where there is none.

        JSON with --stages:
            eptp         {value, levels, memory_type, root}
            steps        [{stage "guest" or "ept", role, level, name, guest_physical, host_physical, entry, flags, sets}], at most 24 with 4 levels in each
                         stage; flags of ept are R, W, X, the memory type of a page, IPAT, PS, A, D; guest_physical is null for ept
            translation  {gpa, hpa, page_size of both stages, guest_page_size, ept_page_size, user, write, execute, slot, device}
            exit         {reason, number, qualification, qualification_text, gpa, cause, slot, device, text}
          Two of translation, failure and exit are null: the guest's own tables fail, or the second stage leaves the guest, or neither.
        """;

    public static Command Create(CliHost host, DocumentedHelp help)
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
        Option<bool> stages = new("--stages")
        {
            Description = "Show the walk of both stages: each entry of the guest's tables, and those of the machine's EPT by which its address, and the page's, is found.",
        };
        ReportArguments report = new(command);
        foreach (Option option in (Option[])[at, access, user, supervisor, stages])
        {
            command.Add(option);
        }

        command.Validators.Add(result =>
        {
            if (result.GetValue(user) && result.GetValue(supervisor))
            {
                result.AddError("--user and --supervisor exclude each other: give one");
            }

            if (result.GetValue(stages) && report.IsHtml(result))
            {
                result.AddError("--stages is written as text or json: leave out --format html");
            }
        });
        command.SetAction(result =>
        {
            bool? isUser = result.GetValue(user) ? true : result.GetValue(supervisor) ? false : null;
            (string address, AccessKind kind) = (result.GetRequiredValue(at), result.GetValue(access));
            return result.GetValue(stages)
                ? ExecuteStages(host, image.Read(result), report.Read(result), address, kind, isUser)
                : Execute(host, image.Read(result), report.Read(result), address, kind, isUser);
        });
        help.Explain(command, Format);
        help.Document(
            command,
            "quadwalk page samples/guests/hello.elf --at _start --access fetch",
            "quadwalk page samples/guests/ring3.elf --at 0xffff888000000000 --user",
            "quadwalk page samples/guests/pager.elf --at 0xffff8880d0000000 --after 1M",
            "quadwalk page samples/guests/hello.elf --at _start --stages",
            "quadwalk page samples/guests/hello.elf --at _start --format html -o walk.html");
        return command;
    }

    private static int Execute(CliHost host, ImageOptions image, ReportOptions options, string at, AccessKind kind, bool? user) => GuestReport.Make(
        host,
        image,
        options,
        session => GuestAddress.Parse(at, session.Symbols),
        (moment, address, target) =>
        {
            Machine machine = moment.Session.Machine;
            WalkAccess access = new(kind, user ?? machine.Cpu.State.Cpl == 3);
            PageFindings findings = PageFindings.Of(machine.Access, machine.Slots, machine.Mmio, machine.Cpu.Paging, address, access, machine.Cpu.MemoryTypes);
            string name = moment.Session.Describe(address);
            switch (options.Format)
            {
                case ReportFormat.Json:
                    PageJson.Write(target, moment, findings, SymbolAt(moment, address));
                    break;
                case ReportFormat.Html:
                    PageHtml.Write(target, moment, findings, TableGraphOf(machine, findings), Path.GetFileName(image.Path), name);
                    break;
                default:
                    WriteText(target, moment, output => PageReport.Write(output, findings, name));
                    break;
            }
        });

    private static int ExecuteStages(CliHost host, ImageOptions image, ReportOptions options, string at, AccessKind kind, bool? user) => GuestReport.Make(
        host,
        image,
        options,
        session => GuestAddress.Parse(at, session.Symbols),
        (moment, address, target) =>
        {
            Machine machine = moment.Session.Machine;
            StageFindings findings = StageFindings.Of(machine, address, new WalkAccess(kind, user ?? machine.Cpu.State.Cpl == 3));
            if (options.Format == ReportFormat.Json)
            {
                StageJson.Write(target, moment, findings, SymbolAt(moment, address));
            }
            else
            {
                WriteText(target, moment, output => StageReport.Write(output, findings, moment.Session.Describe(address)));
            }
        });

    private static string? SymbolAt(GuestMoment moment, Gva address) =>
        moment.Session.Symbols.TryResolve(address, out SymbolLocation location) ? location.ToString() : null;

    private static void WriteText(Stream target, GuestMoment moment, Action<TextWriter> write)
    {
        using StreamWriter output = new(target, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true) { NewLine = "\n" };
        output.WriteLine(moment.Sentence);
        write(output);
    }

    private static TableGraph? TableGraphOf(Machine machine, PageFindings findings) => findings.State.Mode == PagingMode.None
        ? null
        : TableGraph.Of(
            new UnchangedTables(machine.Access),
            findings.State,
            TablesPicture.Limits,
            findings.Result.Failure == WalkFailure.NonCanonical ? null : findings.Address);
}
