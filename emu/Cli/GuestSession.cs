using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>A machine with an image in it.</summary>
internal sealed class GuestSession : IDisposable
{
    private GuestSession(Machine machine, SymbolTable symbols)
    {
        Machine = machine;
        Symbols = symbols;
    }

    public Machine Machine { get; }

    /// <summary>The image's names for addresses.</summary>
    public SymbolTable Symbols { get; }

    /// <summary>Reads and boots an image.</summary>
    /// <param name="options">Which, and into what.</param>
    /// <param name="console">Where the guest prints; null discards it.</param>
    /// <param name="flushLines">Whether a person watches the console.</param>
    /// <exception cref="CommandException">The image is not one.</exception>
    /// <exception cref="HostMemoryException">The host does not have the memory.</exception>
    public static GuestSession Open(ImageOptions options, Stream? console = null, bool flushLines = false)
    {
        MachineOptions machineOptions = MachineOptionsOf(options) with { Console = console, FlushLines = flushLines };
        return options.Kind == MachineKind.Pc ? OpenPc(options, machineOptions) : OpenBare(options, machineOptions);
    }

    private static GuestSession OpenBare(ImageOptions options, MachineOptions machineOptions)
    {
        GuestImage image = ImageFile.Read(options);
        return Boot(options, machineOptions, machine =>
        {
            ImageLoader.Load(machine, image, options.Ring);
            return image.Symbols;
        });
    }

    private static GuestSession OpenPc(ImageOptions options, MachineOptions machineOptions)
    {
        if (options.LoadAddress is not null || options.Ring is not null)
        {
            throw CommandException.Usage("--machine pc takes multiboot images: leave --load-at and --ring out");
        }

        byte[] bytes = ImageFile.ReadBytes(options.Path);
        IReadOnlyList<MultibootModule> modules = options.Modules is null ? [] : MultibootModule.ParseList(options.Modules, path => ImageFile.ReadBytes(path));
        return Boot(options, machineOptions, machine =>
        {
            MultibootStart.Enter(machine, MultibootLoader.Load(machine, MultibootImage.Parse(bytes), options.Path, options.CommandLine, modules));
            return SymbolTable.Empty;
        });
    }

    private static GuestSession Boot(ImageOptions options, MachineOptions machineOptions, Func<Machine, SymbolTable> load)
    {
        Machine machine = new(machineOptions);
        try
        {
            return new GuestSession(machine, load(machine));
        }
        catch (ImageFormatException e)
        {
            machine.Dispose();
            throw CommandException.Image($"{options.Path}: {e.Message}");
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>The machine that was asked for, without a console.</summary>
    /// <exception cref="CommandException">It has more RAM than the processor can address.</exception>
    public static MachineOptions MachineOptionsOf(ImageOptions options)
    {
        MachineOptions machineOptions = new()
        {
            RamBytes = options.RamBytes,
            MemoryPath = options.MemoryPath,
            HostMemory = options.HostMemory,
            Features = options.Cpu,
            Kind = options.Kind,
            Processors = options.Processors,
            Tlb = options.Tlb,
            Engine = options.Engine.Kind,
            UnicornPath = options.Engine.UnicornPath,
            Tolerated = options.Engine.Tolerated,
        };
        RequireAddressable(machineOptions);
        options.Engine.Require(options.Tlb);
        return machineOptions;
    }

    /// <summary>An address with the symbol it lies in.</summary>
    public string Describe(Gva address) => GuestAddress.Describe(address, Symbols);

    /// <summary>Where the guest stands: <c>0x401004 (_start+0x4) after 12 instructions</c>.</summary>
    public string Position => string.Create(
        CultureInfo.InvariantCulture, $"{Describe(new Gva(Machine.Cpu.State.Rip))} after {Machine.Cpu.Counters.Instructions} instructions");

    public void Dispose() => Machine.Dispose();

    private static void RequireAddressable(MachineOptions options)
    {
        ulong most = Math.Min(BootAddresses.DirectMapRoom, 1UL << options.Features.PhysicalAddressBits) - (PhysicalLayout.HighRam - PhysicalLayout.DeviceHole);
        if (options.RamBytes > most)
        {
            throw CommandException.Usage($"-m 0x{options.RamBytes:x} is more RAM than the processor can address: give at most {most >> 30}G");
        }
    }
}
