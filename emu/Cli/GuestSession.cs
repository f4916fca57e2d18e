using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>A machine with an image in it.</summary>
internal sealed class GuestSession : IDisposable
{
    private GuestSession(Machine machine, GuestImage image, BootLayout layout)
    {
        Machine = machine;
        Image = image;
        Layout = layout;
    }

    public Machine Machine { get; }

    public GuestImage Image { get; }

    public BootLayout Layout { get; }

    /// <summary>Reads and boots an image.</summary>
    /// <param name="options">Which, and into what.</param>
    /// <param name="console">Where the guest prints; null discards it.</param>
    /// <param name="flushLines">Whether a person watches the console.</param>
    /// <exception cref="CommandException">The image is not one.</exception>
    /// <exception cref="HostMemoryException">The host does not have the memory.</exception>
    public static GuestSession Open(ImageOptions options, Stream? console = null, bool flushLines = false)
    {
        GuestImage image = ImageFile.Read(options);
        MachineOptions machineOptions = new()
        {
            RamBytes = options.RamBytes,
            MemoryPath = options.MemoryPath,
            HostMemory = options.HostMemory,
            Console = console,
            FlushLines = flushLines,
        };
        RequireAddressable(machineOptions);
        Machine machine = new(machineOptions);
        try
        {
            return new GuestSession(machine, image, ImageLoader.Load(machine, image, options.Ring));
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

    /// <summary>An address with the symbol it lies in.</summary>
    public string Describe(Gva address) => GuestAddress.Describe(address, Image.Symbols);

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
