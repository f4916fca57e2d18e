using System.CommandLine;
using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary><c>quadwalk info</c>: what this host offers and what this build has.</summary>
internal static class InfoCommand
{
    public static Command Create(TextWriter output, DocumentedHelp help)
    {
        Command command = new("info", "Say what this host offers, and what this build of Quadwalk has.");
        Option<CpuFeatures?> cpu = CpuArgument.Create();
        command.Add(cpu);
        command.SetAction(result =>
        {
            Write(output, HostCapabilities.Probe(), result.GetValue(cpu) ?? new CpuFeatures());
            return ExitCode.Success;
        });
        help.Document(command, "quadwalk info", "quadwalk info --cpu v2,+aes");
        return command;
    }

    internal static void Write(TextWriter output, HostCapabilities host, CpuFeatures guest)
    {
        HostProcessorInfo processor = host.Processor;
        foreach ((string key, string value) in (ReadOnlySpan<(string, string)>)
        [
            ("quadwalk", ProductVersion.Text),
            ("runtime", host.Runtime),
            ("iced", ProductVersion.Of(typeof(Iced.Intel.Decoder).Assembly)),
            ("host system", $"{host.OperatingSystem}, kernel {host.KernelVersion}, {host.Architecture}"),
            ("host processor", processor.Name ?? "unnamed"),
            ("host addresses", $"{Bits(processor.PhysicalAddressBits)} physical, {Bits(processor.LinearAddressBits)} linear"),
            ("host features", processor.Features.IsEmpty ? "none known" : string.Join(' ', processor.Features)),
            ("host processors", host.ProcessorCount.ToString(CultureInfo.InvariantCulture)),
            ("host memory", string.Create(CultureInfo.InvariantCulture, $"{host.MemoryBytes >> 20} MiB in pages of {host.PageSize} bytes")),
            ("memfd", YesNo(host.Memfd)),
            ("memfd_secret", YesNo(host.MemfdSecret)),
            ("poisoned pages", YesNo(host.PoisonedPages)),
            ("nofault copy", host.NofaultCopy switch { NofaultMechanism.Stub => "by stubs", NofaultMechanism.SystemCall => "by system calls", _ => "no" }),
            ("engines", "interpreter"),
            ("access paths", string.Join(' ', MemoryPaths.Names)),
            ("guest processor", string.Create(CultureInfo.InvariantCulture, $"{guest.Model}, MAXPHYADDR {guest.PhysicalAddressBits}, 1 GiB pages {YesNo(guest.Page1G)}")),
            ("guest models", string.Join(' ', CpuModels.Names)),
            ("guest features", string.Join(' ', guest.Names)),
            ("guest TLB", string.Create(CultureInfo.InvariantCulture, $"{Tlb.EntriesPerContext} host addresses a context, for {Tlb.MostSlots} PCIDs at a time")),
        ])
        {
            output.WriteLine($"{key,-16}{value}");
        }
    }

    private static string Bits(int? bits) => bits is { } number ? string.Create(CultureInfo.InvariantCulture, $"{number} bits") : "unknown";

    private static string YesNo(bool value) => value ? "yes" : "no";
}
