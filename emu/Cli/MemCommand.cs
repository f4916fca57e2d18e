using System.CommandLine;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk mem</c>: lists what the guest's page tables map.</summary>
internal static class MemCommand
{
    private const string Format = """
        The lists:
          Ranges are neighbouring pages with the same rights: U/S, R/W and NX combined over all levels. They do not say what an access
          would meet beside that (SMEP, SMAP, protection keys, CR0.WP); `quadwalk page` does.
          --pages has one line for each page, with the entry that maps it and its flags, as QEMU's `info tlb` has.
          --frame has one line for each page that holds the frame, large pages included.

        JSON:
          One object. Addresses, sizes in bytes, entries and registers are strings of hexadecimal digits with 0x, counts are numbers.
            instructions, paging {mode, cr0, cr3, cr4, efer, ...}, window {first, last} (null for all)
            ranges    [{first, last, size, user, write, execute, scanned}]     unless --pages or --frame
            pages     [{gva, gpa, size, level, entry_address, entry, flags [P, RW, ...], user, write, execute}]
            mappings  the same with `address`, where the frame is; and frame {gpa, slot, device}
            total {ranges, pages, pages_4k, pages_large, pages_1g, mapped} or {mappings}; listed, left_out; complete
          `last` belongs to the range. `complete` is false where there are too many tables; `scanned` is false for what was passed over.
          Without paging, paging.mode is "none" and the lists are empty.
        """;

    public static Command Create(CliHost host, DocumentedHelp help)
    {
        Command command = new("mem", "List what the guest's page tables map: ranges by rights, single pages, or where a frame is mapped. Nothing is changed.");
        ImageArguments image = new(command);
        Option<string?> at = new("--at")
        {
            Description = "Only these addresses: A-B, up to but not including B; A- to the end; a function by its name; or what is at one address.",
            HelpName = "RANGE|GVA",
        };
        Option<bool> pages = new("--pages") { Description = "List pages, with the entries that map them." };
        Option<Gpa?> frame = new("--frame")
        {
            Description = "List the guest-virtual addresses of one guest-physical frame.",
            HelpName = "GPA",
            CustomParser = result => new Gpa(Parsers.Address(result).Value),
        };
        Option<ulong?> limit = new("--limit")
        {
            Description = "List at most N ranges, pages or mappings, and say how many were left out. [default: 1000]",
            HelpName = "N",
            CustomParser = result => Parsers.Lines(result),
        };
        ReportArguments report = new(command);
        foreach (Option option in (Option[])[at, pages, frame, limit])
        {
            command.Add(option);
        }

        command.Validators.Add(result =>
        {
            if (result.GetValue(pages) && result.GetResult(frame) is { Implicit: false })
            {
                result.AddError("--pages and --frame exclude each other: --frame lists pages already");
            }
        });
        command.SetAction(result => Execute(host, new MemOptions
        {
            Image = image.Read(result),
            Report = report.Read(result),
            At = result.GetValue(at),
            Pages = result.GetValue(pages),
            Frame = result.GetValue(frame),
            Limit = result.GetValue(limit) ?? MemOptions.DefaultLimit,
        }));
        help.Explain(command, Format);
        help.Document(
            command,
            "quadwalk mem samples/guests/hello.elf",
            "quadwalk mem samples/guests/pager.elf --after 1M --pages --at 0x400000-0x500000",
            "quadwalk mem samples/guests/hello.elf --frame 0x201000 --format json",
            "quadwalk mem --machine pc samples/guests/pc/paging32.elf --after 1M --format html -o tables.html");
        return command;
    }

    private static int Execute(CliHost host, MemOptions options) => GuestReport.Make(
        host,
        options.Image,
        options.Report,
        session =>
        {
            int bits = session.Machine.Cpu.Paging.PhysicalAddressBits;
            return options.Frame is { } frame && frame.Value >> bits != 0
                ? throw CommandException.Usage($"--frame {frame} is no guest-physical address: MAXPHYADDR is {bits}")
                : options.At is null ? null : MemWindow.Parse(options.At, session.Symbols);
        },
        (moment, window, target) =>
        {
            Machine machine = moment.Session.Machine;
            MemFindings findings = MemFindings.Of(
                new UnchangedTables(machine.Access), machine.Cpu.Paging, window, options, frame => FramePlace.Of(frame, machine.Slots, machine.Mmio));
            switch (options.Report.Format)
            {
                case ReportFormat.Json:
                    MemJson.Write(target, moment, findings);
                    break;
                case ReportFormat.Html:
                    MemHtml.Write(target, moment, findings, TableGraphOf(machine), Path.GetFileName(options.Image.Path));
                    break;
                default:
                    MemText.Write(target, moment, findings);
                    break;
            }
        });

    private static TableGraph? TableGraphOf(Machine machine) => machine.Cpu.Paging.Mode == PagingMode.None
        ? null
        : TableGraph.Of(new UnchangedTables(machine.Access), machine.Cpu.Paging, TablesPicture.Limits);
}
